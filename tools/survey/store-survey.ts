import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import { systemErrorCode } from '#engine/core/errors.ts'
import { ChunkNumber, LogPosition } from '#engine/core/positions.ts'
import { type Disk, joinPath } from '#engine/disk/disk.ts'
import type { ChunkHeader } from '#engine/format/chunk-header.ts'
import type { FlushedSlot } from '#engine/format/flushed-slot.ts'
import { ACTIVE_FILE_NAME } from '#engine/log/active-hint.ts'
import { chunkFileName, chunkNumberOf, isUnfinishedChunk } from '#engine/log/chunk-file-names.ts'
import { FLUSHED_FILE_NAME, readFlushedHint } from '#engine/log/flushed-hint.ts'
import { isIndexFileName, isUnfinishedIndexFile } from '#engine/streams/index-file-names.ts'
import { UsageError } from '../arguments.ts'
import { count } from '../output.ts'
import { type ChunkHead, readChunkHead } from './chunk-frame.ts'
import { ChunkSurvey, NO_BOUNDS, type SurveyBounds } from './chunk-survey.ts'
import type { Damage } from './damage.ts'
import { PatchyFile } from './patchy-file.ts'
import { holderOf } from './store-holder.ts'

/** Hints may be old, or half written: what can be believed of them the log tells. */
const OWN_NAMES: ReadonlySet<string> = new Set([FLUSHED_FILE_NAME, ACTIVE_FILE_NAME, 'lock'])

/** A chunk file in its place in the log. */
export interface ChunkPlace {
  readonly name: string
  readonly path: string
  readonly size: number
  /** Which chunk it is: as its header says, or if that is damaged, its name. */
  readonly number: ChunkNumber
  readonly head: ChunkHead
  /** Why the system could not read it; null when it could. */
  readonly unreadable: string | null
  /** Where it begins: as its header says, or if that is damaged, where the one before ends; null when nobody knows. */
  readonly start: LogPosition | null
}

/** What stands in a store's directory, and in what order. */
export interface StoreSurvey {
  readonly directory: string
  /** Of most of the chunks; null when no header is whole. */
  readonly storeId: Uint8Array | null
  /** In the order of the log. Chunks of other stores and second copies are left out. */
  readonly chunks: readonly ChunkPlace[]
  /** Files that should be index files, by their names. */
  readonly indexNames: readonly string[]
  /** Null when there is none, or none that can be believed. */
  readonly hint: FlushedSlot | null
  /** Whoever has the store open for writing. */
  readonly holderPid: number | null
  readonly bounds: SurveyBounds
  /** What is wrong with the chain of chunks. */
  readonly damages: readonly Damage[]
  /** What is worth knowing and no damage. */
  readonly notes: readonly string[]
}

/** Looks at a path that should be a store. @throws UsageError that says what it is instead. */
export async function surveyStore(disk: Disk, directory: string): Promise<StoreSurvey> {
  const kind = await pathKind(directory)
  if (kind === 'file') throw new UsageError(`${directory} is a file; a store is a directory (inspect also takes a chunk file)`)
  // The hint before the list, and the list before the files: each may only be older than what is compared with it.
  const holderPid = await holderOf(directory)
  const hint = await readFlushedHint(disk, directory)
  const names = await disk.list(directory)
  const notes: string[] = []
  const damages: Damage[] = []
  const found: ChunkPlace[] = []
  const indexNames: string[] = []
  for (const name of names) {
    const number = chunkNumberOf(name)
    if (number !== null) {
      const place = await placeOf(disk, directory, name, number)
      if (place !== null) found.push(place)
    } else if (isIndexFileName(name)) indexNames.push(name)
    else if (isUnfinishedIndexFile(name)) notes.push(`${name}: an index file in the making, or left of one that was interrupted`)
    else if (isUnfinishedChunk(name)) notes.push(`${name}: a chunk in the making, or left of a roll-over that was interrupted`)
    else if (!isOwnFile(name)) notes.push(`${name}: unknown; the store does not use it`)
  }
  if (found.length === 0) refuseIfNoStore(directory, names)
  const storeId = commonStoreId(found, hint)
  const chunks = chain(found, storeId, damages)
  if (found.length === 0) damages.push(missing(0, 0, LogPosition.start, null))
  const ownHint = hint !== null && storeId !== null && Buffer.compare(hint.storeId, storeId) === 0 ? hint : null
  if (names.includes(FLUSHED_FILE_NAME) && ownHint === null) {
    const what = hint === null ? 'says nothing that can be read' : 'is that of another store'
    notes.push(`${FLUSHED_FILE_NAME}: ${what}; what is durable is told by the records alone`)
  }
  const hinted = ownHint?.position ?? LogPosition.start
  const trustedEnd = holderPid !== null && ownHint !== null ? hinted : (Number.MAX_SAFE_INTEGER as LogPosition)
  return { directory, storeId, chunks, indexNames, hint: ownHint, holderPid, bounds: { hinted, trustedEnd }, damages, notes }
}

/** @throws UsageError when there is nothing, or a file. */
export async function checkDirectory(path: string): Promise<void> {
  if ((await pathKind(path)) === 'file') throw new UsageError(`${path} is a file; a store is a directory`)
}

/** Whether the store uses the file beside its chunks and index files. */
export function isOwnFile(name: string): boolean {
  return OWN_NAMES.has(name)
}

/** @throws UsageError when there is nothing there, or something that can't be read from any place: a pipe, a device. */
export async function pathKind(path: string): Promise<'file' | 'directory'> {
  const stats = await statsOf(path)
  if (stats.isDirectory()) return 'directory'
  if (!stats.isFile()) throw new UsageError(`${path} is neither a file nor a directory`)
  return 'file'
}

/** @throws UsageError when there is nothing there. */
export async function statsOf(path: string): Promise<Stats> {
  if (path === '') throw new UsageError('a path is empty')
  try {
    return await stat(path)
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') throw new UsageError(`${path} does not exist`)
    throw error
  }
}

/** @returns null when the file is gone. */
async function placeOf(disk: Disk, directory: string, name: string, named: ChunkNumber): Promise<ChunkPlace | null> {
  const path = joinPath(directory, name)
  try {
    const file = await PatchyFile.open(disk, path)
    try {
      const head = await readChunkHead(file)
      const { header } = head
      const size = await file.size()
      return { name, path, size, number: header?.number ?? named, head, unreadable: null, start: header?.start ?? null }
    } finally {
      await file.close()
    }
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === null) throw error
    // One that can't be read has its place all the same: the others can be.
    const unreadable = String(error)
    const head = { header: null, damage: unreadable, isUnsupported: false, bytes: Buffer.alloc(0) }
    return code === 'ENOENT' ? null : { name, path, size: 0, number: named, head, unreadable, start: null }
  }
}

function refuseIfNoStore(directory: string, names: readonly string[]): void {
  if (names.includes(FLUSHED_FILE_NAME)) return
  if (names.length === 0) throw new UsageError(`${directory} is empty: there is no store in it`)
  if (names.some(isUnfinishedChunk) || (names.length === 1 && names[0] === 'lock')) {
    throw new UsageError(`${directory} holds no store: its creation was interrupted before anything was stored`)
  }
  throw new UsageError(`${directory} is no store: there is no chunk (000000.chunk, ...) among its ${count(names.length, 'file')}`)
}

/** The id that most headers name; between equals, the hint decides, then the first. */
function commonStoreId(found: readonly ChunkPlace[], hint: FlushedSlot | null): Uint8Array | null {
  const counts = new Map<string, number>()
  for (const { head } of found) {
    if (head.header === null) continue
    const key = Buffer.from(head.header.storeId).toString('hex')
    counts.set(key, (counts.get(key) ?? 0) + 1)
  }
  if (counts.size === 0) return hint?.storeId ?? null
  const hinted = hint === null ? '' : Buffer.from(hint.storeId).toString('hex')
  const [best] = [...counts].sort(([a, countA], [b, countB]) => countB - countA || Number(b === hinted) - Number(a === hinted))
  return new Uint8Array(Buffer.from(best![0], 'hex'))
}

/** @param start where the chunk begins, if its header can't say. @returns null when it is the last one, and not there any more. */
export async function openChunk(
  disk: Disk,
  { chunks, storeId }: StoreSurvey,
  index: number,
  bounds: SurveyBounds,
  start: LogPosition | null = chunks[index]!.start,
): Promise<ChunkSurvey | null> {
  try {
    return await ChunkSurvey.open(disk, chunks[index]!.path, { start, storeId }, bounds)
  } catch (error) {
    // It was made ahead, and goes when its store is opened with another chunk size.
    if (systemErrorCode(error) === 'ENOENT' && index === chunks.length - 1) return null
    throw error
  }
}

/** Whether records stand in the chunk at `index`, so that every one before it must be complete. */
export async function isInUse(disk: Disk, store: StoreSurvey, index: number): Promise<boolean> {
  if (index < store.chunks.length - 1) return true
  let survey: ChunkSurvey | null = null
  try {
    survey = await openChunk(disk, store, index, NO_BOUNDS)
    if (survey === null) return false
    if (survey.footer !== null) return true
    if (survey.head.header === null) return await survey.hasRecord()
    return (await survey.nonZeroEnd(survey.position)) > survey.position
  } catch (error) {
    if (systemErrorCode(error) === null) throw error
    // It can't be read: nobody can say that nothing stands there.
    return true
  } finally {
    await survey?.close()
  }
}

/** Puts the chunks in order and says what is wrong with it. */
function chain(found: readonly ChunkPlace[], storeId: Uint8Array | null, damages: Damage[]): ChunkPlace[] {
  const own = found.filter(place => {
    const { header } = place.head
    if (header === null || Buffer.compare(header.storeId, storeId!) === 0) return true
    damages.push(chunkDamage(place, 'foreign chunk', `a chunk of another store, ${idText(header.storeId)}; left out`))
    return false
  })
  own.sort((a, b) => a.number - b.number || Number(isNamedSo(b)) - Number(isNamedSo(a)))
  const chunks: ChunkPlace[] = []
  let expectedNumber: number = 0
  let expectedStart: LogPosition | null = LogPosition.start
  for (const place of own) {
    const { header } = place.head
    if (place.number < expectedNumber) {
      damages.push(chunkDamage(place, 'misplaced chunk', `another chunk with the number ${place.number}; left out`))
      continue
    }
    if (place.number > expectedNumber) {
      damages.push(missing(expectedNumber, place.number - 1, expectedStart, header?.start ?? null))
      expectedStart = null
    }
    if (!isNamedSo(place)) damages.push(chunkDamage(place, 'misplaced chunk', `its header says it is number ${place.number}`))
    if (header !== null && expectedStart !== null && header.start !== expectedStart) {
      damages.push(chunkDamage(place, 'misplaced chunk', `its header says it starts at ${header.start}, not ${expectedStart}`))
    }
    chunks.push({ ...place, start: header?.start ?? expectedStart })
    expectedNumber = place.number + 1
    expectedStart = header === null ? null : endOf(header)
  }
  return chunks
}

function isNamedSo(place: ChunkPlace): boolean {
  return chunkFileName(place.number) === place.name
}

function endOf(header: ChunkHeader): LogPosition {
  return LogPosition.plus(header.start, header.chunkSize)
}

function chunkDamage({ name, start }: ChunkPlace, kind: Damage['kind'], what: string): Damage {
  return { file: name, position: start, size: null, kind, what }
}

/** @param start where the first missing chunk began, @param end where the next one begins; null when nobody knows. */
export function missing(first: number, last: number, start: LogPosition | null, end: LogPosition | null): Damage {
  const file = chunkFileName(ChunkNumber.of(first))
  const what = first === last ? 'the chunk is missing' : `the chunks ${first} to ${last} are missing`
  return { file, position: start, size: start === null || end === null ? null : end - start, kind: 'missing chunk', what }
}

/** A hint beyond the chunks means that the last of them are gone. */
export function missingBehind({ chunks, bounds: { hinted } }: StoreSurvey): Damage | null {
  const last = chunks.at(-1)
  const header = last?.head.header
  if (last === undefined || header === null || header === undefined) return null
  const end = endOf(header)
  if (hinted <= end) return null
  const lost = missing(last.number + 1, last.number + 1, end, null)
  return { ...lost, what: `${lost.what}, though everything before ${hinted} was durable` }
}

export function idText(storeId: Uint8Array): string {
  return Buffer.from(storeId).toString('hex')
}
