import { CorruptLogError } from '../core/errors.ts'
import { BLOCK_SIZE, MAX_APPEND_SIZE } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import type { Disk } from '../disk/disk.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { CHUNK_HEADER_SIZE } from '../format/chunk-header.ts'
import {
  checkRecord,
  claimedPositionAt,
  MIN_RECORD_SIZE,
  positionOf,
  type RecordDamage,
  sizeBefore,
  sizeOf,
} from '../format/log-record.ts'
import type { BlockCache } from './block-cache.ts'
import { cachedRecord, checkStored, SIZE_SIZE } from './cached-record.ts'
import { readBytes, verifyBlocks } from './chunk-bytes.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { ChunkSequence } from './chunk-sequence.ts'
import { compactRecordInMemory, loadCompactRecord, readCompactBackward, readCompactForward } from './compact-reading.ts'
import type { RecentBytes, Slab } from './recent-bytes.ts'
import type { RecordBatch, RecordPlace } from './record-batch.ts'

/**
 * Reads records, forwards, backwards and one by one: from recent bytes when it can, from the files otherwise. Completed
 * chunks are verified by block, the active one by record. It reads whatever it is asked for; whoever asks stays below the
 * position that may be shown.
 */
export class LogReader {
  /** Where the chunks are. */
  readonly disk: Disk
  readonly #chunks: ChunkSequence
  readonly #recent: RecentBytes
  readonly cache: BlockCache
  readonly #seed: number

  constructor(disk: Disk, chunks: ChunkSequence, recent: RecentBytes, cache: BlockCache, seed: number) {
    this.disk = disk
    this.#chunks = chunks
    this.#recent = recent
    this.cache = cache
    this.#seed = seed
  }

  /** The slab that holds `position`, for a follower that keeps up with the writer and keeps nothing. */
  recentSlab(position: LogPosition): Slab | undefined {
    return this.#recent.find(position)
  }

  /** Grows each time a chunk is replaced: what was read before may have been given up since. */
  get replacedCount(): number {
    return this.#chunks.replacedCount
  }

  /** `position`, or the place behind it where the next chunk with records begins, when no record stands there. */
  skipGap(position: LogPosition): LogPosition {
    let at = position
    for (let chunk: ChunkFile | undefined = this.#chunks.find(position); chunk !== undefined; chunk = this.#chunks.after(chunk)) {
      at = Math.max(at, chunk.firstRecord) as LogPosition
      // A chunk may be completed without a record, when its only group was taken back.
      if (chunk.dataEnd === null || at < chunk.dataEnd) return at
    }
    return at
  }

  /**
   * Reads whole records from the record at `from` on, about `maxSize` bytes of them, at least one, none at or behind `limit`.
   * @returns null when there is none below `limit`.
   * @throws CorruptLogError, ReadFailedError
   */
  async readForward(from: LogPosition, limit: LogPosition, maxSize: number): Promise<RecordBatch | null> {
    const start = this.skipGap(from)
    if (start >= limit) return null
    const slab = this.#recent.find(start)
    if (slab !== undefined) return this.#copyForward(slab, start, limit, maxSize)
    const chunk = this.#chunks.find(start)
    if (!chunk.isCompact) return chunk.held(() => this.#readChunkForward(chunk, start, limit, maxSize))
    if (start >= chunk.dataEnd!) return null
    // There is none in it when `start` lies within its last record.
    return (
      (await chunk.held(() => readCompactForward(chunk, start, limit, maxSize))) ?? this.readForward(chunk.end, limit, maxSize)
    )
  }

  async #readChunkForward(
    chunk: ChunkFile,
    start: LogPosition,
    limit: LogPosition,
    maxSize: number,
  ): Promise<RecordBatch | null> {
    const end = this.#endInFile(chunk, start, limit)
    if (start >= end) return null
    for (let wanted = maxSize; ; wanted *= 2) {
      const stop = Math.min(end, start + wanted) as LogPosition
      const { window, offset, size, verified } = await this.#readRange(chunk, start, stop)
      const offsets: number[] = []
      let at = offset
      while (at < size) {
        const position = LogPosition.plus(start, at - offset)
        const result = this.#check(verified, window, at, size, position)
        if (typeof result === 'number') {
          offsets.push(at)
          at += result
        } else if (result === 'cut off' && stop < end) break
        else throw this.#corrupt(chunk, position, result)
      }
      if (offsets.length > 0) return { window, offsets, next: LogPosition.plus(start, at - offset) }
    }
  }

  /** Reads whole records that end at or before `before`, newest first. @returns null when there is none. */
  async readBackward(before: LogPosition, maxSize: number): Promise<RecordBatch | null> {
    let chunk = this.#chunks.find(before)
    let end = Math.min(before, chunk.dataEnd ?? before) as LogPosition
    for (;;) {
      while (end <= chunk.firstRecord) {
        const previous = this.#chunks.before(chunk)
        if (previous === undefined) return null
        chunk = previous
        end = chunk.dataEnd!
      }
      const found = await this.#readChunkBackward(chunk, end, maxSize)
      if (found !== null) return found
      end = chunk.firstRecord
    }
  }

  /** @returns null when the chunk is compact and has no record before `end`. */
  #readChunkBackward(chunk: ChunkFile, end: LogPosition, maxSize: number): Promise<RecordBatch | null> {
    return chunk.held(() =>
      chunk.isCompact ? readCompactBackward(chunk, end, maxSize) : this.#readPlainBackward(chunk, end, maxSize),
    )
  }

  async #readPlainBackward(chunk: ChunkFile, end: LogPosition, maxSize: number): Promise<RecordBatch> {
    for (let wanted = maxSize; ; wanted *= 2) {
      const start = Math.max(chunk.firstRecord, end - wanted) as LogPosition
      const { window, offset, size, verified } = await this.#readRangeOrRecent(chunk, start, end)
      const offsets: number[] = []
      let at = size
      while (at > offset) {
        const recordSize = at - offset >= MIN_RECORD_SIZE ? sizeBefore(window.view, at) : Number.POSITIVE_INFINITY
        const isWhole = recordSize >= MIN_RECORD_SIZE && recordSize <= at - offset
        if (!isWhole && start > chunk.firstRecord) break
        const position = LogPosition.plus(start, at - offset - (isWhole ? recordSize : 0))
        const result = isWhole ? this.#check(verified, window, at - recordSize, at, position) : 'implausible size'
        if (typeof result !== 'number') {
          throw this.#corrupt(chunk, LogPosition.plus(start, at - offset), `no whole record before it (${result})`)
        }
        at -= recordSize
        offsets.push(at)
      }
      if (offsets.length > 0) return { window, offsets, next: LogPosition.plus(start, at - offset) }
    }
  }

  /** The record at `position` if its bytes are in memory already; null also for a record that is gone. */
  recordInMemory(position: LogPosition): RecordPlace | null {
    const slab = this.#recent.find(position)
    if (slab !== undefined) return { window: slab.window, offset: LogPosition.minus(position, slab.start), isOwn: false }
    const chunk = this.#chunks.find(position)
    if (chunk.isCompact) return compactRecordInMemory(chunk, position, this.cache)
    return cachedRecord(this.cache, chunk, position, this.#seed)
  }

  /**
   * The record at `position`, read from its file and through the cache.
   * @param limit bytes at or behind it are not read.
   * @returns null when it is gone: a scavenge has dropped it, whether it left a stub or not.
   * @throws CorruptLogError, ReadFailedError
   */
  loadRecord(position: LogPosition, limit: LogPosition): Promise<RecordPlace | null> {
    const chunk = this.#chunks.find(position)
    return chunk.held(() =>
      chunk.isCompact ? loadCompactRecord(chunk, position, this.cache) : this.#loadPlainRecord(chunk, position, limit),
    )
  }

  /** The chunk whose range of positions holds it. */
  chunkOf(position: LogPosition): ChunkFile {
    return this.#chunks.find(position)
  }

  /** Whether the block of `position` shall be read for the cache: it is not there, and there is room or one is wanted. */
  wantsBlockOf(chunk: ChunkFile, position: LogPosition): boolean {
    const offset = chunk.offsetOf(position)
    return !this.cache.has(chunk.cacheKeyOf(offset - (offset % BLOCK_SIZE))) && this.cache.admits()
  }

  /** How many bytes the file of a chunk that is not compact has from `position` on, below `limit`. */
  availableIn(chunk: ChunkFile, position: LogPosition, limit: LogPosition): number {
    return Math.max(0, this.#endInFile(chunk, position, limit) - position)
  }

  /** @returns the size of the whole record of `position` that stands at `offset` of the window, below `limit`, or why there is none. */
  check(window: ByteWindow, offset: number, limit: number, position: LogPosition): number | RecordDamage {
    return checkRecord(window, offset, limit, position, this.#seed)
  }

  async #loadPlainRecord(chunk: ChunkFile, position: LogPosition, limit: LogPosition): Promise<RecordPlace> {
    const offset = chunk.offsetOf(position)
    const blockOffset = offset - (offset % BLOCK_SIZE)
    const end = this.#endInFile(chunk, position, limit)
    const stop = Math.min(end, chunk.start + blockOffset + BLOCK_SIZE) as LogPosition
    const block = await this.#readRange(chunk, LogPosition.plus(chunk.start, blockOffset), stop)
    if (block.offset === 0 && block.window.size === BLOCK_SIZE && block.size === BLOCK_SIZE)
      this.cache.put(chunk.cacheKeyOf(blockOffset), block)
    const at = block.offset + (offset - blockOffset)
    const result = this.#check(block.verified, block.window, at, block.size, position)
    if (typeof result === 'number') return { window: block.window, offset: at, isOwn: false }
    if (result !== 'cut off' || stop === end) throw this.#corrupt(chunk, position, result)
    // Its size is told in its first bytes, if they are in this block: whoever keeps the event keeps all that is read.
    const size = block.size - at >= SIZE_SIZE ? sizeOf(block.window.view, at) : BLOCK_SIZE
    const { window, offsets } = (await this.#readChunkForward(chunk, position, end, Math.min(size, MAX_APPEND_SIZE)))!
    return { window, offset: offsets[0]!, isOwn: true }
  }

  /** The first place at or behind `position` where a record stands; `limit` when there is none below it. */
  async boundaryFrom(position: LogPosition, limit: LogPosition): Promise<LogPosition> {
    const start = this.skipGap(position)
    if (start >= limit) return limit
    const slab = this.#recent.find(start)
    if (slab !== undefined) return boundaryInSlab(slab, start)
    const chunk = this.#chunks.find(start)
    if (chunk.isCompact) {
      const batch = await this.readForward(start, limit, 1)
      return batch === null ? limit : positionOf(batch.window.view, batch.offsets[0]!)
    }
    if (start === chunk.firstRecord || (await this.#isRecord(chunk, start, limit))) return start
    // It names no record: the records are walked from the beginning of the chunk.
    let at = chunk.firstRecord
    while (at < start) {
      const batch = await this.readForward(at, limit, 16 * BLOCK_SIZE)
      // The chunk was rewritten meanwhile, and nothing stands there any more.
      if (batch === null) return limit
      for (const offset of batch.next > start ? batch.offsets : []) {
        const here = claimedPositionAt(batch.window.view, offset)
        if (here >= start) return here as LogPosition
      }
      at = batch.next
    }
    return this.skipGap(at)
  }

  /** Whether a record stands at `start`, which may be any place: nothing there is believed before its checksum. */
  #isRecord(chunk: ChunkFile, start: LogPosition, limit: LogPosition): Promise<boolean> {
    return chunk.held(() => this.#isWholeRecord(chunk, start, limit))
  }

  async #isWholeRecord(chunk: ChunkFile, start: LogPosition, limit: LogPosition): Promise<boolean> {
    const end = this.#endInFile(chunk, start, limit)
    for (let wanted = BLOCK_SIZE; ; wanted = 2 * MAX_APPEND_SIZE) {
      const stop = Math.min(end, start + wanted) as LogPosition
      const { window, offset, size } = await this.#readRange(chunk, start, stop)
      const result = checkRecord(window, offset, size, start, this.#seed)
      if (result !== 'cut off' || stop === end) return typeof result === 'number'
    }
  }

  /** How far the file of `chunk` is to be read: what is in memory may not have been written yet. */
  #endInFile(chunk: ChunkFile, from: LogPosition, limit: LogPosition): LogPosition {
    const inMemory = this.#recent.start
    const written = inMemory !== null && inMemory > from ? inMemory : limit
    return Math.min(limit, written, chunk.dataEnd ?? limit, chunk.end) as LogPosition
  }

  #copyForward(slab: Slab, start: LogPosition, limit: LogPosition, maxSize: number): RecordBatch {
    const end = Math.min(slab.end, limit)
    const offsets: number[] = []
    const first = LogPosition.minus(start, slab.start)
    const stop = LogPosition.minus(end, slab.start)
    let at = first
    while (at < stop && (offsets.length === 0 || at - first < maxSize)) {
      offsets.push(at - first)
      at += sizeOf(slab.window.view, at)
    }
    const window = ByteWindow.allocate(at - first)
    slab.window.bytes.copy(window.bytes, 0, first, at)
    return { window, offsets, next: LogPosition.plus(slab.start, at) }
  }

  /** Bytes of one chunk, from memory as far back as they are there. */
  async #readRangeOrRecent(chunk: ChunkFile, start: LogPosition, end: LogPosition): Promise<Range> {
    let slab = this.#recent.find(LogPosition.plus(end, -1))
    if (slab === undefined) return this.#readRange(chunk, start, end)
    const window = ByteWindow.allocate(LogPosition.minus(end, start))
    let from = end
    while (from > start && slab !== undefined) {
      const to = from
      from = Math.max(start, slab.start) as LogPosition
      slab.window.bytes.copy(window.bytes, from - start, from - slab.start, to - slab.start)
      slab = this.#recent.find(LogPosition.plus(from, -1))
    }
    if (from > start) {
      const before = await this.#readRange(chunk, start, from)
      before.window.bytes.copy(window.bytes, 0, before.offset, before.size)
    }
    return { window, offset: 0, size: LogPosition.minus(end, start), verified: false }
  }

  /** Bytes of one chunk from the file: of a completed chunk whole blocks, verified. `offset` is that of `start`. */
  async #readRange(chunk: ChunkFile, start: LogPosition, end: LogPosition): Promise<Range> {
    const { footer } = chunk
    const from = chunk.offsetOf(start)
    const to = Math.min(chunk.offsetOf(end), footer?.dataSize ?? chunk.offsetOf(end))
    const first = footer === null ? from : from - (from % BLOCK_SIZE)
    const last = footer === null ? to : Math.min(footer.dataSize, Math.ceil(to / BLOCK_SIZE) * BLOCK_SIZE)
    const window = ByteWindow.allocate(Math.max(MIN_RECORD_SIZE, last - first))
    const bytes = window.bytes.subarray(0, last - first)
    await readBytes(chunk, bytes, first)
    if (footer !== null) verifyBlocks(chunk, bytes, first)
    return { window, offset: from - first, size: to - first, verified: footer !== null }
  }

  #check(verified: boolean, window: ByteWindow, offset: number, limit: number, position: LogPosition): number | RecordDamage {
    return checkStored(verified, window, offset, limit, position, this.#seed)
  }

  #corrupt(chunk: ChunkFile, position: LogPosition, found: string): CorruptLogError {
    return new CorruptLogError(
      chunk.path,
      position,
      chunk.offsetOf(position) < CHUNK_HEADER_SIZE ? 'no record starts here' : found,
    )
  }
}

interface Range {
  readonly window: ByteWindow
  readonly offset: number
  readonly size: number
  readonly verified: boolean
}

/** A slab begins with a record. */
function boundaryInSlab(slab: Slab, position: LogPosition): LogPosition {
  let at = slab.start
  while (at < position) at = LogPosition.plus(at, sizeOf(slab.window.view, LogPosition.minus(at, slab.start)))
  return at
}
