import { ChunkNumber } from '../core/positions.ts'

const CHUNK_SUFFIX = '.chunk'
/** Files of the store that are being made end so, until they are durable. */
export const TEMPORARY_SUFFIX = '.tmp'

export function chunkFileName(number: ChunkNumber): string {
  return String(number).padStart(6, '0') + CHUNK_SUFFIX
}

/** The number of the chunk that a file name names; null for other files. */
export function chunkNumberOf(name: string): ChunkNumber | null {
  if (!name.endsWith(CHUNK_SUFFIX)) return null
  const number = Number(name.slice(0, -CHUNK_SUFFIX.length))
  // Of the ways to write a number, one is a name.
  return ChunkNumber.is(number) && chunkFileName(number) === name ? number : null
}

/** Whether the name is that of a chunk whose creation was interrupted. */
export function isUnfinishedChunk(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX) && chunkNumberOf(name.slice(0, -TEMPORARY_SUFFIX.length)) !== null
}
