import { StorageChaser } from '../chaser/storage-chaser.ts'
import { CorruptLogError, InvalidArgumentError, ReadFailedError, ReadOnlyStoreError } from '../core/errors.ts'
import type { LogPosition } from '../core/positions.ts'
import { systemFailure } from '../core/system-failure.ts'
import type { Disk } from '../disk/disk.ts'
import { checksumSeed } from '../format/log-record.ts'
import { BlockCache } from '../log/block-cache.ts'
import { Checkpoint } from '../log/checkpoint.ts'
import { type FoundLog, findLog } from '../log/find-log.ts'
import { LogFollower } from '../log/log-follower.ts'
import { LogReader } from '../log/log-reader.ts'
import { RecentBytes } from '../log/recent-bytes.ts'
import { HeadLoader } from '../streams/head-loader.ts'
import { StreamIndex } from '../streams/stream-index.ts'
import { StreamReader } from '../streams/stream-reader.ts'
import { openIndexFiles } from './index-files.ts'
import type { CheckedOptions } from './options.ts'
import type { Rooms } from './rooms.ts'

/** How often another process may write on while the store is being opened. */
const MAX_LOOKS = 10

/** Wires a store that reads and follows: no lock, no write, no writer; the chaser follows what another process has flushed. */
export async function openForReading(disk: Disk, directory: string, options: CheckedOptions): Promise<Rooms> {
  const startedMs = options.clock.monotonic()
  let lastEnd: LogPosition | null = null
  for (let look = 1; ; look++) {
    const found = await findLog(disk, directory, 'read').catch((error: unknown) => {
      throw systemFailure(error, directory, 'read')
    })
    if (found === null) throw new InvalidArgumentError(`there is no store in ${directory}; open it for writing to create one`)
    const follower = new LogFollower(disk, directory, found, options.clock)
    try {
      return await wire(disk, directory, options, found, follower, startedMs)
    } catch (error) {
      await follower.close().catch(() => {})
      // Files that were looked at later may know more than the log that was looked at first; a log that stands still lacks it.
      const isAhead = error instanceof CorruptLogError && found.end !== lastEnd
      if (!isAhead || look === MAX_LOOKS) throw systemFailure(error, directory, 'read')
      lastEnd = found.end
    }
  }
}

async function wire(
  disk: Disk,
  directory: string,
  options: CheckedOptions,
  found: FoundLog,
  follower: LogFollower,
  startedMs: number,
): Promise<Rooms> {
  const { storeId, chunks } = found
  const cache = new BlockCache(options.cacheBytes)
  const reader = new LogReader(disk, chunks, new RecentBytes(), cache, checksumSeed(storeId))
  const files = await openIndexFiles({ disk, directory, storeId, chunks, reader, logEnd: found.end }, 'read', options)
  const index = new StreamIndex(chunks, files, files.end)
  /** Why what stands behind the published position can't be read: to go on as if the log ended there would hide events. */
  let failure: { readonly error: unknown } | null = null
  const published = new Checkpoint(files.end)
  const chaser = new StorageChaser(reader, follower.flushed, published, [index], error => {
    failure = { error }
    options.logger?.error({ err: error }, 'the store can no longer be followed')
  })
  let isClosed = false
  /** What the system could not read it may read now. A look may still be under way when the store is closed. */
  const goOn = async (): Promise<void> => {
    if (isClosed) return
    failure = null
    await chaser.resume().catch((error: unknown) => {
      chaser.stop()
      failure = { error }
    })
  }
  const loader = new HeadLoader(index, reader, published)
  try {
    await chaser.start()
  } catch (error) {
    await files.close().catch(() => {})
    throw error
  }
  return {
    storeId,
    recovery: {
      clean: found.tailEnd === found.end && found.proven >= found.end,
      events: index.eventCount,
      scannedBytes: found.scannedBytes,
      truncatedBytes: 0,
      ms: options.clock.monotonic() - startedMs,
    },
    chunks,
    index,
    loader,
    streams: new StreamReader(index, loader, reader, published, storeId, options.clock),
    reader,
    cache,
    chaser,
    writing: null,
    admit: (_stream, _events, _options, _resolve, reject) => reject(new ReadOnlyStoreError('the store is open for reading')),
    admitCommit: (_streams, _options, _resolve, reject) => reject(new ReadOnlyStoreError('the store is open for reading')),
    async beforeRead() {
      await follower.refresh()
      if (failure?.error instanceof ReadFailedError) await goOn()
      await chaser.settled()
      if (failure !== null) throw failure.error
    },
    async close() {
      isClosed = true
      chaser.stop()
      index.endWalks()
      try {
        await files.close()
      } finally {
        await follower.close()
      }
    },
  }
}
