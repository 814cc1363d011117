import { ReadFailedError } from '../core/errors.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { checksumBytes } from '../format/checksum.ts'
import { readIndexHeader } from '../format/index-layout.ts'
import { INDEX_PAGE_SIZE, isWholePage, pageSeed } from '../format/index-pages.ts'
import { IndexFile } from './index-file.ts'
import { indexFileName, partialIndexFileName } from './index-file-names.ts'
import type { IndexPageCache } from './index-page-cache.ts'
import { PageReader } from './page-reader.ts'

/**
 * Opens an index file and reads its first page.
 * @returns null when it is no index file of this store, not whole, or not what its name says.
 * @throws ReadFailedError, or the system's error when it can't be opened.
 */
export async function openIndexFile(
  disk: Disk,
  directory: string,
  name: string,
  storeId: Uint8Array,
  cache: IndexPageCache,
): Promise<IndexFile | null> {
  const path = joinPath(directory, name)
  const file = await disk.open(path, 'read')
  try {
    const page = ByteWindow.allocate(INDEX_PAGE_SIZE)
    const filled = await file.read(page.bytes, 0)
    const header = filled === INDEX_PAGE_SIZE && isWholePage(page, 0, checksumBytes(storeId)) ? readIndexHeader(page) : null
    if (header !== null) {
      const { firstChunk, lastChunk, isPartial } = header
      const isNamedSo = name === (isPartial ? partialIndexFileName(firstChunk) : indexFileName(firstChunk, lastChunk))
      const isOwn = Buffer.compare(header.storeId, storeId) === 0
      if (isNamedSo && isOwn && (await file.size()) === header.pageCount * INDEX_PAGE_SIZE) {
        return new IndexFile(header, new PageReader(path, file, pageSeed(storeId, header), cache))
      }
    }
  } catch (error) {
    await file.close().catch(() => {})
    throw new ReadFailedError(`cannot read ${path}: ${String(error)}`, error)
  }
  await file.close()
  return null
}
