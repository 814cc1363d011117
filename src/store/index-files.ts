import type { LogPosition } from '../core/positions.ts'
import type { Disk } from '../disk/disk.ts'
import type { ChunkSequence } from '../log/chunk-sequence.ts'
import type { LogReader } from '../log/log-reader.ts'
import { fingerprintOf } from '../streams/chunk-ranges.ts'
import { IndexFiles } from '../streams/index-files.ts'
import { indexRange } from '../streams/index-range.ts'
import { TimeSlices } from '../streams/time-slices.ts'
import type { CheckedOptions } from './options.ts'

/** What pages of index files get, beside the memory for blocks and as a share of it. */
const INDEX_SHARE = 0.5
/** Events between two lines that say how the making of index files goes. */
const PROGRESS_COUNT = 1_000_000

/** What the index files have to do with the log. */
export interface IndexedStore {
  readonly disk: Disk
  readonly directory: string
  readonly storeId: Uint8Array
  readonly chunks: ChunkSequence
  readonly reader: LogReader
  /** Behind the last durable record. */
  readonly logEnd: LogPosition
}

/** Opens the index files of the completed chunks, and makes those again that are missing. */
export async function openIndexFiles(store: IndexedStore, mode: 'read' | 'write', options: CheckedOptions): Promise<IndexFiles> {
  const { disk, directory, storeId, chunks, reader, logEnd } = store
  const { clock, logger, cacheBytes } = options
  const firstNumber = chunks.all[0]!.header.number
  const files = await IndexFiles.open(disk, directory, {
    storeId,
    completedChunks: chunks.all
      .filter(chunk => chunk.isComplete)
      .map(({ header, start, end }) => ({ number: header.number, start, end })),
    logEnd,
    fingerprintOf: (firstChunk, lastChunk) =>
      fingerprintOf({ firstChunk, lastChunk }, number => chunks.all[number - firstNumber]?.header.generation ?? 0),
    cacheBytes: cacheBytes * INDEX_SHARE,
    clock,
    mode,
    indexRange: (start, end, onProgress) => indexRange(reader, start, end, new TimeSlices(clock), onProgress),
    onFailure: error => logger?.error({ err: error }, 'an index file could not be written; it is kept in memory'),
  })
  try {
    await rebuild(files, options)
    return files
  } catch (error) {
    await files.close().catch(() => {})
    throw error
  }
}

async function rebuild(files: IndexFiles, { logger }: CheckedOptions): Promise<void> {
  const missing = files.missing.length
  if (missing === 0) return
  logger?.info({ chunks: missing }, 'index files are missing and made again from the log')
  let events = 0
  let said = 0
  await files.rebuild(count => {
    events += count
    if (events - said < PROGRESS_COUNT) return
    said = events
    logger?.info({ events, chunks: files.missing.length }, 'index files are being made')
  })
  logger?.info({ events }, 'index files were made')
}
