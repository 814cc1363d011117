import { randomBytes } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { MIB } from '../core/limits.ts'
import { ChunkNumber, LogPosition } from '../core/positions.ts'
import { syncName } from '../disk/directory.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { encodeChunkFooter } from '../format/chunk-footer.ts'
import { STORE_ID_SIZE } from '../format/chunk-header.ts'
import { checksumSeed, PROOF_RECORD_SIZE } from '../format/log-record.ts'
import { encodeProof, RecordStamp } from '../format/record-encoding.ts'
import type { CheckedStart } from './active-hint.ts'
import { BlockChecksums } from './block-checksums.ts'
import { ChunkFile } from './chunk-file.ts'
import { chunkFileName, isUnfinishedChunk } from './chunk-file-names.ts'
import type { LogState } from './chunk-log.ts'
import { ChunkSequence } from './chunk-sequence.ts'
import type { FoundLog } from './find-log.ts'

/** Makes a new store's first chunk. */
export async function createLog(disk: Disk, directory: string, clock: Clock, chunkSize: number): Promise<LogState> {
  await removeUnfinished(disk, directory, (await disk.list(directory)).filter(isUnfinishedChunk))
  await syncName(disk, directory)
  const chunk = await ChunkFile.create(disk, directory, {
    storeId: new Uint8Array(randomBytes(STORE_ID_SIZE)),
    number: ChunkNumber.of(0),
    generation: 0,
    start: LogPosition.start,
    chunkSize,
    createdMs: clock.now(),
  })
  return emptyState(new ChunkSequence([chunk]))
}

/** Of a log whose active chunk has nothing but its header. */
function emptyState(chunks: ChunkSequence): LogState {
  const { active } = chunks
  const blockChecksums = BlockChecksums.ofHeader(active.header)
  return { chunks, next: null, end: active.firstRecord, endsWithProof: true, eventCount: 0, blockChecksums }
}

/**
 * Makes the log that was found, and whose names are durable, ready for appends. Every step can be repeated after a crash and leads to
 * the same log:
 * 1. the footer of a chunk behind which no record stands yet is written again: records in the next chunk say that it is durable;
 * 2. so is what no one has proven durable, byte for byte, past the page cache: after a failed sync that may show bytes that are not
 *    on the disk, and a sync of clean pages proves nothing (Rebello et al., ATC 2020);
 * 3. the file is cut behind the last record, so that nothing of a torn tail can come back behind a shorter append. Zeros ahead go,
 *    too, unless it was closed: what a process left when it died may be no better than what it wrote;
 * 4. a proof ends the log.
 */
export async function repairLog(
  disk: Disk,
  directory: string,
  found: FoundLog,
  clock: Clock,
  chunkSize: number,
): Promise<LogState> {
  await removeUnfinished(disk, directory, found.unfinished)
  const active = found.chunks.active
  let next = found.next
  if (found.unusable !== null) await removeDurably(disk, directory, found.unusable)
  if (next !== null && next.header.chunkSize !== chunkSize) {
    await next.close()
    await removeDurably(disk, directory, next.header.number)
    next = null
  }
  const completed = active.isComplete ? active : found.end === active.firstRecord ? found.chunks.before(active) : undefined
  // A compact chunk got its name when its footer was durable.
  if (completed !== undefined && !completed.isCompact && found.hinted <= completed.end) await rewriteFooter(completed)
  if (active.isComplete) {
    found.chunks.add(next ?? (await ChunkFile.createBehind(disk, directory, active, chunkSize, clock.now())))
    return emptyState(found.chunks)
  }
  if (found.proven < found.end) await rewrite(active, found.proven, found.end)
  const isSound = found.checked?.isFinal === true && found.checked.end === found.end && found.tailEnd === found.end
  if (active.offsetOf(found.end) < active.filledSize && !isSound) await active.cut(found.end)
  let end = found.end
  let endsWithProof = found.endsWithProof
  if (!endsWithProof && end + PROOF_RECORD_SIZE <= active.recordLimit) {
    const window = ByteWindow.allocate(PROOF_RECORD_SIZE)
    const stamp = new RecordStamp(checksumSeed(found.storeId))
    stamp.proven = end
    stamp.base = end
    encodeProof(window, 0, stamp)
    await active.write(window.bytes, end)
    await active.file.datasync()
    end = LogPosition.plus(end, PROOF_RECORD_SIZE)
    endsWithProof = true
  }
  return {
    chunks: found.chunks,
    next,
    end,
    endsWithProof,
    eventCount: found.eventCount,
    blockChecksums: await sumBlocks(active, end, found.checked),
  }
}

async function rewrite(chunk: ChunkFile, from: LogPosition, to: LogPosition): Promise<void> {
  // All of it at once: it may be nowhere but in the page cache, which drops its neighbours with what is written past it.
  const bytes = Buffer.allocUnsafeSlow(to - from)
  await chunk.read(bytes, chunk.offsetOf(from))
  await chunk.rewriteDurably(bytes, from)
}

async function rewriteFooter(chunk: ChunkFile): Promise<void> {
  const footer = chunk.footer!
  await chunk.file.rewriteDurably(encodeChunkFooter(footer), footer.dataSize)
}

async function sumBlocks(chunk: ChunkFile, end: LogPosition, checked: CheckedStart | null): Promise<BlockChecksums> {
  const blockChecksums =
    checked === null ? new BlockChecksums() : BlockChecksums.resume(checked.blockChecksums, checked.end - chunk.start)
  const buffer = Buffer.allocUnsafeSlow(Math.min(MIB, end - chunk.start))
  for (let at = LogPosition.plus(chunk.start, blockChecksums.size); at < end; ) {
    const piece = buffer.subarray(0, Math.min(buffer.length, end - at))
    await chunk.read(piece, chunk.offsetOf(at))
    blockChecksums.add(piece)
    at = LogPosition.plus(at, piece.length)
  }
  return blockChecksums
}

/** Chunks whose creation was interrupted never bore a record. */
async function removeUnfinished(disk: Disk, directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) await disk.remove(joinPath(directory, name))
}

async function removeDurably(disk: Disk, directory: string, number: ChunkNumber): Promise<void> {
  await disk.remove(joinPath(directory, chunkFileName(number)))
  await disk.syncDirectory(directory)
}
