import { MAX_APPEND_SIZE } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { CHUNK_HEADER_SIZE } from '../format/chunk-header.ts'
import {
  checkRecord,
  checksumSeed,
  claimedPositionAt,
  MIN_RECORD_SIZE,
  provenBy,
  RECORD_HEAD_SIZE,
  type RecordDamage,
} from '../format/log-record.ts'
import type { ChunkFile } from './chunk-file.ts'

const MIN_WINDOW_SIZE = 1 << 16
const MAX_WINDOW_SIZE = 1 << 20
/** Compared at once: few calls for megabytes of zeros, and few bytes one by one where they end. */
const ZEROS = Buffer.alloc(4096)

/** A whole record as it passes by. The window is reused: copy what you keep. */
export interface ScannedRecord {
  readonly window: ByteWindow
  readonly offset: number
  readonly position: LogPosition
  readonly size: number
}

export interface ScanEnd {
  /** Behind the last whole record. */
  readonly position: LogPosition
  /** What stands there: zeros or the end of the file, or some damage. */
  readonly damage: RecordDamage
  /** From there to the end of the file, or to where the scan was to end, stands nothing but zeros. */
  readonly isZeroToEnd: boolean
}

/**
 * Reads a chunk's records from `from` in order, checking each, and hands them to `visit`.
 * @returns where and why it ended: at the first bytes that are no record.
 */
export async function scanChunk(
  chunk: ChunkFile,
  from: LogPosition,
  to: LogPosition,
  visit: (record: ScannedRecord) => void,
): Promise<ScanEnd> {
  const seed = checksumSeed(chunk.header.storeId)
  let window = windowFor(chunk, from, to)
  let position = from
  for (;;) {
    const wanted = Math.min(window.size, to - position)
    const size = await chunk.file.read(window.bytes.subarray(0, wanted), chunk.offsetOf(position))
    let offset = 0
    let result = checkRecord(window, 0, size, position, seed)
    while (typeof result === 'number') {
      visit({ window, offset, position, size: result })
      offset += result
      position = LogPosition.plus(position, result)
      result = checkRecord(window, offset, size, position, seed)
    }
    const isLast = size < wanted || position + (size - offset) >= to
    if (result !== 'cut off' || isLast) {
      const isZeros = nextNonZero(window, offset, size) === size
      return { position, damage: result === 'cut off' && isZeros ? 'zeros' : result, isZeroToEnd: isLast && isZeros }
    }
    // A record may be longer than the window; its size, plausible or not, is bounded by the chunk.
    if (offset === 0 || window.size < MAX_WINDOW_SIZE) window = twice(window, to - position)
  }
}

export interface SearchEnd {
  /** Behind the last byte that is not zero. */
  readonly nonZeroEnd: LogPosition
  /** The furthest position that any record found proves durable. */
  readonly proven: LogPosition
}

/** Looks for whole records behind a damage: each place whose position field names itself and whose checksum holds. */
export async function searchBehind(
  chunk: ChunkFile,
  from: LogPosition,
  to: LogPosition,
  visit: (record: ScannedRecord) => void = () => {},
): Promise<SearchEnd> {
  const seed = checksumSeed(chunk.header.storeId)
  let window = windowFor(chunk, from, to)
  let nonZeroEnd = from
  let proven = LogPosition.start
  let position = from
  while (position < to) {
    const wanted = Math.min(window.size, to - position)
    const size = await chunk.file.read(window.bytes.subarray(0, wanted), chunk.offsetOf(position))
    const isLast = size < wanted || position + size >= to
    // A record begins with its size and its position field; the last bytes of a window are the first of the next one.
    const searched = isLast ? size : size - RECORD_HEAD_SIZE
    let offset = 0
    while (offset < searched) {
      // The size of a record is not zero, so none begins more than three bytes before a byte that is not zero.
      const nonZero = nextNonZero(window, offset, size)
      offset = Math.max(offset, nonZero - 3)
      if (nonZero === size || offset >= searched) break
      nonZeroEnd = LogPosition.plus(position, nonZero + 1)
      const here = LogPosition.plus(position, offset)
      if (offset + RECORD_HEAD_SIZE <= size && claimedPositionAt(window.view, offset) === here) {
        const record = await wholeRecord(chunk, window, offset, size, here, to, seed)
        if (record !== null) {
          visit(record)
          proven = Math.max(proven, provenBy(record.window.view, record.offset)) as LogPosition
          nonZeroEnd = LogPosition.plus(here, record.size)
          offset += record.size
          continue
        }
      }
      offset++
    }
    if (isLast) break
    // Behind a record that was read by itself, or at the first place of this window that was not searched.
    position = LogPosition.plus(position, Math.max(offset, searched))
    if (window.size < MAX_WINDOW_SIZE) window = twice(window, to - position)
  }
  return { nonZeroEnd, proven }
}

/** The record at `offset` if it is whole; one that reaches beyond the window is read by itself. */
async function wholeRecord(
  chunk: ChunkFile,
  window: ByteWindow,
  offset: number,
  size: number,
  position: LogPosition,
  to: LogPosition,
  seed: number,
): Promise<ScannedRecord | null> {
  const result = checkRecord(window, offset, size, position, seed)
  if (typeof result === 'number') return { window, offset, position, size: result }
  const claimedSize = window.view.getUint32(offset, true)
  if (result !== 'cut off' || claimedSize > Math.min(MAX_APPEND_SIZE, to - position)) return null
  // Payloads may be made of what claims to be large records: of most, the size behind them is none.
  const behind = ByteWindow.allocate(4)
  const count = await chunk.file.read(behind.bytes, chunk.offsetOf(position) + claimedSize - behind.size)
  if (count < behind.size || behind.view.getUint32(0, true) !== claimedSize) return null
  const own = ByteWindow.allocate(claimedSize)
  const filled = await chunk.file.read(own.bytes, chunk.offsetOf(position))
  const again = checkRecord(own, 0, filled, position, seed)
  return typeof again === 'number' ? { window: own, offset: 0, position, size: again } : null
}

/** Behind the header of an empty chunk there is nothing but zeros, or nothing at all. */
export async function isEmptyChunk(chunk: ChunkFile): Promise<boolean> {
  const { nonZeroEnd } = await searchBehind(chunk, chunk.firstRecord, chunk.end)
  return !chunk.isComplete && chunk.offsetOf(nonZeroEnd) === CHUNK_HEADER_SIZE
}

/** About as much memory as the file had bytes when it was looked at; it may have grown since, and then the window grows, too. */
function windowFor(chunk: ChunkFile, from: LogPosition, to: LogPosition): ByteWindow {
  // One more, so that the first read meets the end of the file.
  const left = Math.max(MIN_WINDOW_SIZE, chunk.filledSize - chunk.offsetOf(from) + 1)
  return ByteWindow.allocate(Math.max(MIN_RECORD_SIZE, Math.min(left, MAX_WINDOW_SIZE, to - from)))
}

/** For what is left behind a window that was full. */
function twice(window: ByteWindow, left: number): ByteWindow {
  return ByteWindow.allocate(Math.max(MIN_RECORD_SIZE, Math.min(window.size * 2, left)))
}

/** The first byte from `offset` on that is not zero, or `size`. */
function nextNonZero(window: ByteWindow, offset: number, size: number): number {
  const { bytes, words } = window
  if (offset < size && bytes[offset] !== 0) return offset
  let at = offset
  while (at < size) {
    const end = Math.min(at + ZEROS.length, size)
    if (ZEROS.compare(bytes, at, end, 0, end - at) !== 0) break
    at = end
  }
  while (at < size && at & 3) {
    if (bytes[at] !== 0) return at
    at++
  }
  let word = at >> 2
  while ((word << 2) + 4 <= size && words[word] === 0) word++
  for (at = Math.max(at, word << 2); at < size; at++) if (bytes[at] !== 0) return at
  return size
}
