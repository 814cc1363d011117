import { CorruptLogError, systemErrorCode } from '../core/errors.ts'
import type { LogPosition } from '../core/positions.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import type { IndexHeader } from '../format/index-layout.ts'
import { closeAll } from '../log/close-all.ts'
import { uncovered } from './chunk-ranges.ts'
import type { IndexedLog } from './completed-chunks.ts'
import type { IndexFile } from './index-file.ts'
import { isIndexFileName, isUnfinishedIndexFile } from './index-file-names.ts'
import type { IndexPageCache } from './index-page-cache.ts'
import { openIndexFile } from './open-index-file.ts'

export interface FoundIndexFiles {
  /** In order; the last one may be partial. */
  readonly files: readonly IndexFile[]
  /** Names of files that are of no use. */
  readonly useless: readonly string[]
  /** The last chunk of which there is a file, whether it fits or not; -1 when there is none. */
  readonly lastChunk: number
}

/** How often another process may merge files between the listing and the opening. */
const MAX_LISTINGS = 10

/**
 * Finds the index files that fit the log.
 * @throws CorruptLogError when a whole file knows positions that the log does not have: something was lost.
 */
export async function findIndexFiles(
  disk: Disk,
  directory: string,
  log: IndexedLog,
  cache: IndexPageCache,
  listing = 1,
): Promise<FoundIndexFiles> {
  const names = await disk.list(directory)
  const useless = names.filter(isUnfinishedIndexFile)
  const opened: { readonly name: string; readonly file: IndexFile }[] = []
  try {
    const candidates = names.filter(isIndexFileName)
    const results = await Promise.allSettled(
      candidates.map(async name => {
        const file = await openIndexFile(disk, directory, name, log.storeId, cache)
        if (file === null) useless.push(name)
        else opened.push({ name, file })
      }),
    )
    for (const result of results) if (result.status === 'rejected') throw result.reason
    for (const { name, file } of opened) {
      const known = lostEndOf(file.header, log)
      if (known === null) continue
      throw new CorruptLogError(
        joinPath(directory, name),
        log.logEnd,
        `an index of positions up to ${known}, but the log ends here`,
      )
    }
  } catch (error) {
    await closeAll(opened.map(({ file }) => file)).catch(() => {})
    // Another process has merged the file meanwhile.
    if (systemErrorCode(error) === 'ENOENT' && listing < MAX_LISTINGS)
      return findIndexFiles(disk, directory, log, cache, listing + 1)
    throw error
  }
  const fitting = opened.filter(({ file }) => fitsLog(file.header, log))
  const complete = fitting.filter(({ file }) => !file.header.isPartial)
  const partial = fitting.filter(({ file }) => file.header.isPartial).map(({ file }) => file)
  const files = [...uncovered(complete.map(({ file }) => ({ ...rangeOf(file), file }))).map(({ file }) => file), ...partial]
  for (const { name, file } of opened) {
    if (files.includes(file)) continue
    useless.push(name)
    // An error of that concerns nobody: the file was only read, and the others are open.
    await file.close().catch(() => {})
  }
  const chunks = opened.map(({ file: { header } }) => (header.isPartial ? -1 : header.lastChunk))
  return { files, useless, lastChunk: Math.max(-1, ...chunks) }
}

/** @returns up to where a file knows the log, if that is further than the log goes; null if nothing is missing. */
export function lostEndOf(header: IndexHeader, { completedChunks, logEnd }: IndexedLog): LogPosition | null {
  const lastCompleted = completedChunks.at(-1)
  if (lastCompleted !== undefined && header.end <= lastCompleted.end) return null
  if (header.isPartial) return header.end > logEnd ? header.end : null
  const known = header.eventCount === 0 ? header.start : ((header.lastPosition + 1) as LogPosition)
  return known > logEnd ? known : null
}

/** Whether the file speaks of the chunks as they are. */
export function fitsLog(header: IndexHeader, log: IndexedLog): boolean {
  const { firstChunk, lastChunk, start, end, isPartial, fingerprint } = header
  const { completedChunks } = log
  if (fingerprint !== log.fingerprintOf(firstChunk, lastChunk)) return false
  const first = completedChunks[0]?.number ?? 0
  if (isPartial) {
    const before = completedChunks.at(-1)
    return firstChunk === first + completedChunks.length && start === (before?.end ?? 0) && end <= log.logEnd
  }
  return completedChunks[firstChunk - first]?.start === start && completedChunks[lastChunk - first]?.end === end
}

function rangeOf({ header }: IndexFile): { firstChunk: number; lastChunk: number } {
  return { firstChunk: header.firstChunk, lastChunk: header.lastChunk }
}
