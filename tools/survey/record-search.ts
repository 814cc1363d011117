import { MAX_APPEND_SIZE } from '#engine/core/limits.ts'
import { LogPosition } from '#engine/core/positions.ts'
import { ByteWindow } from '#engine/format/byte-window.ts'
import { checkRecord, claimedPositionAt, MIN_RECORD_SIZE, RECORD_HEAD_SIZE } from '#engine/format/log-record.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'
import type { ReadableFile } from './patchy-file.ts'

export const WINDOW_SIZE = 1 << 20

/** Where records are looked for: a file, the position of its first byte, and what the checksums begin with. */
export interface RecordSource {
  readonly file: ReadableFile
  readonly start: LogPosition
  readonly seed: number
  /** In a compact chunk, where the place of a record in the file does not tell its position: behind the last one. Else null. */
  readonly compactEnd: LogPosition | null
}

/**
 * Looks for whole records at every byte: each place whose position field names itself and whose checksum holds. Works on a
 * file whose header is gone, which searchBehind of the engine, made for a ChunkFile, does not.
 * @param visit is given the record's place, too: the file's start plus the offset. Returns false to end the search.
 */
export async function searchRecords(
  source: RecordSource,
  from: LogPosition,
  to: LogPosition,
  visit: (record: ScannedRecord, place: LogPosition) => boolean,
): Promise<void> {
  const { file, start } = source
  const window = ByteWindow.allocate(Math.max(MIN_RECORD_SIZE, Math.min(WINDOW_SIZE, to - from)))
  let position: number = from
  while (position < to) {
    const wanted = Math.min(window.size, to - position)
    const size = await file.read(window.bytes.subarray(0, wanted), position - start)
    const isLast = size < wanted || position + size >= to
    // The head of a record that begins in the last bytes is in the next window.
    const searched = isLast ? size : size - RECORD_HEAD_SIZE
    let offset = 0
    while (offset < searched) {
      if (isZeroWord(window, offset, size)) {
        // A record begins with its size, which is not zero, at most three bytes into this word.
        offset += (offset & 3) === 0 && isZeroWord(window, offset + 4, size) ? 4 : 1
        continue
      }
      const place = (position + offset) as LogPosition
      if (offset + RECORD_HEAD_SIZE <= size && mayBeRecord(source, window, offset, place)) {
        const record = await wholeRecord(source, window, offset, size, place, to)
        if (record !== null) {
          if (!visit(record, place)) return
          offset += record.size
          continue
        }
      }
      offset++
    }
    if (isLast) return
    position += Math.max(offset, searched)
  }
}

/** The place of the first whole record at or behind `from`, or null. */
export async function findRecord(source: RecordSource, from: LogPosition, to: LogPosition): Promise<LogPosition | null> {
  let found: LogPosition | null = null
  await searchRecords(source, from, to, (_record, place) => {
    found = place
    return false
  })
  return found
}

/** Behind the last byte of the file that is not zero, but not before `from`. */
export async function nonZeroEnd(source: RecordSource, from: LogPosition): Promise<LogPosition> {
  const buffer = Buffer.allocUnsafe(WINDOW_SIZE)
  for (let end = await source.file.size(); end > from - source.start; ) {
    const begin = Math.max(from - source.start, end - buffer.length)
    const size = await source.file.read(buffer.subarray(0, end - begin), begin)
    for (let at = size - 1; at >= 0; at--) if (buffer[at] !== 0) return LogPosition.plus(source.start, begin + at + 1)
    end = begin
  }
  return from
}

function mayBeRecord({ start, compactEnd }: RecordSource, { view }: ByteWindow, offset: number, place: LogPosition): boolean {
  const claimed = claimedPositionAt(view, offset)
  return compactEnd === null ? claimed === place : claimed > start && claimed < compactEnd
}

async function wholeRecord(
  { file, start, seed }: RecordSource,
  window: ByteWindow,
  offset: number,
  size: number,
  place: LogPosition,
  to: LogPosition,
): Promise<ScannedRecord | null> {
  const position = claimedPositionAt(window.view, offset) as LogPosition
  const result = checkRecord(window, offset, size, position, seed)
  if (typeof result === 'number') return { window, offset, position, size: result }
  const claimedSize = window.view.getUint32(offset, true)
  if (result !== 'cut off' || claimedSize > Math.min(MAX_APPEND_SIZE, to - place)) return null
  const own = ByteWindow.allocate(claimedSize)
  const filled = await file.read(own.bytes, place - start)
  const again = checkRecord(own, 0, filled, position, seed)
  return typeof again === 'number' ? { window: own, offset: 0, position, size: again } : null
}

function isZeroWord({ words }: ByteWindow, offset: number, limit: number): boolean {
  return offset + 4 <= limit && words[offset >> 2] === 0 && (offset & 3) === 0
}
