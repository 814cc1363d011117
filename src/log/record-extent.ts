import { KIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { LogReader } from './log-reader.ts'

/** Records with less than this between their beginnings are read in one: so much costs less to copy than another read. */
const NEAR_SIZE = 4 * KIB
/** What is read in one is no larger than this, if it is more than one record. */
export const EXTENT_SIZE = 16 * KIB

/** What is read of a record that is read alone: twice the mean of its chunk, within these bounds. */
const MIN_USUAL_SIZE = 512
const MAX_USUAL_SIZE = 4 * KIB
/** Of the active chunk, of which no mean is known. */
const USUAL_SIZE = KIB

/** Where a record stands, as the index has it. */
export interface PlaceInLog {
  readonly position: LogPosition
}

/** Places that are neighbours in the log, of which the records are read in one. */
export interface Extent {
  readonly chunk: ChunkFile
  /** The index of its first place. */
  readonly first: number
  /** Behind the index of its last place. */
  readonly end: number
  /** Where the lowest of the records begins. */
  readonly start: LogPosition
  /** What is read from there; the last record may be larger than that. */
  readonly size: number
}

/**
 * The extent of the place at `first` and of those behind it that lie near.
 * @param end places from here on are not looked at.
 * @param limit bytes at or behind it are not read.
 */
export function extentAt(log: LogReader, places: readonly PlaceInLog[], first: number, end: number, limit: LogPosition): Extent {
  let low = places[first]!.position
  let high = low
  const chunk = log.chunkOf(low)
  const usual = usualSizeIn(chunk)
  let behind = first + 1
  for (; behind < end; behind++) {
    const { position } = places[behind]!
    // What is in memory now may stand elsewhere, or nowhere, when the reader comes by.
    if (log.recentSlab(position) !== undefined) break
    if (Math.abs(position - places[behind - 1]!.position) > NEAR_SIZE || position < chunk.start || position >= chunk.end) break
    if (Math.max(high, position) - Math.min(low, position) + usual > EXTENT_SIZE) break
    if (position < low) low = position
    else high = position
  }
  const size = Math.min(high - low + usual, log.availableIn(chunk, low, limit))
  return { chunk, first, end: behind, start: low, size }
}

/** What its records are taken for before they are read. Large events are few in a load, though little is read of each at first. */
export function expectedSizeOf({ chunk, first, end, size }: Extent): number {
  return Math.max(size, (end - first) * meanSizeIn(chunk))
}

function usualSizeIn(chunk: ChunkFile): number {
  const mean = meanSizeIn(chunk)
  return mean === 0 ? USUAL_SIZE : Math.min(MAX_USUAL_SIZE, Math.max(MIN_USUAL_SIZE, Math.ceil(2 * mean)))
}

/** 0 when none is known: in the active chunk, which has no more than recent bytes and one chunk. */
function meanSizeIn({ footer }: ChunkFile): number {
  return footer === null || footer.eventCount === 0 ? 0 : footer.dataSize / footer.eventCount
}
