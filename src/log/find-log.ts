import { CorruptLogError, UnsupportedFormatError } from '../core/errors.ts'
import { ChunkNumber, LogPosition } from '../core/positions.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import { listIfThere } from '../disk/if-there.ts'
import { isUnsupported } from '../format/log-record.ts'
import { type CheckedStart, readCheckedStart } from './active-hint.ts'
import { AppendTracker } from './append-tracker.ts'
import { ChunkFile } from './chunk-file.ts'
import { chunkFileName, chunkNumberOf, isUnfinishedChunk } from './chunk-file-names.ts'
import { isEmptyChunk, type ScanEnd, type SearchEnd, scanChunk, searchBehind } from './chunk-scan.ts'
import { ChunkSequence } from './chunk-sequence.ts'
import { closeAll } from './close-all.ts'
import { readFlushedHint } from './flushed-hint.ts'

/** Chunks that are opened at the same time. */
const OPEN_COUNT = 64
/** The last ones, to which something may have to be written: the one that was completed last, the active one, the next one. */
const WRITTEN_COUNT = 3

/** What was found in the directory, before anything in it is changed. */
export interface FoundLog {
  readonly storeId: Uint8Array
  readonly chunks: ChunkSequence
  /** The empty chunk that had been made behind the active one. */
  readonly next: ChunkFile | null
  /** The last chunk's file, if its header is damaged and nothing was ever appended to it. */
  readonly unusable: ChunkNumber | null
  /** Behind the last whole append. */
  readonly end: LogPosition
  /** Behind the last byte that is not zero: from `end` to here stands a torn tail. */
  readonly tailEnd: LogPosition
  /** What the flushed hint says; 0 without one of this store. */
  readonly hinted: LogPosition
  /** Everything below was proven durable, by the hint or by a record. */
  readonly proven: LogPosition
  readonly endsWithProof: boolean
  readonly eventCount: number
  readonly scannedBytes: number
  /** How far the active chunk was not scanned, on the word of its hint. */
  readonly checked: CheckedStart | null
  /** Names of files of chunks whose creation was interrupted. */
  readonly unfinished: readonly string[]
}

/** Where the log ends, and how that is known. */
type LogEnd = Pick<FoundLog, 'end' | 'tailEnd' | 'proven' | 'endsWithProof' | 'eventCount' | 'scannedBytes' | 'checked'>

/**
 * Finds the end of the log: opens and checks the chunks, and reads the active one record by record, from where its hint says that
 * it has been checked.
 *
 * A bad region at P is corruption exactly if a later whole record, a completed chunk or the flushed hint proves that
 * something beyond P was durable; otherwise it is a torn tail and ends the log.
 * @returns null when the directory holds no store.
 * @throws CorruptLogError, UnsupportedFormatError
 */
export async function findLog(disk: Disk, directory: string, mode: 'read' | 'write'): Promise<FoundLog | null> {
  for (;;) {
    const found = await lookForLog(disk, directory, mode)
    if (found !== 'rolled over') return found
  }
}

/** @returns 'rolled over' when another process completed the active chunk while it was being read, or its files were others then. */
async function lookForLog(disk: Disk, directory: string, mode: 'read' | 'write'): Promise<FoundLog | 'rolled over' | null> {
  // The hint comes first: whatever it covers by then is in the list, though another process goes on rolling over.
  const hint = await readFlushedHint(disk, directory)
  const names = await listIfThere(disk, directory)
  const numbers = names.map(chunkNumberOf).filter(number => number !== null)
  numbers.sort((a, b) => a - b)
  if (numbers.length === 0) {
    if (hint !== null) throw new CorruptLogError(joinPath(directory, chunkFileName(ChunkNumber.of(0))), 0, 'the chunk is missing')
    return null
  }
  const opened: ChunkFile[] = []
  try {
    const damagedHeader = await openChunks(disk, directory, numbers, mode, opened)
    const first = opened[0]
    if (first === undefined) throw new CorruptLogError(joinPath(directory, chunkFileName(numbers[0]!)), 0, damagedHeader!)
    const hinted = hint !== null && Buffer.compare(hint.storeId, first.header.storeId) === 0 ? hint.position : LogPosition.start
    const found = await findEnd(disk, directory, mode, opened, hinted, damagedHeader)
    if (found !== 'rolled over') return { ...found, unfinished: names.filter(isUnfinishedChunk) }
    await closeAll(opened)
    return found
  } catch (error) {
    await closeAll(opened).catch(() => {})
    // Of a reader: the writer has made or removed one of them since they were listed.
    if (mode === 'read' && `${await listIfThere(disk, directory).catch(() => names)}` !== `${names}`) return 'rolled over'
    throw error
  }
}

/** Opens the chunks into `opened` and checks that they follow each other. @returns what stands for the last header, if that is damaged. */
async function openChunks(
  disk: Disk,
  directory: string,
  numbers: ChunkNumber[],
  mode: 'read' | 'write',
  opened: ChunkFile[],
): Promise<string | null> {
  const results = await openEach(disk, directory, numbers, mode)
  try {
    return checkSequence(directory, numbers, results, opened)
  } finally {
    const others = results.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    await closeAll(others.filter(chunk => typeof chunk !== 'string' && !opened.includes(chunk)) as ChunkFile[])
  }
}

type OpenResult = PromiseSettledResult<ChunkFile | string>

/** Those that will not be written any more are opened for reading only: it takes one descriptor less. */
async function openEach(disk: Disk, directory: string, numbers: ChunkNumber[], mode: 'read' | 'write'): Promise<OpenResult[]> {
  const results: OpenResult[] = []
  for (let from = 0; from < numbers.length; from += OPEN_COUNT) {
    const some = numbers.slice(from, from + OPEN_COUNT)
    const opening = some.map(async (number, i) => {
      const isWritten = mode === 'write' && from + i >= numbers.length - WRITTEN_COUNT
      const chunk = await ChunkFile.open(disk, directory, number, isWritten ? 'write' : 'read')
      // For a reader, another process may replace it meanwhile.
      if (mode === 'write' && !isWritten && typeof chunk !== 'string') chunk.rest()
      return chunk
    })
    results.push(...(await Promise.allSettled(opening)))
  }
  return results
}

function checkSequence(
  directory: string,
  numbers: ChunkNumber[],
  results: readonly OpenResult[],
  opened: ChunkFile[],
): string | null {
  for (const [index, number] of numbers.entries()) {
    const previous = opened.at(-1)
    const start = previous?.end ?? LogPosition.start
    if (number !== index)
      throw new CorruptLogError(joinPath(directory, chunkFileName(ChunkNumber.of(index))), start, 'the chunk is missing')
    const result = results[index]!
    if (result.status === 'rejected') throw result.reason
    const chunk = result.value
    if (typeof chunk === 'string') {
      if (index < numbers.length - 1) throw new CorruptLogError(joinPath(directory, chunkFileName(number)), start, chunk)
      return chunk
    }
    opened.push(chunk)
    const { header, path } = chunk
    if (header.number !== number) throw new CorruptLogError(path, start, `a chunk that says it is number ${header.number}`)
    if (previous !== undefined && Buffer.compare(header.storeId, previous.header.storeId) !== 0) {
      throw new CorruptLogError(path, start, 'a chunk of another store')
    }
    if (header.start !== start) throw new CorruptLogError(path, start, `a chunk that says it starts at ${header.start}`)
  }
  return null
}

/** @param opened all of them: whoever calls closes them if this fails. */
async function findEnd(
  disk: Disk,
  directory: string,
  mode: 'read' | 'write',
  opened: ChunkFile[],
  hinted: LogPosition,
  damagedHeader: string | null,
): Promise<Omit<FoundLog, 'unfinished'> | 'rolled over'> {
  const last = opened.at(-1)!
  for (const chunk of opened.slice(-2)) await checkFooter(chunk, hinted)
  const mayBeAhead = damagedHeader === null && opened.length > 1 && !opened.at(-2)!.isComplete
  const next = mayBeAhead && (await isEmptyChunk(last)) ? last : null
  const files = next === null ? opened : opened.slice(0, -1)
  if (await hasRolledOver(files, mode)) return 'rolled over'
  const active = files.at(-1)!
  if (damagedHeader !== null) await refuseAppended(disk, directory, mode, active, hinted, damagedHeader)
  const end = active.isComplete
    ? endOfComplete(directory, active, hinted)
    : await endOfActive(disk, directory, mode, active, hinted)
  if (end === 'rolled over') return end
  const unusable = damagedHeader === null ? null : ChunkNumber.next(active.header.number)
  return { storeId: active.header.storeId, chunks: new ChunkSequence(files), next, unusable, hinted, ...end }
}

/**
 * What an event holds may look like a footer, and the file of a writer that was killed may end with it. Of a chunk that the hint does not
 * go beyond, no whole record may reach over the end that the footer speaks of.
 */
async function checkFooter(chunk: ChunkFile, hinted: LogPosition): Promise<void> {
  if (!chunk.isComplete || chunk.isCompact || hinted > chunk.end) return
  const { position } = await scanChunk(chunk, chunk.firstRecord, chunk.end, () => {})
  if (position > chunk.dataEnd!) chunk.dropFooter()
}

/**
 * Whether another process has completed the active chunk meanwhile.
 * @throws CorruptLogError when one of the chunks should have a footer, and has none.
 */
async function hasRolledOver(files: readonly ChunkFile[], mode: 'read' | 'write'): Promise<boolean> {
  // Such a file got its name with its footer: without one it is damaged, and no torn tail.
  const footless = files.find(chunk => chunk.header.generation > 0 && !chunk.isComplete)
  if (footless !== undefined) throw new CorruptLogError(footless.path, footless.start, 'a rewritten chunk without a whole footer')
  const unfinished = files.slice(0, -1).find(chunk => !chunk.isComplete)
  if (unfinished === undefined) return false
  if (mode === 'read' && (await isCompleteByNow(unfinished))) return true
  throw new CorruptLogError(unfinished.path, unfinished.start, 'a chunk without a whole footer, though records stand behind it')
}

/** The log ends with a chunk that was completed, and its footer proves it all. */
function endOfComplete(directory: string, last: ChunkFile, hinted: LogPosition): LogEnd {
  if (hinted > last.end) {
    const missing = joinPath(directory, chunkFileName(ChunkNumber.next(last.header.number)))
    throw new CorruptLogError(missing, last.end, 'the chunk is missing')
  }
  const end = last.dataEnd!
  const { eventCount } = last.footer!
  return { end, tailEnd: end, proven: end, endsWithProof: true, eventCount, scannedBytes: 0, checked: null }
}

/** The log ends with the last whole append of a chunk that is being filled, unless something proves that there was more. */
async function endOfActive(
  disk: Disk,
  directory: string,
  mode: 'read' | 'write',
  active: ChunkFile,
  hinted: LogPosition,
): Promise<LogEnd | 'rolled over'> {
  const checked = await readCheckedStart(disk, directory, active)
  const scanStart = checked?.end ?? active.firstRecord
  const appends = new AppendTracker(scanStart, checked)
  let scan = await scanChunk(active, scanStart, active.end, record => appends.visit(record))
  let behind = await whatIsBehind(active, scan)
  let proven = Math.max(hinted, appends.proven, behind.proven, scanStart) as LogPosition
  // A reader's store may grow while it is read: what was found behind the end has become its continuation by now.
  while (mode === 'read' && proven > appends.end) {
    if (await isCompleteByNow(active)) return 'rolled over'
    const again = await scanChunk(active, scan.position, active.end, record => appends.visit(record))
    if (again.position === scan.position) break
    scan = again
    behind = await whatIsBehind(active, scan)
    proven = Math.max(hinted, appends.proven, behind.proven) as LogPosition
  }
  if (isUnsupported(scan.damage)) {
    throw new UnsupportedFormatError(`${active.path}: a record of ${scan.damage} at ${scan.position}; a newer version wrote it`)
  }
  if (proven > appends.end) {
    const at = scan.position >= proven ? appends.end : scan.position
    const what = scan.damage === 'zeros' ? 'zeros' : `no record (${scan.damage})`
    throw new CorruptLogError(active.path, at, `${what}, though everything before ${proven} was durable`)
  }
  const tailEnd = Math.max(scan.position, behind.nonZeroEnd) as LogPosition
  const { end, endsWithProof, eventCount } = appends
  const scannedBytes = tailEnd - (checked?.end ?? active.start)
  return { end, tailEnd, proven, endsWithProof, eventCount, scannedBytes, checked }
}

/** Zeros that the scan has seen are not read again. */
async function whatIsBehind(chunk: ChunkFile, { position, isZeroToEnd }: ScanEnd): Promise<SearchEnd> {
  return isZeroToEnd ? { nonZeroEnd: position, proven: LogPosition.start } : searchBehind(chunk, position, chunk.end)
}

async function isCompleteByNow(chunk: ChunkFile): Promise<boolean> {
  await chunk.refresh()
  return chunk.isComplete
}

/**
 * Chunks get their name when their header is durable, so a damaged header is damage. The file may be replaced only if nobody
 * can have appended to it: there is no record in it, and no hint of one.
 */
async function refuseAppended(
  disk: Disk,
  directory: string,
  mode: 'read' | 'write',
  previous: ChunkFile,
  hinted: LogPosition,
  damagedHeader: string,
): Promise<void> {
  const chunk = await ChunkFile.openBehind(disk, directory, previous, mode)
  let recordCount = 0
  try {
    await searchBehind(chunk, chunk.firstRecord, chunk.end, () => {
      recordCount++
    })
  } finally {
    await chunk.close()
  }
  if (recordCount > 0 || hinted > chunk.firstRecord) throw new CorruptLogError(chunk.path, chunk.start, damagedHeader)
}
