import assert from 'node:assert'
import { ReadFailedError } from '../core/errors.ts'
import { BLOCK_SIZE, KIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { sizeOf } from '../format/log-record.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { LogReader } from './log-reader.ts'
import type { RecordPlace } from './record-batch.ts'

/** Records that are read side by side. */
export const SCATTERED_COUNT = 128
/** Records with less than this between their beginnings are read in one: so much costs less to copy than another read. */
const NEAR_SIZE = 4 * KIB
/** What is read in one is no larger than this, if it is more than one record. */
const EXTENT_SIZE = 16 * KIB
/** What is read side by side is no larger than this, beside one extent: whoever keeps one of its events keeps it all. */
const LOAD_SIZE = 128 * KIB
/** So many extents of one file, of about so many bytes, are asked for at once: while they are verified, the next ones are read. */
const GROUP_COUNT = 32
const GROUP_SIZE = LOAD_SIZE / 4

/** Memory that is read into, used again: so many are kept. */
const SCRATCH_COUNT = 16
const SCRATCH_SIZE = LOAD_SIZE + EXTENT_SIZE + 4

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

/** Extents of one chunk that stand one behind the other in the window. */
interface Group {
  readonly chunk: ChunkFile
  readonly extents: Extent[]
  readonly offsets: number[]
  readonly sizes: number[]
  readonly from: number
  size: number
}

/**
 * The records at these positions, which go up or go down and none of which is in memory, read side by side and verified by their own
 * checksums. A block costs many times as much to read and verify as a record, so blocks are read only for the cache: as long as it
 * has room, or when it wants one.
 * @returns for each what `LogReader.loadRecord` does, in memory that does not change any more; for the first of them only, but one
 *   at least, when all of them would be too much at once.
 * @throws CorruptLogError, ReadFailedError
 */
export async function loadScattered(
  log: LogReader,
  positions: readonly LogPosition[],
  limit: LogPosition,
): Promise<(RecordPlace | null)[]> {
  const found: (RecordPlace | null)[] = []
  const loads: Promise<unknown>[] = []
  const groups: Group[] = []
  let size = 0
  const loadOne = async (index: number): Promise<void> => {
    found[index] = log.recordInMemory(positions[index]!) ?? (await log.loadRecord(positions[index]!, limit))
  }
  const loadByBlock = async ({ first, count }: Extent): Promise<void> => {
    for (let index = first; index < first + count; index++) await loadOne(index)
  }
  while (found.length < positions.length && size < LOAD_SIZE) {
    const extent = extentAt(log, positions, found.length, limit)
    for (let i = 0; i < extent.count; i++) found.push(null)
    if (extent.chunk.isCompact || log.wantsBlockOf(extent.chunk, extent.start)) loads.push(loadByBlock(extent))
    else size += join(groups, extent, size)
  }
  // Half of what is read is no record that was asked for: whoever keeps an event shall not keep that, too.
  const scratch = log.scratches.pop() ?? ByteWindow.allocate(SCRATCH_SIZE)
  assert(size <= scratch.size)
  for (const group of groups) {
    const load = async (): Promise<void> => {
      const target = scratch.bytes.subarray(group.from, group.from + group.size)
      await readPieces(group.chunk, target, group.offsets, group.sizes)
      await takeRecords(log, positions, group, scratch, found, loadOne)
    }
    loads.push(group.chunk.held(load))
  }
  await Promise.all(loads)
  moveOut(found, scratch)
  // Not after an error: others may still be read into it.
  if (log.scratches.length < SCRATCH_COUNT) log.scratches.push(scratch)
  return found
}

/** Copies the records that stand in `scratch` into a window that is no larger than they are. */
function moveOut(found: (RecordPlace | null)[], scratch: ByteWindow): void {
  let size = 0
  for (const place of found) if (place?.window === scratch) size += (sizeOf(scratch.view, place.offset) + 3) & ~3
  if (size === 0) return
  const window = ByteWindow.allocate(size)
  let end = 0
  for (let index = 0; index < found.length; index++) {
    const place = found[index]
    if (place?.window !== scratch) continue
    const recordSize = sizeOf(scratch.view, place.offset)
    copyRecord(scratch, place.offset, window, end, recordSize)
    found[index] = { window, offset: end, isOwn: true }
    end += (recordSize + 3) & ~3
  }
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
    if (Math.abs(position - positions[end - 1]!) > NEAR_SIZE || position < chunk.start || position >= chunk.end) break
    if (Math.max(high, position) - Math.min(low, position) + usual > EXTENT_SIZE) break
    if (position < low) low = position
    else high = position
  }
  const size = Math.min(high - low + usual, log.availableIn(chunk, low, limit))
  return { chunk, first, count: end - first, start: low, size }
}

/** @returns how much of the window, which is `used` so far, the extent takes: windows of records begin at multiples of four. */
function join(groups: Group[], extent: Extent, used: number): number {
  const { chunk, start, size } = extent
  let group = groups.at(-1)
  if (group === undefined || group.chunk !== chunk || group.extents.length === GROUP_COUNT || group.size >= GROUP_SIZE) {
    group = { chunk, extents: [], offsets: [], sizes: [], from: used, size: 0 }
    groups.push(group)
  }
  const taken = (size + 3) & ~3
  group.extents.push(extent)
  group.offsets.push(chunk.offsetOf(start))
  group.sizes.push(taken)
  group.size += taken
  return taken
}

/** Checks what was read. What is no whole record is read once more: it is larger than most, or its block can say what is wrong. */
function takeRecords(
  log: LogReader,
  positions: readonly LogPosition[],
  group: Group,
  window: ByteWindow,
  found: (RecordPlace | null)[],
  loadOne: (index: number) => Promise<void>,
): Promise<unknown> | undefined {
  let rest: Promise<void>[] | undefined
  let from = group.from
  for (let i = 0; i < group.extents.length; i++) {
    const { first, count, start, size } = group.extents[i]!
    for (let index = first; index < first + count; index++) {
      const position = positions[index]!
      const offset = from + LogPosition.minus(position, start)
      const result = log.check(window, offset, from + size, position)
      if (typeof result === 'number') found[index] = { window, offset, isOwn: true }
      else {
        const claimedSize = result === 'cut off' && offset + 4 <= from + size ? sizeOf(window.view, offset) : 0
        rest ??= []
        rest.push(loadLarge(log, group.chunk, position, claimedSize, index, found, loadOne))
      }
    }
    from += group.sizes[i]!
  }
  return rest && Promise.all(rest)
}

async function loadLarge(
  log: LogReader,
  chunk: ChunkFile,
  position: LogPosition,
  claimedSize: number,
  index: number,
  found: (RecordPlace | null)[],
  loadOne: (index: number) => Promise<void>,
): Promise<void> {
  if (claimedSize > 0 && claimedSize <= BLOCK_SIZE) {
    const window = ByteWindow.allocate(claimedSize)
    await readPieces(chunk, window.bytes, [chunk.offsetOf(position)], [claimedSize])
    if (typeof log.check(window, 0, claimedSize, position) === 'number') {
      found[index] = { window, offset: 0, isOwn: true }
      return
    }
  }
  await loadOne(index)
}

function usualSizeIn({ footer }: ChunkFile): number {
  if (footer === null || footer.eventCount === 0) return USUAL_SIZE
  return Math.min(MAX_USUAL_SIZE, Math.max(MIN_USUAL_SIZE, Math.ceil((2 * footer.dataSize) / footer.eventCount)))
}

/** Unverified, and past the cache. @throws ReadFailedError */
async function readPieces(chunk: ChunkFile, target: Buffer, offsets: readonly number[], sizes: readonly number[]): Promise<void> {
  try {
    await chunk.readPieces(target, offsets, sizes)
  } catch (error) {
    throw new ReadFailedError(`cannot read ${sizes.length} records of ${chunk.path}: ${String(error)}`, error)
  }
}
