import type { CommitListener } from '../chaser/commit-ack.ts'
import { StorageChaser } from '../chaser/storage-chaser.ts'
import { systemErrorCode } from '../core/errors.ts'
import { LogPosition } from '../core/positions.ts'
import { systemFailure } from '../core/system-failure.ts'
import { type Disk, type DiskLock, joinPath } from '../disk/disk.ts'
import { BlockCache } from '../log/block-cache.ts'
import { ChunkLog } from '../log/chunk-log.ts'
import { closeAll } from '../log/close-all.ts'
import { type FoundLog, findLog } from '../log/find-log.ts'
import { FlushedHint } from '../log/flushed-hint.ts'
import { LogReader } from '../log/log-reader.ts'
import { createLog, repairLog } from '../log/recovery.ts'
import { AppendRules } from '../streams/append-rules.ts'
import { SHARE_AT_REST } from '../streams/chunk-ranges.ts'
import { ConditionCheck } from '../streams/condition-check.ts'
import { HeadLoader } from '../streams/head-loader.ts'
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
import { PendingAppends, writerFailed } from './pending-appends.ts'
import type { Recovery, Rooms } from './rooms.ts'

const LOCK_FILE_NAME = 'lock'

/** Locks the directory, recovers or creates the log, and wires the stages: admission → queue → writer → chaser → pending. */
export async function openForWriting(disk: Disk, directory: string, options: CheckedOptions): Promise<Rooms> {
  const startedMs = options.clock.monotonic()
  let lock: DiskLock | null = null
  try {
    lock = await lockDirectory(disk, directory)
    return await wire(disk, directory, options, lock, startedMs)
  } catch (error) {
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

async function wire(disk: Disk, directory: string, options: CheckedOptions, lock: DiskLock, startedMs: number): Promise<Rooms> {
  // The process that made the last chunk may have been killed before it could do so. The log is looked for meanwhile.
  const namesSynced = disk.syncDirectory(directory)
  namesSynced.catch(() => {})
  const found = await findLog(disk, directory, 'write')
  const opened: { close(): Promise<void> }[] = found === null ? [] : [found.chunks, ...(found.next === null ? [] : [found.next])]
  try {
    await namesSynced
    return await wireFound(disk, directory, options, lock, startedMs, found, opened)
  } catch (error) {
    await closeAll(opened).catch(() => {})
    throw error
  }
}

/** @param opened what has to be closed if this fails; what is opened here is added. */
async function wireFound(
  disk: Disk,
  directory: string,
  options: CheckedOptions,
  lock: DiskLock,
  startedMs: number,
  found: FoundLog | null,
  opened: { close(): Promise<void> }[],
): Promise<Rooms> {
  const { clock, logger } = options
  const state =
    found === null
      ? await createLog(disk, directory, clock, options.chunkSizeBytes)
      : await repairLog(disk, directory, found, clock, options.chunkSizeBytes)
  if (found === null) opened.push(state.chunks)
  const { storeId } = state.chunks.active.header
  const hint = await FlushedHint.open(disk, directory, storeId, found?.hinted ?? LogPosition.start, clock)
  opened.push(hint)
  hint.advance(state.end)

  const log = new ChunkLog(disk, directory, clock, options.chunkSizeBytes, hint, state)
  const cache = new BlockCache(options.cacheBytes)
  const reader = new LogReader(disk, log.chunks, log.recent, cache, log.stamp.seed)
  const files = await openIndexFiles({ disk, directory, storeId, chunks: log.chunks, reader, logEnd: log.end }, 'write', options)
  opened.push(files)
  const index = new StreamIndex(log.chunks, files, files.end)
  const published = () => chaser.published.position
  const loader = new HeadLoader(index, reader, published)
  const ids = new SuppliedIdMemory(index, reader, published)
  const rules = new AppendRules(
    loader,
    ids,
    new ConditionCheck(index, reader, () => chaser.published, storeId),
    new RetryCheck(index, reader, published),
  )
  const pending = new PendingAppends(append => rules.release(append))

  const listener: WriterListener = {
    decided: () => pending.settle(chaser.published.position),
    undone(position, error) {
      logger?.warn({ err: error, position }, 'appends were taken back')
      pending.undo(position, error, append => rules.forget(append))
      pending.settle(chaser.published.position)
    },
    rested: () => files.tidy(SHARE_AT_REST),
    failed(position, cause) {
      logger?.error({ err: cause, position }, 'the writer failed; reads go on, appends need a reopen')
      pending.fail(position, cause)
      pending.settle(chaser.published.position)
      rules.writerFailed()
    },
  }
  const commits: CommitListener = {
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
  const writer = new StorageWriter(log, rules, listener, clock, options.durability, options.flushDelayMs)
  const chaser = new StorageChaser(reader, writer.flushed, files.end, [commits], error => {
    // What is flushed and was not published has nobody any more who would ack it.
    pending.fail(published(), error)
    writer.fail(error)
    pending.settle(published())
  })
  chaser.published.follow(() => {
    pending.settle(chaser.published.position)
    log.release(chaser.published.position)
  })
  const admission = new Admission(options, pending, writer.queue, rules, log.capacity, () =>
    writer.failure === undefined ? null : writerFailed(writer.failure.cause, 'rejected'),
  )
  const streams = new StreamReader(index, loader, reader, chaser.published, storeId, clock)
  const maintenance = new Maintenance({
    ...{
      files: { disk, directory, chunks: log.chunks },
      index,
      indexFiles: files,
      loader,
      ids,
      writer,
      clock,
    },
    settled: () => chaser.settled(),
    published,
    erasures: () => erasuresOf(streams),
  })
  await chaser.start()
  // In the other modes what was published is not durable: an index that knew of it would be evidence of loss after a crash.
  if (options.durability === 'fsync') chaser.published.follow(() => index.saveBelow(chaser.published.position))
  writer.continueFrom(index.lastCreatedMs)

  const truncatedBytes = found === null ? 0 : found.tailEnd - found.end
  const recovery: Recovery = {
    clean: found === null || (truncatedBytes === 0 && found.proven >= found.end && found.endsWithProof),
    events: index.eventCount,
    scannedBytes: found?.scannedBytes ?? 0,
    truncatedBytes,
    ms: clock.monotonic() - startedMs,
  }
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
    writing: { writer, pending, admission, maintenance },
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
      const admitted = admission.close()
      await maintenance.close()
      await admitted
      await writer.stop()
      await chaser.settled()
      await pending.answered()
      chaser.stop()
      // The next open goes on from here. What has no place in the log by now must not get one in the index.
      if (writer.failure === undefined) await files.add(index.active, log.end, 'partial').catch(() => {})
      try {
        await closeAll([files, log])
      } finally {
        await lock.release()
      }
    },
  }
}
