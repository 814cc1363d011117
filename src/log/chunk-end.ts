import type { DiskFile } from '../disk/disk.ts'
import {
  CHUNK_FOOTER_SIZE,
  type ChunkFooter,
  decodeChunkFooter,
  footerReserve,
  footerSizeOf,
  maxFooterSize,
} from '../format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE, type ChunkHeader } from '../format/chunk-header.ts'

/** Most appends are smaller, and what is free behind the last record of a completed chunk is less than the append that did not fit. */
const USUAL_APPEND_SIZE = 8192

export interface ChunkEnd {
  /** Of the file, in bytes. */
  readonly size: number
  /** Null: the chunk is not completed, or its footer is not whole. */
  readonly footer: ChunkFooter | null
}

/**
 * How a chunk's file ends. To ask for its size first would be a fourth call for each chunk at open: one read where most completed chunks
 * end meets the end of the file.
 */
export async function readChunkEnd(file: DiskFile, header: ChunkHeader): Promise<ChunkEnd> {
  // A compact chunk may end anywhere.
  const end = header.generation === 0 ? await readUsualEnd(file, header) : null
  if (end !== null) return end
  const size = await file.size()
  return { size, footer: await readFooter(file, size, header) }
}

/** Null when it ends elsewhere, or can't be read there: what lies below the footer need not be sound for an open. */
async function readUsualEnd(file: DiskFile, header: ChunkHeader): Promise<ChunkEnd | null> {
  const from = Math.max(0, header.chunkSize - footerReserve(header.chunkSize) - USUAL_APPEND_SIZE)
  // One byte more than there should be: a file that is longer does not end with its footer.
  const last = Buffer.allocUnsafe(header.chunkSize + 1 - from)
  const count = await file.readOnce(last, from).catch(() => 0)
  const size = from + count
  // Fewer bytes need not be the end, but a whole footer says itself where the file ends.
  const footer = footerIn(last.subarray(0, count), size, header)
  return footer === null ? null : { size, footer }
}

/** The footer at the end of a file of this size, or null. */
export async function readFooter(file: DiskFile, size: number, header: ChunkHeader): Promise<ChunkFooter | null> {
  if (size < CHUNK_HEADER_SIZE + CHUNK_FOOTER_SIZE) return null
  const last = Buffer.alloc(Math.min(size, maxFooterSize(size, header.generation > 0)))
  await file.read(last, size - last.length)
  return footerIn(last, size, header)
}

/** @param last the last bytes of the file, with all of its footer if it has one. */
function footerIn(last: Buffer, size: number, header: ChunkHeader): ChunkFooter | null {
  const footerSize = footerSizeOf(last.subarray(-CHUNK_FOOTER_SIZE), last.length)
  if (footerSize === null) return null
  const footer = decodeChunkFooter(last.subarray(-footerSize), size)
  if (typeof footer === 'string') return null
  if ((footer.directory !== null) !== header.generation > 0) return null
  return footer.start === header.start && Buffer.compare(footer.storeId, header.storeId) === 0 ? footer : null
}
