import assert from 'node:assert'
import { BLOCK_SIZE, KIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import type { DiskFile } from '../disk/disk.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { sizeOf } from '../format/log-record.ts'
import type { Checkpoint } from './checkpoint.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { LogReader } from './log-reader.ts'
import { EXTENT_SIZE, type Extent, expectedSizeOf, extentAt, type PlaceInLog } from './record-extent.ts'
import { RecordLoad } from './record-load.ts'

/** What is read side by side is no larger than this, beside one extent or large record. */
const LOAD_SIZE = 128 * KIB
/** So many extents, of about so many bytes, are asked for in one request: while its records are verified, the next one is read. */
const REQUEST_COUNT = 32
const REQUEST_SIZE = LOAD_SIZE / 4
/** When nobody else reads, a reader waits for its first request, and its last one is verified while nothing is read: they are smaller. */
const LONE_REQUEST_SHARE = 1 / 8
const LONE_REQUEST_COUNT = 5

/** Memory that is read into, used again: so many are kept. */
const SCRATCH_COUNT = 32
const SCRATCH_SIZE = REQUEST_SIZE + EXTENT_SIZE + 4

/**
 * How the records of an extent are read. By 'block': one by one through the cache, into which the first one brings their block. As a
 * 'piece' of a file: in one request with others, past the cache, each verified by its own checksum.
 */
type Way = 'block' | 'piece'

/** What becomes one load: extents of one block, or pieces for one request. */
interface Gathered {
  readonly way: Way
  readonly extents: Extent[]
  size: number
}

/** A record that was not whole in what was read. */
interface Unread {
  readonly chunk: ChunkFile
  readonly index: number
  /** As its first bytes say, which nothing has verified; 0 when they were not read either. */
  readonly claimedSize: number
}

/** Reads records that lie all over the log. One a store: all who read streams share its memory, and are beside one another. */
export class ScatteredReader {
  readonly #log: LogReader
  readonly #published: Checkpoint
  readonly #scratches: ByteWindow[] = []
  /** Requests that are not answered yet. */
  #requestCount = 0

  constructor(log: LogReader, published: Checkpoint) {
    this.#log = log
    this.#published = published
  }

  /**
   * Begins to read the records of the places from `first` to `end` side by side, but for those that are in memory. A block costs many
   * times as much to read and verify as a record, so blocks are read only for the cache: as long as it has room, or when it wants one.
   * @param first its record is not in memory.
   * @returns at least one, in the order of the places; places at the end are left out when all would be too much at once.
   */
  load(places: readonly PlaceInLog[], first: number, end: number): RecordLoad[] {
    const log = this.#log
    const limit = this.#published.position
    const pieceCount = this.#requestCount > 0 ? REQUEST_COUNT : Math.max(LONE_REQUEST_COUNT, (end - first) * LONE_REQUEST_SHARE)
    const loads: RecordLoad[] = []
    let gathered: Gathered | null = null
    let expectedSize = 0
    for (let index = first; index < end && expectedSize < LOAD_SIZE; ) {
      if (log.recordInMemory(places[index]!.position) !== null) {
        index++
        continue
      }
      const extent = extentAt(log, places, index, end, limit)
      index = extent.end
      expectedSize += expectedSizeOf(extent)
      const way: Way = extent.chunk.isCompact || log.wantsBlockOf(extent.chunk, extent.start) ? 'block' : 'piece'
      if (gathered === null || !goesWith(gathered, way, extent, pieceCount)) {
        if (gathered !== null) loads.push(this.#start(places, gathered, limit))
        gathered = { way, extents: [], size: 0 }
      }
      gathered.extents.push(extent)
      gathered.size += windowSize(extent.size)
    }
    // There is one: of the first place, at least.
    loads.push(this.#start(places, gathered!, limit))
    return loads
  }

  #start(places: readonly PlaceInLog[], { way, extents, size }: Gathered, limit: LogPosition): RecordLoad {
    const load = new RecordLoad(places, extents, limit)
    load.follow(way === 'block' ? this.#readEach(load) : this.#readPieces(load, size))
    return load
  }

  async #readEach(load: RecordLoad): Promise<void> {
    for (const { first, end } of load.extents) for (let index = first; index < end; index++) await this.#readOne(load, index)
  }

  /** Whatever its size. */
  async #readOne(load: RecordLoad, index: number): Promise<void> {
    const { position } = load.places[index]!
    load.put(index, this.#log.recordInMemory(position) ?? (await this.#log.loadRecord(position, load.limit)) ?? 'gone')
  }

  async #readPieces(load: RecordLoad, size: number): Promise<void> {
    // Half of what is read is no record that was asked for: whoever keeps an event shall not keep that, too.
    const scratch = this.#scratches.pop() ?? ByteWindow.allocate(SCRATCH_SIZE)
    assert(size <= scratch.size)
    const { extents } = load
    const files: DiskFile[] = []
    const offsets: number[] = []
    const sizes: number[] = []
    for (const { chunk, start, size: extentSize } of extents) {
      files.push(chunk.retain().file)
      offsets.push(chunk.offsetOf(start))
      sizes.push(windowSize(extentSize))
    }
    this.#requestCount++
    try {
      try {
        await this.#log.disk.readPieces(files, scratch.bytes.subarray(0, size), offsets, sizes)
      } catch {
        // One by one it is told what is wrong with which. The scratch is given up: some may still be read into it.
        return await this.#readEach(load)
      }
      const unread = this.#takeWhole(load, scratch)
      if (this.#scratches.length < SCRATCH_COUNT) this.#scratches.push(scratch)
      if (unread !== null) await Promise.all(unread.map(one => this.#readAgain(load, one)))
    } finally {
      this.#requestCount--
      for (const { chunk } of extents) chunk.release()
    }
  }

  /**
   * Checks what was read, and copies the whole records into a window that is no larger than they are.
   * @returns the others: each is larger than most, or its block can say what is wrong.
   */
  #takeWhole(load: RecordLoad, scratch: ByteWindow): Unread[] | null {
    const whole: number[] = []
    const offsets: number[] = []
    let wholeSize = 0
    let unread: Unread[] | null = null
    let from = 0
    for (const { chunk, first, end, start, size } of load.extents) {
      const limit = from + size
      for (let index = first; index < end; index++) {
        const { position } = load.places[index]!
        const offset = from + LogPosition.minus(position, start)
        const result = this.#log.check(scratch, offset, limit, position)
        if (typeof result === 'number') {
          whole.push(index)
          offsets.push(offset)
          wholeSize += windowSize(result)
        } else {
          unread ??= []
          const claimedSize = result === 'cut off' && offset + 4 <= limit ? sizeOf(scratch.view, offset) : 0
          unread.push({ chunk, index, claimedSize })
        }
      }
      from += windowSize(size)
    }
    const window = ByteWindow.allocate(wholeSize)
    for (let i = 0, at = 0; i < whole.length; i++) {
      const recordSize = sizeOf(scratch.view, offsets[i]!)
      copyRecord(scratch, offsets[i]!, window, at, recordSize)
      load.put(whole[i]!, { window, offset: at, isOwn: true })
      at += windowSize(recordSize)
    }
    return unread
  }

  /** Alone, if its size is known and is that of most; otherwise through the cache, where its block says what is wrong, if anything is. */
  async #readAgain(load: RecordLoad, { chunk, index, claimedSize }: Unread): Promise<void> {
    if (claimedSize > 0 && claimedSize <= BLOCK_SIZE) {
      const { position } = load.places[index]!
      const window = ByteWindow.allocate(claimedSize)
      const filled = await chunk.read(window.bytes, chunk.offsetOf(position)).catch(() => 0)
      if (filled === claimedSize && typeof this.#log.check(window, 0, claimedSize, position) === 'number') {
        load.put(index, { window, offset: 0, isOwn: true })
        return
      }
    }
    await this.#readOne(load, index)
  }
}

/** Whether the next extent belongs to the same load. */
function goesWith({ way, extents, size }: Gathered, wayOfNext: Way, next: Extent, pieceCount: number): boolean {
  if (way !== wayOfNext) return false
  return way === 'block' ? areInOneBlock(extents[0]!, next) : extents.length < pieceCount && size < REQUEST_SIZE
}

/** What the one brings into the cache, or fails to read, is the other's, too. In a compact chunk the block is found by its position only. */
function areInOneBlock({ chunk, start }: Extent, other: Extent): boolean {
  if (chunk !== other.chunk || chunk.isCompact) return false
  return Math.floor(chunk.offsetOf(start) / BLOCK_SIZE) === Math.floor(chunk.offsetOf(other.start) / BLOCK_SIZE)
}

/** Windows of records begin at multiples of four. */
function windowSize(size: number): number {
  return (size + 3) & ~3
}

/** Word by word where that can be: a call of `copy` costs as much as a record of some hundred bytes. */
function copyRecord(from: ByteWindow, offset: number, to: ByteWindow, toOffset: number, size: number): void {
  if (offset % 4 !== 0 || size > KIB) {
    from.bytes.copy(to.bytes, toOffset, offset, offset + size)
    return
  }
  const { words } = from
  const { words: toWords } = to
  const end = (offset + size + 3) >> 2
  for (let word = offset >> 2, toWord = toOffset >> 2; word < end; word++, toWord++) toWords[toWord] = words[word]!
}
