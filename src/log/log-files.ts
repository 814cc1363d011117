import type { Disk } from '../disk/disk.ts'
import type { ChunkSequence } from './chunk-sequence.ts'

/** An open log and where its files are: for those who rewrite or copy it. */
export interface LogFiles {
  readonly disk: Disk
  readonly directory: string
  readonly chunks: ChunkSequence
}
