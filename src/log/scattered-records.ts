import assert from 'node:assert'
import { BLOCK_SIZE, KIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { sizeOf } from '../format/log-record.ts'
import { ChunkFile } from './chunk-file.ts'
import type { LogReader } from './log-reader.ts'
import type { RecordPlace } from './record-batch.ts'

/** Records that are read side by side. */
export const SCATTERED_COUNT = 128
/** Records with less than this between their beginnings are read in one: so much costs less to copy than another read. */
const NEAR_SIZE = 4 * KIB
/** What is read in one is no larger than this, if it is more than one record. */
const EXTENT_SIZE = 16 * KIB
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

/** What is read of a record that is read alone: twice the mean of its chunk, within these bounds. */
const MIN_USUAL_SIZE = 512
const MAX_USUAL_SIZE = 4 * KIB
/** Of the active chunk, of which no mean is known. */
const USUAL_SIZE = KIB

/** Neighbours in the log, read in one: the one at index `first` and those behind it, `count` of them. */
interface Extent {
  readonly chunk: ChunkFile
  readonly first: number
  readonly count: number
  /** Where the lowest of them begins. */
  readonly start: LogPosition
  readonly size: number
}

/** Extents that are read in one, and stand one behind the other in the window that they are read into. */
interface Request {
  readonly extents: Extent[]
  readonly chunks: ChunkFile[]
  readonly offsets: number[]
  readonly sizes: number[]
  size: number
}

/** Fills in the record of the position at `index`, whatever its size. */
type LoadOne = (index: number) => Promise<void>

/** Of the records that were asked for, some neighbours that come together. */
export class RecordLoad {
  /** The index of its first one; some behind it may have been in memory. */
  readonly first: number
  /** Behind the index of its last one. */
  readonly end: number
  /** Resolves when they are there, or when it failed: it may be that nobody waits for it. */
  readonly done: Promise<void>
  /** They are there, or it failed. */
  isOver = false
  #failure: { readonly error: unknown } | null = null

  constructor(first: number, end: number, work: Promise<void>) {
    this.first = first
    this.end = end
    this.done = work.then(
      () => {
        this.isOver = true
      },
      (error: unknown) => {
        this.isOver = true
        this.#failure = { error }
      },
    )
  }

  /** Of one that is over. @throws CorruptLogError, ReadFailedError */
  check(): void {
    if (this.#failure !== null) throw this.#failure.error
  }
}

/** Records that are being read. */
export interface ScatteredRecords {
  /**
   * One for each position that was asked for, or the first of them only, but one at least, when all would be too much at once. Null
   * when it is gone. Undefined until it has come, and of those that were in memory. In memory that does not change any more.
   */
  readonly found: (RecordPlace | null | undefined)[]
  /** In the order of the positions; they come in any order. */
  readonly loads: RecordLoad[]
}

/**
 * Reads the records at these positions, which go up or go down, side by side, but for those that are in memory. They are verified by
 * their own checksums: a block costs many times as much to read and verify as a record, so blocks are read only for the cache: as
 * long as it has room, or when it wants one.
 * @param limit bytes at or behind it are not read.
 */
export function loadScattered(log: LogReader, positions: readonly LogPosition[], limit: LogPosition): ScatteredRecords {
  const found: (RecordPlace | null | undefined)[] = []
  const loads: RecordLoad[] = []
  let request: Request | null = null
  let size = 0
  let lastBlock: number | null = null
  const isAlone = log.requestsUnderWay === 0
  const requestCount = isAlone ? Math.max(LONE_REQUEST_COUNT, positions.length * LONE_REQUEST_SHARE) : REQUEST_COUNT
  const loadOne = async (index: number): Promise<void> => {
    found[index] = log.recordInMemory(positions[index]!) ?? (await log.loadRecord(positions[index]!, limit))
  }
  const loadByBlock = async ({ first, count }: Extent): Promise<void> => {
    for (let index = first; index < first + count; index++) await loadOne(index)
  }
  const send = (): void => {
    if (request === null) return
    const { first, count } = request.extents.at(-1)!
    loads.push(new RecordLoad(request.extents[0]!.first, first + count, load(log, positions, request, found, loadOne)))
    request = null
  }
  while (found.length < positions.length && size < LOAD_SIZE) {
    const first = found.length
    if (log.recordInMemory(positions[first]!) !== null) {
      found.push(undefined)
      continue
    }
    const extent = extentAt(log, positions, first, limit)
    // Large events are few in a load, though little is read of each at first.
    size += Math.max(extent.size, extent.count * meanSizeIn(extent.chunk))
    const isByBlock = extent.chunk.isCompact || log.wantsBlockOf(extent.chunk, extent.start)
    if (isByBlock) send()
    for (let i = 0; i < extent.count; i++) found.push(undefined)
    if (isByBlock) {
      const block = blockOf(extent)
      const isSame = block !== null && block === lastBlock
      const work = isSame ? behind(loads.at(-1)!, () => loadByBlock(extent)) : loadByBlock(extent)
      loads.push(new RecordLoad(first, found.length, work))
      lastBlock = block
      continue
    }
    lastBlock = null
    request ??= { extents: [], chunks: [], offsets: [], sizes: [], size: 0 }
    join(request, extent)
    if (request.extents.length >= requestCount || request.size >= REQUEST_SIZE) send()
  }
  send()
  return { found, loads }
}

/** Of the same block: what the one has read, or failed to read, is the other's, too. */
async function behind(load: RecordLoad, work: () => Promise<void>): Promise<void> {
  await load.done
  load.check()
  await work()
}

/** Windows of records begin at multiples of four. */
function join(request: Request, extent: Extent): void {
  const { chunk, start, size } = extent
  const taken = (size + 3) & ~3
  request.extents.push(extent)
  request.chunks.push(chunk)
  request.offsets.push(chunk.offsetOf(start))
  request.sizes.push(taken)
  request.size += taken
}

/** What can't be read in one is read record by record: then it is told what is wrong with which. */
async function load(
  log: LogReader,
  positions: readonly LogPosition[],
  request: Request,
  found: (RecordPlace | null | undefined)[],
  loadOne: LoadOne,
): Promise<void> {
  const { extents, chunks, offsets, sizes, size } = request
  // Half of what is read is no record that was asked for: whoever keeps an event shall not keep that, too.
  const scratch = log.scratches.pop() ?? ByteWindow.allocate(SCRATCH_SIZE)
  assert(size <= scratch.size)
  for (const chunk of chunks) chunk.retain()
  log.requestsUnderWay++
  try {
    try {
      await ChunkFile.readPieces(log.disk, chunks, scratch.bytes.subarray(0, size), offsets, sizes)
    } catch {
      // The scratch is given up: some may still be read into it.
      for (const { first, count } of extents) for (let i = 0; i < count; i++) await loadOne(first + i)
      return
    }
    const others = takeRecords(log, positions, request, scratch, found, loadOne)
    if (log.scratches.length < SCRATCH_COUNT) log.scratches.push(scratch)
    await others
  } finally {
    log.requestsUnderWay--
    for (const chunk of chunks) chunk.release()
  }
}

/**
 * Checks what was read, and copies the whole records into a window that is no larger than they are. What is no whole record is read
 * once more: it is larger than most, or its block can say what is wrong.
 */
function takeRecords(
  log: LogReader,
  positions: readonly LogPosition[],
  { extents, sizes }: Request,
  scratch: ByteWindow,
  found: (RecordPlace | null | undefined)[],
  loadOne: LoadOne,
): Promise<unknown> | null {
  const whole: number[] = []
  const offsets: number[] = []
  let others: (() => Promise<void>)[] | null = null
  let wholeSize = 0
  for (let i = 0, from = 0; i < extents.length; from += sizes[i++]!) {
    const { chunk, first, count, start, size: extentSize } = extents[i]!
    const end = from + extentSize
    for (let index = first; index < first + count; index++) {
      const position = positions[index]!
      const offset = from + LogPosition.minus(position, start)
      const result = log.check(scratch, offset, end, position)
      if (typeof result === 'number') {
        whole.push(index)
        offsets.push(offset)
        wholeSize += (result + 3) & ~3
      } else {
        const claimedSize = result === 'cut off' && offset + 4 <= end ? sizeOf(scratch.view, offset) : 0
        others ??= []
        others.push(() => loadLarge(log, chunk, position, claimedSize, index, found, loadOne))
      }
    }
  }
  const window = ByteWindow.allocate(wholeSize)
  for (let i = 0, at = 0; i < whole.length; i++) {
    const recordSize = sizeOf(scratch.view, offsets[i]!)
    copyRecord(scratch, offsets[i]!, window, at, recordSize)
    found[whole[i]!] = { window, offset: at, isOwn: true }
    at += (recordSize + 3) & ~3
  }
  return others && Promise.all(others.map(loadOther => loadOther()))
}

async function loadLarge(
  log: LogReader,
  chunk: ChunkFile,
  position: LogPosition,
  claimedSize: number,
  index: number,
  found: (RecordPlace | null | undefined)[],
  loadOne: LoadOne,
): Promise<void> {
  if (claimedSize > 0 && claimedSize <= BLOCK_SIZE) {
    const window = ByteWindow.allocate(claimedSize)
    const filled = await chunk.read(window.bytes, chunk.offsetOf(position)).catch(() => 0)
    if (filled === claimedSize && typeof log.check(window, 0, claimedSize, position) === 'number') {
      found[index] = { window, offset: 0, isOwn: true }
      return
    }
  }
  await loadOne(index)
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

/** The extent of the position at `first` and those behind it that lie near. */
function extentAt(log: LogReader, positions: readonly LogPosition[], first: number, limit: LogPosition): Extent {
  const chunk = log.chunkOf(positions[first]!)
  const usual = usualSizeIn(chunk)
  let low = positions[first]!
  let high = low
  let end = first + 1
  for (; end < positions.length; end++) {
    const position = positions[end]!
    // What is in memory now may stand elsewhere, or nowhere, when the reader comes by.
    if (log.recentSlab(position) !== undefined) break
    if (Math.abs(position - positions[end - 1]!) > NEAR_SIZE || position < chunk.start || position >= chunk.end) break
    if (Math.max(high, position) - Math.min(low, position) + usual > EXTENT_SIZE) break
    if (position < low) low = position
    else high = position
  }
  const size = Math.min(high - low + usual, log.availableIn(chunk, low, limit))
  return { chunk, first, count: end - first, start: low, size }
}

function usualSizeIn(chunk: ChunkFile): number {
  const mean = meanSizeIn(chunk)
  return mean === 0 ? USUAL_SIZE : Math.min(MAX_USUAL_SIZE, Math.max(MIN_USUAL_SIZE, Math.ceil(2 * mean)))
}

/** 0 when none is known: in the active chunk, which has no more than recent bytes and one chunk. */
function meanSizeIn({ footer }: ChunkFile): number {
  return footer === null || footer.eventCount === 0 ? 0 : footer.dataSize / footer.eventCount
}

/** What the cache knows the block by in which the extent begins; of a compact chunk null, for it is found there by its position. */
function blockOf({ chunk, start }: Extent): number | null {
  if (chunk.isCompact) return null
  const offset = chunk.offsetOf(start)
  return chunk.cacheKeyOf(offset - (offset % BLOCK_SIZE))
}
