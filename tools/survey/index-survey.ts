import { systemErrorCode } from '#engine/core/errors.ts'
import { type Disk, type DiskFile, joinPath } from '#engine/disk/disk.ts'
import { ByteWindow } from '#engine/format/byte-window.ts'
import { checksumBytes } from '#engine/format/checksum.ts'
import { STORE_ID_SIZE } from '#engine/format/chunk-header.ts'
import { type IndexHeader, readIndexHeader } from '#engine/format/index-layout.ts'
import { INDEX_PAGE_SIZE, isWholePage, pageSeed } from '#engine/format/index-pages.ts'
import { indexFileName, partialIndexFileName } from '#engine/streams/index-file-names.ts'
import { count } from '../output.ts'

// Where the header says it, docs/format.md, "Index files": read raw, the checksum of the header begins with it.
const RAW_STORE_ID = 16
const PAGES_AT_ONCE = 256

/** An index file by itself, without the log that it is about. */
export interface IndexSurvey {
  readonly file: string
  readonly size: number
  /** Null when it can't be read. */
  readonly header: IndexHeader | null
  /** Why it is of no use; null when every page is as it was written. */
  readonly damage: string | null
  /** All that is wrong are pages behind the header: a store does not notice before it needs them. */
  readonly isHeaderWhole: boolean
}

/**
 * Reads every page of an index file.
 * @param storeId of the store that it should belong to; null when nobody knows.
 * @returns null when it is not there any more: another process has merged it.
 */
export async function surveyIndex(
  disk: Disk,
  directory: string,
  name: string,
  storeId: Uint8Array | null,
  signal: AbortSignal,
): Promise<IndexSurvey | null> {
  try {
    const file = await disk.open(joinPath(directory, name), 'read')
    try {
      return await surveyPages(file, name, storeId, signal)
    } finally {
      await file.close()
    }
  } catch (error) {
    const code = systemErrorCode(error)
    if (code === null) throw error
    return code === 'ENOENT' ? null : unreadable(name, 0, String(error))
  }
}

function unreadable(name: string, size: number, damage: string): IndexSurvey {
  return { file: name, size, header: null, damage, isHeaderWhole: false }
}

async function surveyPages(file: DiskFile, name: string, storeId: Uint8Array | null, signal: AbortSignal): Promise<IndexSurvey> {
  const size = await file.size()
  const page = ByteWindow.allocate(INDEX_PAGE_SIZE)
  if ((await file.read(page.bytes, 0)) < INDEX_PAGE_SIZE) return unreadable(name, size, 'it is shorter than its header')
  const claimedId = page.bytes.subarray(RAW_STORE_ID, RAW_STORE_ID + STORE_ID_SIZE)
  if (!isWholePage(page, 0, checksumBytes(claimedId))) return unreadable(name, size, 'its header, page 0, has a wrong checksum')
  const header = readIndexHeader(page)
  if (header === null) return unreadable(name, size, 'no index file of a version that is known here')
  const found = { file: name, size, header, isHeaderWhole: false }
  if (storeId !== null && Buffer.compare(header.storeId, storeId) !== 0)
    return { ...found, damage: 'it is that of another store' }
  const { firstChunk, lastChunk, isPartial, pageCount } = header
  const ownName = isPartial ? partialIndexFileName(firstChunk) : indexFileName(firstChunk, lastChunk)
  if (name !== ownName) return { ...found, damage: `its header says it is ${ownName}` }
  if (size !== pageCount * INDEX_PAGE_SIZE) return { ...found, damage: `it has ${size} bytes and should have ${pageCount} pages` }
  const wrong = await wrongPages(file, pageCount, pageSeed(header.storeId, header), signal)
  if (wrong.length === 0) return { ...found, damage: null, isHeaderWhole: true }
  const others = wrong.length === 1 ? '' : ` and ${count(wrong.length - 1, 'other')}`
  return {
    ...found,
    damage: `page ${wrong[0]}${others} of ${pageCount} ${wrong.length === 1 ? 'has' : 'have'} a wrong checksum`,
    isHeaderWhole: true,
  }
}

async function wrongPages(file: DiskFile, pageCount: number, seed: number, signal: AbortSignal): Promise<readonly number[]> {
  const wrong: number[] = []
  const pages = ByteWindow.allocate(Math.min(PAGES_AT_ONCE, pageCount) * INDEX_PAGE_SIZE)
  for (let first = 0; first < pageCount; first += PAGES_AT_ONCE) {
    signal.throwIfAborted()
    const filled = await file.read(pages.bytes, first * INDEX_PAGE_SIZE)
    // The header has been looked at.
    for (let page = Math.max(1, first); page < Math.min(pageCount, first + PAGES_AT_ONCE); page++) {
      const at = (page - first) * INDEX_PAGE_SIZE
      const isThere = at + INDEX_PAGE_SIZE <= filled
      if (!isThere || !isWholePage(new ByteWindow(pages.bytes.subarray(at, at + INDEX_PAGE_SIZE)), page, seed)) wrong.push(page)
    }
  }
  return wrong
}
