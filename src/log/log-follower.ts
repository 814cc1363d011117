import { systemErrorCode } from '../core/errors.ts'
import { ChunkNumber, type LogPosition } from '../core/positions.ts'
import type { Disk } from '../disk/disk.ts'
import { provenBy } from '../format/log-record.ts'
import { Checkpoint } from './checkpoint.ts'
import { ChunkFile } from './chunk-file.ts'
import { scanChunk } from './chunk-scan.ts'
import { closeAll } from './close-all.ts'
import type { FoundLog } from './find-log.ts'
import { readFlushedHint } from './flushed-hint.ts'

/**
 * Follows a log that another process writes, without a lock and without a write. It believes the flushed hint and what records
 * prove, nothing else: bytes beyond may still be lost.
 */
export class LogFollower {
  readonly flushed: Checkpoint
  readonly #disk: Disk
  readonly #directory: string
  readonly #log: FoundLog
  #refreshing: Promise<void> | null = null

  constructor(disk: Disk, directory: string, log: FoundLog) {
    this.#disk = disk
    this.#directory = directory
    this.#log = log
    this.flushed = new Checkpoint(Math.min(log.proven, log.end) as LogPosition)
  }

  /** Looks once how far the log is good now. Calls at the same time share the look. */
  refresh(): Promise<void> {
    this.#refreshing ??= this.#look().finally(() => {
      this.#refreshing = null
    })
    return this.#refreshing
  }

  async #look(): Promise<void> {
    const hint = await readFlushedHint(this.#disk, this.#directory)
    let known = this.flushed.position
    if (hint !== null && Buffer.compare(hint.storeId, this.#log.storeId) === 0)
      known = Math.max(known, hint.position) as LogPosition
    else known = await this.#provenByRecords(known)
    const { chunks } = this.#log
    while (known >= chunks.active.end) {
      await chunks.active.refresh()
      const number = ChunkNumber.next(chunks.active.header.number)
      const next = await this.#openChunk(number)
      if (next === null || !chunks.active.isComplete) {
        // The roll-over is under way: what is proven so far ends with the chunk that is being completed.
        known = Math.min(known, chunks.active.dataEnd ?? this.flushed.position) as LogPosition
        break
      }
      chunks.add(next)
    }
    if (known > this.flushed.position) this.flushed.advance(known)
  }

  async #openChunk(number: ChunkNumber): Promise<ChunkFile | null> {
    try {
      const chunk = await ChunkFile.open(this.#disk, this.#directory, number, 'read')
      return typeof chunk === 'string' ? null : chunk
    } catch (error) {
      if (systemErrorCode(error) === 'ENOENT') return null
      throw error
    }
  }

  /** Without a hint, the records behind the known position are looked at for what they prove. */
  async #provenByRecords(known: LogPosition): Promise<LogPosition> {
    const { active } = this.#log.chunks
    let proven = known
    await scanChunk(active, Math.max(known, active.firstRecord) as LogPosition, active.end, ({ window, offset }) => {
      proven = Math.max(proven, provenBy(window.view, offset)) as LogPosition
    })
    return proven
  }

  async close(): Promise<void> {
    // Whoever asked for the look is told of its failure.
    await this.#refreshing?.catch(() => {})
    const { next, chunks } = this.#log
    await closeAll(next === null ? [chunks] : [next, chunks])
  }
}
