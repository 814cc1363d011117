import type { StorageChaser } from '../chaser/storage-chaser.ts'
import type { NewEvent, StreamCommit } from '../core/events.ts'
import type { BlockCache } from '../log/block-cache.ts'
import type { ChunkSequence } from '../log/chunk-sequence.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { HeadLoader } from '../streams/head-loader.ts'
import type { StreamIndex } from '../streams/stream-index.ts'
import type { StreamReader } from '../streams/stream-reader.ts'
import type { StorageWriter } from '../writer/storage-writer.ts'
import type { Admission, AppendOptions, CommitOptions } from './admission.ts'
import type { Maintenance } from './maintenance.ts'
import type { PendingAppends, Resolve } from './pending-appends.ts'

/** What opening a store did. */
export interface Recovery {
  /** The last close was clean: nothing had to be truncated, written again or proven. */
  readonly clean: boolean
  /** Events found: `index.events` of the statistics. */
  readonly events: number
  /** Bytes of the active chunk that were read record by record to find the end of the log. */
  readonly scannedBytes: number
  /** Bytes of a torn tail that were removed; none of them had been acknowledged. */
  readonly truncatedBytes: number
  /** How long it took. */
  readonly ms: number
}

/** What only a store that writes has. */
export interface Writing {
  readonly writer: StorageWriter
  readonly pending: PendingAppends
  readonly admission: Admission
  readonly maintenance: Maintenance
}

/** What the front desk works with, wired for writing or for reading. */
export interface Rooms {
  readonly storeId: Uint8Array
  readonly recovery: Recovery
  readonly chunks: ChunkSequence
  readonly index: StreamIndex
  readonly loader: HeadLoader
  readonly streams: StreamReader
  readonly reader: LogReader
  readonly cache: BlockCache
  readonly chaser: StorageChaser
  /** Null in a store that is open for reading. */
  readonly writing: Writing | null
  /** Settles every append, also the ones that it refuses. */
  admit(
    stream: string,
    events: NewEvent | readonly NewEvent[],
    options: AppendOptions | undefined,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ): void
  /** The same for several streams at once. */
  admitCommit(
    commits: readonly StreamCommit[],
    options: CommitOptions | undefined,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ): void
  /** What a read waits for so that it sees everything acknowledged before it began; null when that is so already. */
  beforeRead(): Promise<void> | null
  close(): Promise<void>
}
