import { MAX_CHUNK_SIZE } from '#engine/core/limits.ts'
import { LogPosition } from '#engine/core/positions.ts'
import type { Disk } from '#engine/disk/disk.ts'
import { ByteWindow } from '#engine/format/byte-window.ts'
import { blockCountOf, CHUNK_FOOTER_SIZE, type ChunkFooter } from '#engine/format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE, isZero } from '#engine/format/chunk-header.ts'
import {
  checkCompactRecord,
  checkFrame,
  checkRecord,
  checksumSeed,
  isUnsupported,
  positionOf,
  provenBy,
  type RecordDamage,
} from '#engine/format/log-record.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'
import { type ChunkFrame, type ChunkHead, guessFrame, type KnownPlace, readChunkFooter, readChunkHead } from './chunk-frame.ts'
import { PatchyFile } from './patchy-file.ts'
import { claimsOf } from './record-fields.ts'
import { findRecord, nonZeroEnd, type RecordSource, searchRecords, WINDOW_SIZE } from './record-search.ts'

/**
 * Bytes among the records that are none. Their position is that of their place in the file: where they would be if nothing had been
 * rewritten.
 */
export interface Gap {
  readonly position: LogPosition
  /** Where the next whole record begins, or the end of the chunk's records. */
  readonly end: LogPosition
  readonly what: RecordDamage
  /** In words, with what the damaged record says of itself, if it still looks like one. Nothing of that can be relied on. */
  readonly text: string
  /** The system can't read some of it. */
  readonly isUnreadable: boolean
  /** Something beyond it was durable, so these bytes were, or they can't be read: they are damaged. Otherwise they may be a torn tail. */
  readonly isProven: boolean
}

/** Where the records end in a chunk that is not completed. */
export type Tail = Omit<Gap, 'end'>

/** Whoever follows a walk. */
export interface SurveyVisitor {
  /** The window is reused: copy what you keep. */
  record(record: ScannedRecord): void
  /** @returns false to end the walk in front of it. */
  gap(gap: Gap): boolean
  /** Called after each stretch that was read; may wait. */
  pause(size: number): Promise<void>
}

interface BadPlace {
  readonly what: RecordDamage
  readonly claims: string | null
  readonly frameSize: number | null
}

/** The engine's limits for what is to be believed, as far as they are known. */
export interface SurveyBounds {
  /** What the flushed hint says. */
  readonly hinted: LogPosition
  /** Of a store that another process is writing: bytes behind it are in flight and are not looked at. */
  readonly trustedEnd: LogPosition
}

export const NO_BOUNDS: SurveyBounds = { hinted: LogPosition.start, trustedEnd: Number.MAX_SAFE_INTEGER as LogPosition }

/**
 * The lenient walk of a chunk file, for those who look at damage: it goes on behind each bad place at the next whole record. It
 * only reads. Where it must call something damaged, it has read it twice: a writer may have been at work.
 */
export class ChunkSurvey {
  readonly path: string
  readonly head: ChunkHead
  /** Null when nothing in the file can be recognised. */
  readonly frame: ChunkFrame | null
  footer: ChunkFooter | null
  footerDamage: string | null
  fileSize: number
  /**
   * The place of the record that is being visited, then behind it: the chunk's start plus the offset in the file. The next walk
   * goes on here. In a compact chunk, places are not the positions that records have.
   */
  position: LogPosition
  /** The furthest position that a visited record proves durable. */
  proven = LogPosition.start
  /** Records stand in a later chunk: everything in this one was durable. */
  isFollowed = false
  /** Set when a walk ended at what may be the end of the log. */
  tail: Tail | null = null
  readonly #file: PatchyFile
  readonly #bounds: SurveyBounds
  #provenBehind: LogPosition | null = null
  /** In a compact chunk: behind the last record that was visited, in positions. */
  #behind = LogPosition.start

  private constructor(
    file: PatchyFile,
    head: ChunkHead,
    frame: ChunkFrame | null,
    footer: ChunkFooter | null,
    footerDamage: string | null,
    fileSize: number,
    bounds: SurveyBounds,
  ) {
    this.path = file.path
    this.#file = file
    this.head = head
    this.frame = frame
    this.footer = footer
    this.footerDamage = footerDamage
    this.fileSize = fileSize
    this.#bounds = bounds
    this.position = LogPosition.plus(frame?.start ?? LogPosition.start, CHUNK_HEADER_SIZE)
  }

  static async open(disk: Disk, path: string, known: KnownPlace, bounds: SurveyBounds): Promise<ChunkSurvey> {
    const file = await PatchyFile.open(disk, path)
    try {
      const head = await readChunkHead(file)
      const size = await file.size()
      const { footer, damage } = await readChunkFooter(file, size)
      const { header } = head
      const frame: ChunkFrame | null =
        header === null
          ? await guessFrame(file, size, head, footer, known)
          : { start: header.start, storeId: header.storeId, seed: checksumSeed(header.storeId), guessedFrom: null }
      const misfit = footer === null || frame === null ? null : misfitOf(footer, frame)
      return new ChunkSurvey(file, head, frame, misfit === null ? footer : null, misfit ?? damage, size, bounds)
    } catch (error) {
      await file.close()
      throw error
    }
  }

  /** Behind the last place where a record may stand, as far as that is known now. */
  get limit(): LogPosition {
    const { start } = this.#source
    if (this.footer !== null) return LogPosition.plus(start, this.footer.dataSize)
    const end = LogPosition.plus(start, this.fileSize)
    return this.isFollowed ? end : (Math.min(end, this.#bounds.trustedEnd) as LogPosition)
  }

  /** Takes note of a footer that the writer has written meanwhile. @returns whether there is a new one. */
  async refresh(): Promise<boolean> {
    if (this.footer !== null || this.frame === null) return false
    this.fileSize = await this.#file.size()
    const { footer } = await readChunkFooter(this.#file, this.fileSize)
    if (footer === null || misfitOf(footer, this.frame) !== null) return false
    this.footer = footer
    this.footerDamage = null
    return true
  }

  /** Visits records and gaps from `position` on. May be called again, once more is known of the chunk. */
  async walk(visitor: SurveyVisitor): Promise<void> {
    this.tail = null
    let badPosition: LogPosition | null = null
    while (this.position < this.limit) {
      const bad = await this.#walkWhole(visitor)
      if (bad === null) return
      if (await this.refresh()) continue
      const gap = await this.#gapAt(bad)
      const isTail = gap.end === this.limit && this.footer === null
      // Read once more: the writer may have been about to write it.
      if ((gap.isProven || !isTail) && badPosition !== this.position) {
        badPosition = this.position
        continue
      }
      if (isTail || !visitor.gap(gap)) {
        this.tail = gap
        return
      }
      this.position = gap.end
      await visitor.pause(gap.end - gap.position)
    }
  }

  /** Visits whole records. @returns what stands behind them, or null at the limit. */
  async #walkWhole(visitor: SurveyVisitor): Promise<BadPlace | null> {
    const { start } = this.#source
    let window = ByteWindow.allocate(WINDOW_SIZE)
    for (;;) {
      const wanted = Math.min(window.size, this.limit - this.position)
      const size = wanted > 0 ? await this.#file.read(window.bytes.subarray(0, wanted), this.position - start) : 0
      let offset = 0
      let result = this.#check(window, 0, size)
      while (typeof result === 'number') {
        this.proven = Math.max(this.proven, provenBy(window.view, offset)) as LogPosition
        const position = positionOf(window.view, offset)
        visitor.record({ window, offset, position, size: result })
        this.#behind = LogPosition.plus(position, result)
        offset += result
        this.position = LogPosition.plus(this.position, result)
        result = this.#check(window, offset, size)
      }
      await visitor.pause(offset)
      if (this.position === this.limit) return null
      const isLast = size < wanted || this.position + (size - offset) >= this.limit
      if (result !== 'cut off' || isLast) {
        const frameSize = checkFrame(window, offset, size)
        return {
          what: result === 'cut off' && isZero(window.bytes.subarray(offset, size)) ? 'zeros' : result,
          claims: claimsOf(window, offset, size),
          frameSize: isUnsupported(result) && typeof frameSize === 'number' ? frameSize : null,
        }
      }
      if (offset === 0) window = ByteWindow.allocate(Math.min(window.size * 2, this.limit - this.position))
    }
  }

  #check(window: ByteWindow, offset: number, size: number): number | RecordDamage {
    const { seed, compactEnd } = this.#source
    if (compactEnd === null) return checkRecord(window, offset, size, this.position, seed)
    return checkCompactRecord(window, offset, size, this.#behind, compactEnd, seed)
  }

  async #gapAt({ what, claims, frameSize }: BadPlace): Promise<Gap> {
    const { position, limit } = this
    const next =
      frameSize === null
        ? await findRecord(this.#source, LogPosition.plus(position, 1), limit)
        : LogPosition.plus(position, frameSize)
    const end = next ?? limit
    const { start } = this.#source
    const failure = this.#file.failureIn(position - start, end - start)
    const isProven =
      failure !== null ||
      this.footer !== null ||
      this.isFollowed ||
      Math.max(this.#bounds.hinted, this.proven) > position ||
      (next !== null && (await this.#findProof(next)) > position)
    const text = [failure ?? what, claims].filter(Boolean).join('; ')
    return { position, end, what, text, isUnreadable: failure !== null, isProven }
  }

  /** What all the records from `from` on prove; looked up once, at the first bad place. */
  async #findProof(from: LogPosition): Promise<LogPosition> {
    if (this.#provenBehind !== null) return this.#provenBehind
    let proven = LogPosition.start
    await searchRecords(this.#source, from, this.limit, ({ window, offset }) => {
      proven = Math.max(proven, provenBy(window.view, offset)) as LogPosition
      return true
    })
    this.#provenBehind = proven
    return proven
  }

  /** Whether there is any whole record at or behind `position`. */
  async hasRecord(): Promise<boolean> {
    return this.frame !== null && (await findRecord(this.#source, this.position, this.limit)) !== null
  }

  /** Behind the last byte of the file that is not zero, `from` at least. */
  nonZeroEnd(from: LogPosition): Promise<LogPosition> {
    return nonZeroEnd(this.#source, from)
  }

  /** Rewritten without dead records. */
  get isCompact(): boolean {
    return (this.head.header?.generation ?? 0) > 0 || (this.footer !== null && this.footer.directory !== null)
  }

  /** Whether what stands behind the last record has exactly the size of a footer that can't be read. */
  get endsLikeFooter(): boolean {
    const dataSize = this.position - this.#source.start
    return this.footer === null && this.fileSize === dataSize + blockCountOf(dataSize) * 4 + CHUNK_FOOTER_SIZE
  }

  /** What was durable and is not there: the file ends behind a whole record, before the hint of its store does. Null: nothing. */
  get missing(): { readonly size: number; readonly what: string } | null {
    const { hinted } = this.#bounds
    const { start } = this.#source
    const end = Math.min(hinted, start + (this.head.header?.chunkSize ?? MAX_CHUNK_SIZE))
    if (this.footer !== null || this.tail !== null || end <= this.position) return null
    return { size: end - this.position, what: `the file ends, though everything before ${hinted} was durable` }
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#file.read(target, offset)
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  get #source(): RecordSource {
    const start = this.frame?.start ?? LogPosition.start
    const compactEnd = this.isCompact ? LogPosition.plus(start, this.head.header?.chunkSize ?? MAX_CHUNK_SIZE) : null
    return { file: this.#file, start, seed: this.frame?.seed ?? 0, compactEnd }
  }
}

function misfitOf(footer: ChunkFooter, frame: ChunkFrame): string | null {
  if (footer.start !== frame.start) return `a footer that says the chunk starts at ${footer.start}`
  return frame.storeId !== null && Buffer.compare(footer.storeId, frame.storeId) !== 0 ? 'a footer of another store' : null
}
