import { TEMPORARY_SUFFIX } from '../log/chunk-file-names.ts'

const INDEX_NAME = /^(\d{6,10})-(\d{6,10}|partial)\.index$/

/** The file of the chunks from `firstChunk` to `lastChunk`. */
export function indexFileName(firstChunk: number, lastChunk: number): string {
  return `${padded(firstChunk)}-${padded(lastChunk)}.index`
}

/** The file of the beginning of a chunk. */
export function partialIndexFileName(chunk: number): string {
  return `${padded(chunk)}-partial.index`
}

export function isIndexFileName(name: string): boolean {
  return INDEX_NAME.test(name)
}

/** Whether the name is that of an index file whose writing was interrupted. */
export function isUnfinishedIndexFile(name: string): boolean {
  return name.endsWith(TEMPORARY_SUFFIX) && isIndexFileName(name.slice(0, -TEMPORARY_SUFFIX.length))
}

function padded(chunk: number): string {
  return String(chunk).padStart(6, '0')
}
