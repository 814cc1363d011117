import type { Clock } from '../core/clock.ts'
import { ReadFailedError, systemErrorCode, TailraceError } from '../core/errors.ts'
import { ChunkNumber, LogPosition } from '../core/positions.ts'
import type { Disk } from '../disk/disk.ts'
import { provenBy } from '../format/log-record.ts'
import { Checkpoint } from './checkpoint.ts'
import { ChunkFile } from './chunk-file.ts'
import { scanChunk } from './chunk-scan.ts'
import { closeAll } from './close-all.ts'
import type { FoundLog } from './find-log.ts'
import { readFlushedHint } from './flushed-hint.ts'

/**
 * So often the records behind the hint are looked at, too: a writer that was killed had flushed more than it had hinted at, and who
 * cannot write its hint flushes on.
 */
const SEARCH_PERIOD_MS = 200

/**
 * Follows a log that another process writes, without a lock and without a write. It believes the flushed hint and what records
 * prove, nothing else: bytes beyond may still be lost.
 */
export class LogFollower {
  readonly flushed: Checkpoint
  readonly #disk: Disk
  readonly #directory: string
  readonly #log: FoundLog
  readonly #clock: Clock
  #searchedMs: number
  /** Up to there the records were looked at, and nothing but zeros stood behind them. */
  #searchedTo = LogPosition.start
  #refreshing: Promise<void> | null = null

  constructor(disk: Disk, directory: string, log: FoundLog, clock: Clock) {
    this.#disk = disk
    this.#directory = directory
    this.#log = log
    this.#clock = clock
    this.#searchedMs = clock.monotonic()
    this.flushed = new Checkpoint(Math.min(log.proven, log.end) as LogPosition)
  }

  /**
   * Looks once how far the log is good now. Calls at the same time share the look.
   * @throws (rejects with) ReadFailedError, UnsupportedFormatError
   */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #look(): Promise<void> {
    const known = await this.#knownByNow().catch((error: unknown) => {
      if (error instanceof TailraceError) throw error
      throw new ReadFailedError(`cannot see how far the log in ${this.#directory} has got: ${String(error)}`, error)
    })
    if (known > this.flushed.position) this.flushed.advance(known)
  }

  async #knownByNow(): Promise<LogPosition> {
    const hint = await readFlushedHint(this.#disk, this.#directory)
    const hinted = hint !== null && Buffer.compare(hint.storeId, this.#log.storeId) === 0 ? hint.position : null
    const known = await this.#rolledOver(Math.max(this.flushed.position, hinted ?? 0) as LogPosition)
    const nowMs = this.#clock.monotonic()
    if (hinted !== null && nowMs - this.#searchedMs < SEARCH_PERIOD_MS) return known
    const proven = await this.#searchedBehind(known)
    this.#searchedMs = nowMs
    return proven
  }

  /** What records and footers prove, as far as they go. */
  async #searchedBehind(from: LogPosition): Promise<LogPosition> {
    const { chunks } = this.#log
    for (let known = from; ; ) {
      const { active } = chunks
      known = await this.#rolledOver(await this.#provenByRecords(known))
      if (chunks.active === active) return known
    }
  }

  /** Goes over to the chunks in which everything below `known` stands. @returns how much of that is there by now. */
  async #rolledOver(known: LogPosition): Promise<LogPosition> {
    const { chunks } = this.#log
    while (known >= chunks.active.end) {
      await chunks.active.refresh()
      const next = chunks.active.isComplete ? await this.#openBehind(chunks.active) : null
      if (next === null) {
        // The roll-over is under way: what is proven so far ends with the chunk that is being completed.
        return Math.min(known, chunks.active.dataEnd ?? this.flushed.position) as LogPosition
      }
      chunks.add(next)
    }
    return known
  }

  /** @returns null as long as it is not there, or when another store was made in the place of this one. */
  async #openBehind(active: ChunkFile): Promise<ChunkFile | null> {
    try {
      const chunk = await ChunkFile.open(this.#disk, this.#directory, ChunkNumber.next(active.header.number), 'read')
      if (typeof chunk === 'string') return null
      const { storeId, start } = chunk.header
      if (start === active.end && Buffer.compare(storeId, this.#log.storeId) === 0) return chunk
      await chunk.close()
      return null
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return null
      throw error
    }
  }

  /** What the records behind the known position, in the chunk where that stands, prove; a footer proves all before it. */
  async #provenByRecords(known: LogPosition): Promise<LogPosition> {
    const { active } = this.#log.chunks
    if (active.isComplete) return active.end
    let proven = Math.max(known, active.firstRecord) as LogPosition
    const from = Math.max(proven, this.#searchedTo) as LogPosition
    const { position, isZeroToEnd } = await scanChunk(active, from, active.end, ({ window, offset }) => {
      proven = Math.max(proven, provenBy(window.view, offset)) as LogPosition
    })
    // What is no record may be one soon, or was one until it was taken back, with others before it.
    this.#searchedTo = isZeroToEnd ? position : LogPosition.start
    if (!isZeroToEnd) await active.refresh(position)
    return active.isComplete ? active.end : proven
  }

  async close(): Promise<void> {
    // Whoever asked for the look is told of its failure.
    await this.#refreshing?.catch(() => {})
    const { next, chunks } = this.#log
    await closeAll(next === null ? [chunks] : [next, chunks])
  }
}
