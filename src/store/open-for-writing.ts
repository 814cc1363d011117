import type { CommitListener } from '../chaser/commit-ack.ts'
import { StorageChaser } from '../chaser/storage-chaser.ts'
import { systemErrorCode } from '../core/errors.ts'
import { LogPosition } from '../core/positions.ts'
import { systemFailure } from '../core/system-failure.ts'
import { type Disk, type DiskLock, joinPath } from '../disk/disk.ts'
import { BlockCache } from '../log/block-cache.ts'
import { Checkpoint } from '../log/checkpoint.ts'
import { ChunkLog } from '../log/chunk-log.ts'
import { closeAll } from '../log/close-all.ts'
import { type FoundLog, findLog } from '../log/find-log.ts'
import { FlushedHint } from '../log/flushed-hint.ts'
import { LogReader } from '../log/log-reader.ts'
import { createLog, repairLog } from '../log/recovery.ts'
import { AppendRules } from '../streams/append-rules.ts'
import { ConditionCheck } from '../streams/condition-check.ts'
import { HeadLoader } from '../streams/head-loader.ts'
import type { IndexFiles } from '../streams/index-files.ts'
import { RetryCheck } from '../streams/retry-check.ts'
import { StreamIndex } from '../streams/stream-index.ts'
import { StreamReader } from '../streams/stream-reader.ts'
import { SuppliedIdMemory } from '../streams/supplied-id-memory.ts'
import { StorageWriter } from '../writer/storage-writer.ts'
import type { WriterListener } from '../writer/writer-listener.ts'
import { Admission } from './admission.ts'
import { openIndexFiles } from './index-files.ts'
import { erasuresOf, Maintenance } from './maintenance.ts'
import type { CheckedOptions } from './options.ts'
import { PendingAppends } from './pending-appends.ts'
import type { Recovery, Rooms, Writing } from './rooms.ts'

const LOCK_FILE_NAME = 'lock'

/** What is closed again if the open fails: each step adds what it opened. */
type Opened = { close(): Promise<void> }[]

/** Locks the directory, recovers or creates the log, and wires the stages: admission → queue → writer → chaser → pending. */
export async function openForWriting(disk: Disk, directory: string, options: CheckedOptions): Promise<Rooms> {
  const startedMs = options.clock.monotonic()
  let lock: DiskLock | null = null
  const opened: Opened = []
  try {
    lock = await lockDirectory(disk, directory)
    return await wire(disk, directory, options, lock, startedMs, opened)
  } catch (error) {
    await closeAll(opened).catch(() => {})
    await lock?.release()
    throw systemFailure(error, directory, 'opened')
  }
}

/** Made if it is not there: most of the time it is. */
async function lockDirectory(disk: Disk, directory: string): Promise<DiskLock> {
  const path = joinPath(directory, LOCK_FILE_NAME)
  try {
    return await disk.lock(path)
  } catch (error) {
    if (systemErrorCode(error) !== 'ENOENT') throw error
    await disk.makeDirectory(directory)
    return disk.lock(path)
  }
}

/** Makes each room of those above it, then sets them going. */
async function wire(
  disk: Disk,
  directory: string,
  options: CheckedOptions,
  lock: DiskLock,
  startedMs: number,
  opened: Opened,
): Promise<Rooms> {
  const { clock, logger } = options

  // The log, its index, and who reads them.
  const { found, log } = await openLog(disk, directory, options, opened)
  const { storeId } = log.chunks.active.header
  const cache = new BlockCache(options.cacheBytes)
  const reader = new LogReader(disk, log.chunks, log.recent, cache, log.stamp.seed)
  const files = await openIndexFiles({ disk, directory, storeId, chunks: log.chunks, reader, logEnd: log.end }, 'write', options)
  opened.push(files)
  const index = new StreamIndex(log.chunks, files, files.end)
  const published = new Checkpoint(files.end)
  const loader = new HeadLoader(index, reader, published)
  const streams = new StreamReader(index, loader, reader, published, storeId, clock)

  // What an append is judged by.
  const ids = new SuppliedIdMemory(index, reader, published)
  const condition = new ConditionCheck(index, reader, published, storeId)
  const rules = new AppendRules(loader, ids, condition, new RetryCheck(index, reader, published))

  // The stages, and what stands before them and beside them.
  const pending = new PendingAppends(append => rules.release(append))
  const listener = writerListener(pending, published, rules, files, logger)
  const writer = new StorageWriter(log, rules, listener, clock, options.durability, options.flushDelayMs)
  const chaser = new StorageChaser(reader, writer.flushed, published, [commitListener(pending, index, rules)], error => {
    // What is flushed and was not published has nobody any more who would ack it.
    pending.fail(published.position, error)
    writer.fail(error)
    pending.settle(published.position)
  })
  const admission = new Admission(options, pending, writer.queue, rules, log.capacity, append =>
    writer.failure === undefined ? null : pending.refusalOf(append, writer.failure.cause),
  )
  const maintenance = new Maintenance({
    files: { disk, directory, chunks: log.chunks },
    index,
    indexFiles: files,
    loader,
    ids,
    writer,
    clock,
    published,
    settled: () => chaser.settled(),
    erasures: () => erasuresOf(streams),
  })
  const writing = { writer, pending, admission, maintenance }

  // The index takes in what its files lack; then it knows the time that events go on from.
  await chaser.start()
  writer.continueFrom(index.lastCreatedMs)
  // They are called in this order: acks go out before a file is begun.
  published.follow(() => {
    pending.settle(published.position)
    log.release(published.position)
  })
  // In the other modes what was published is not durable: an index that knew of it would be evidence of loss after a crash.
  if (options.durability === 'fsync') published.follow(() => index.saveBelow(published.position))

  const recovery = recoveryOf(found, index.eventCount, clock.monotonic() - startedMs)
  logger?.info({ directory, ...recovery }, 'the store is open')
  return {
    storeId,
    recovery,
    chunks: log.chunks,
    index,
    reader,
    cache,
    chaser,
    loader,
    streams,
    writing,
    admit(stream, events, appendOptions, resolve, reject) {
      try {
        admission.admit(stream, events, appendOptions, resolve, reject)
      } catch (error) {
        reject(error)
      }
    },
    admitCommit(streams, commitOptions, resolve, reject) {
      try {
        admission.admitCommit(streams, commitOptions, resolve, reject)
      } catch (error) {
        reject(error)
      }
    },
    beforeRead: () => null,
    async close() {
      await settleAll(writing, chaser)
      // To a part of the index that is being written nobody may add.
      chaser.stop()
      // The next open goes on from here. What has no place in the log by now must not get one in the index.
      if (writer.failure === undefined) await files.add(index.active, log.end, 'partial').catch(() => {})
      // Reads were answered before this began, and all else by now; a walk that stands still holds files.
      index.endWalks()
      try {
        await closeAll([files, log])
      } finally {
        // Last, and whatever failed: from here on another process may write.
        await lock.release()
      }
    },
  }
}

/** The log that is there, made ready for appends, or a new one. */
async function openLog(
  disk: Disk,
  directory: string,
  { clock, chunkSizeBytes }: CheckedOptions,
  opened: Opened,
): Promise<{ found: FoundLog | null; log: ChunkLog }> {
  // The process that made the last chunk may have been killed before it could do so. The log is looked for meanwhile.
  const namesSynced = disk.syncDirectory(directory)
  namesSynced.catch(() => {})
  const found = await findLog(disk, directory, 'write')
  if (found !== null) opened.push(found.chunks, ...(found.next === null ? [] : [found.next]))
  await namesSynced
  const state =
    found === null
      ? await createLog(disk, directory, clock, chunkSizeBytes)
      : await repairLog(disk, directory, found, clock, chunkSizeBytes)
  if (found === null) opened.push(state.chunks)
  const { storeId } = state.chunks.active.header
  const hint = await FlushedHint.open(disk, directory, storeId, found?.hinted ?? LogPosition.start, clock)
  opened.push(hint)
  hint.advance(state.end)
  return { found, log: new ChunkLog(disk, directory, clock, chunkSizeBytes, hint, state) }
}

/** What the writer refuses or takes back is told at once if nothing stands in front of it; all else when something is published. */
function writerListener(
  pending: PendingAppends,
  published: Checkpoint,
  rules: AppendRules,
  files: IndexFiles,
  logger: CheckedOptions['logger'],
): WriterListener {
  return {
    decided: () => pending.settle(published.position),
    undone(position, error) {
      logger?.warn({ err: error, position }, 'appends were taken back')
      pending.undo(position, error, rules)
      pending.settle(published.position)
    },
    rested: () => files.rested(),
    failed(position, cause) {
      logger?.error({ err: cause, position }, 'the writer failed; reads go on, appends need a reopen')
      pending.fail(position, cause)
      pending.settle(published.position)
      rules.writerFailed()
    },
  }
}

/** An append that somebody waits for is indexed without its record being read; what was found at open has its record alone. */
function commitListener(pending: PendingAppends, index: StreamIndex, rules: AppendRules): CommitListener {
  return {
    committed(ack) {
      const append = pending.committed(ack.end)
      if (append === null) index.committed(ack)
      else {
        index.committedAppend(append, ack)
        rules.committed(append)
      }
    },
    stubbed: (window, offset) => index.stubbed(window, offset),
  }
}

function recoveryOf(found: FoundLog | null, events: number, ms: number): Recovery {
  if (found === null) return { clean: true, events, scannedBytes: 0, truncatedBytes: 0, ms }
  const truncatedBytes = found.tailEnd - found.end
  const clean = truncatedBytes === 0 && found.proven >= found.end && found.endsWithProof
  return { clean, events, scannedBytes: found.scannedBytes, truncatedBytes, ms }
}

/** Everything that was accepted comes to its end, along the way of an append: what is behind goes on until nothing comes any more. */
async function settleAll({ admission, maintenance, writer, pending }: Writing, chaser: StorageChaser): Promise<void> {
  // From here on nobody is let in; those who were wait for look-ups, and then stand in the queue.
  const queued = admission.close()
  // A scavenge or a backup under way gives the writer work, and waits for the chaser: neither may have stopped.
  await maintenance.close()
  await queued
  // The stop stands behind them all in the queue: what it finds there is flushed, and the log is proven.
  await writer.stop()
  // Publishing acks what was flushed, and lets go who waits for the answer to a retry ...
  await chaser.settled()
  // ... which is looked for in the index and the log: their files are still open.
  await pending.answered()
}
