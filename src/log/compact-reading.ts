/**
 * Reading completed chunks by file offset, and compact ones by position: there a position may name no record any more, which is
 * never damage. Blocks are verified before any field is believed.
 */
import { CorruptLogError } from '../core/errors.ts'
import { BLOCK_SIZE } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import type { BlockDirectory } from '../format/block-directory.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { CHUNK_HEADER_SIZE } from '../format/chunk-header.ts'
import { checkCompactFrame, MIN_RECORD_SIZE, positionOf, RecordType, sizeOf, typeOf } from '../format/log-record.ts'
import type { BlockCache } from './block-cache.ts'
import { readBytes, verifyBlocks } from './chunk-bytes.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { RecordBatch, RecordPlace } from './record-batch.ts'

/** Whole records of a completed chunk, in memory of their own. */
export interface RecordStretch {
  readonly window: ByteWindow
  readonly offsets: readonly number[]
  /** In the file, behind the last record. */
  readonly endOffset: number
}

/**
 * Reads whole records of a completed chunk, of any generation, past the block cache.
 * @param from the offset in the file where a record begins.
 * @param maxSize about so many bytes, at least one record.
 * @throws CorruptLogError, ReadFailedError
 */
export async function readStretch(chunk: ChunkFile, from: number, maxSize: number): Promise<RecordStretch> {
  const { dataSize } = chunk.footer!
  for (let wanted = maxSize; ; wanted *= 2) {
    const to = Math.min(dataSize, from + wanted)
    const first = from - (from % BLOCK_SIZE)
    const window = await readBlocks(chunk, first, to)
    const offsets: number[] = []
    let at = from - first
    let behind = chunk.firstRecord
    while (at < to - first) {
      const expected = chunk.isCompact ? behind : LogPosition.plus(chunk.start, first + at)
      const size = checkCompactFrame(window, at, to - first, expected, chunk.end)
      const isPlaced = chunk.isCompact || typeof size !== 'number' || positionOf(window.view, at) === expected
      if (size === 'cut off' && to < dataSize) break
      if (typeof size !== 'number' || !isPlaced) {
        const found = typeof size === 'number' ? 'wrong position' : size
        throw new CorruptLogError(chunk.path, LogPosition.plus(chunk.start, first + at), found)
      }
      behind = LogPosition.plus(positionOf(window.view, at), size)
      offsets.push(at)
      at += size
    }
    if (offsets.length > 0 || to === dataSize) return { window, offsets, endOffset: first + at }
  }
}

/** Reads forwards from the first record at or behind `from`. @returns null when there is none below `limit` in the chunk. */
export async function readCompactForward(
  chunk: ChunkFile,
  from: LogPosition,
  limit: LogPosition,
  maxSize: number,
): Promise<RecordBatch | null> {
  const directory = directoryOf(chunk)
  const end = offsetBehind(chunk, directory, limit)
  let at = directory.offsets[directory.entryAt(LogPosition.minus(from, chunk.start))]!
  while (at < end) {
    const { window, offsets, endOffset } = await readStretch(chunk, at, Math.min(end - at, Math.max(maxSize, BLOCK_SIZE)))
    const wanted = offsets.filter(offset => {
      const position = positionOf(window.view, offset)
      return position >= from && position < limit
    })
    if (wanted.length > 0) {
      const taken = upToSize(window, wanted, maxSize)
      return { window, offsets: taken, next: behindRecord(window, taken.at(-1)!) }
    }
    at = endOffset
  }
  return null
}

/** Reads records that end at or before `before`, newest first. @returns null when the chunk has none. */
export async function readCompactBackward(chunk: ChunkFile, before: LogPosition, maxSize: number): Promise<RecordBatch | null> {
  const directory = directoryOf(chunk)
  const end = offsetBehind(chunk, directory, before)
  for (let wanted = Math.max(maxSize, BLOCK_SIZE); ; wanted *= 2) {
    const from = recordAtOrBefore(directory, Math.max(CHUNK_HEADER_SIZE, end - wanted))
    if (from >= end) return null
    const { window, offsets } = await readStretch(chunk, from, end - from)
    const whole = offsets.filter(offset => behindRecord(window, offset) <= before).reverse()
    if (whole.length > 0) {
      const taken = upToSize(window, whole, maxSize)
      return { window, offsets: taken, next: positionOf(window.view, taken.at(-1)!) }
    }
    if (from === CHUNK_HEADER_SIZE) return null
  }
}

/** The event at `position` if its block is in the cache; null also when the event is gone. */
export function compactRecordInMemory(chunk: ChunkFile, position: LogPosition, cache: BlockCache): RecordPlace | null {
  const offset = offsetFor(chunk, position)
  if (offset === null) return null
  const block = cache.get(chunk.cacheKeyOf(offset - (offset % BLOCK_SIZE)))
  const found = block === undefined ? 'gone' : findInBlock(chunk, block.window, offset, position)
  return typeof found === 'string' ? null : found
}

/** The event at `position`, through the cache. @returns null when it is gone. @throws CorruptLogError, ReadFailedError */
export async function loadCompactRecord(chunk: ChunkFile, position: LogPosition, cache: BlockCache): Promise<RecordPlace | null> {
  const offset = offsetFor(chunk, position)
  if (offset === null) return null
  const blockOffset = offset - (offset % BLOCK_SIZE)
  let window = cache.get(chunk.cacheKeyOf(blockOffset))?.window
  if (window === undefined) {
    window = await readBlocks(chunk, blockOffset, blockOffset + 1)
    cache.put(chunk.cacheKeyOf(blockOffset), { window, verified: true })
  }
  const found = findInBlock(chunk, window, offset, position)
  if (found === 'gone') return null
  if (found !== 'cut off') return found
  const batch = await readCompactForward(chunk, position, LogPosition.plus(position, 1), 1)
  return batch === null ? null : eventAt(batch.window, batch.offsets[0]!)
}

/** Where to look for `position`: at the last record of the directory that stands at or before it. */
function offsetFor(chunk: ChunkFile, position: LogPosition): number | null {
  const directory = directoryOf(chunk)
  const offset = directory.offsets[directory.entryAt(LogPosition.minus(position, chunk.start))]!
  return offset < chunk.footer!.dataSize ? offset : null
}

/** Walks the heads of a block's records from the one at `offset` of the file. */
function findInBlock(
  chunk: ChunkFile,
  window: ByteWindow,
  offset: number,
  position: LogPosition,
): RecordPlace | 'gone' | 'cut off' {
  const blockOffset = offset - (offset % BLOCK_SIZE)
  const limit = Math.min(BLOCK_SIZE, chunk.footer!.dataSize - blockOffset)
  let behind = chunk.firstRecord
  for (let at = offset - blockOffset; at < limit; ) {
    const size = checkCompactFrame(window, at, limit, behind, chunk.end)
    if (size === 'cut off') return size
    if (typeof size !== 'number') throw new CorruptLogError(chunk.path, chunk.start + blockOffset + at, size)
    const here = positionOf(window.view, at)
    if (here === position) return eventAt(window, at) ?? 'gone'
    if (here > position) return 'gone'
    behind = LogPosition.plus(here, size)
    at += size
  }
  return 'gone'
}

/** A stub is what is left of an event that is gone. */
function eventAt(window: ByteWindow, offset: number): RecordPlace | null {
  return typeOf(window.view, offset) === RecordType.stub ? null : { window, offset, isOwn: false }
}

/** Whole blocks, verified, from the block that begins at `first` to the one that holds the byte before `to`. */
async function readBlocks(chunk: ChunkFile, first: number, to: number): Promise<ByteWindow> {
  const last = Math.min(chunk.footer!.dataSize, Math.ceil(to / BLOCK_SIZE) * BLOCK_SIZE)
  const window = ByteWindow.allocate(Math.max(MIN_RECORD_SIZE, last - first))
  const bytes = window.bytes.subarray(0, last - first)
  await readBytes(chunk, bytes, first)
  verifyBlocks(chunk, bytes, first)
  return window
}

function directoryOf(chunk: ChunkFile): BlockDirectory {
  return chunk.footer!.directory!
}

/** An offset that no record below `limit` reaches, and where a record or the footer begins. */
function offsetBehind(chunk: ChunkFile, directory: BlockDirectory, limit: LogPosition): number {
  // It may lie in any chunk behind this one, further away than the difference may be.
  const behind = LogPosition.minus(Math.min(limit, chunk.end), chunk.start)
  return directory.offsets[directory.entryBehind(behind)] ?? chunk.footer!.dataSize
}

/** Where the last record of the directory begins that stands at or before `offset`. */
function recordAtOrBefore(directory: BlockDirectory, offset: number): number {
  let block = Math.floor(offset / BLOCK_SIZE)
  while (block > 0 && directory.offsets[block]! > offset) block--
  return directory.offsets[block]!
}

function behindRecord(window: ByteWindow, offset: number): LogPosition {
  return LogPosition.plus(positionOf(window.view, offset), sizeOf(window.view, offset))
}

/** The first of the records, until they have `maxSize` bytes. */
function upToSize(window: ByteWindow, offsets: readonly number[], maxSize: number): number[] {
  let size = 0
  let count = 0
  while (count < offsets.length && size < maxSize) size += sizeOf(window.view, offsets[count++]!)
  return offsets.slice(0, count)
}
