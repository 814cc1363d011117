import type { LogPosition } from '#engine/core/positions.ts'
import type { Disk } from '#engine/disk/disk.ts'
import type { ChunkFile } from '#engine/log/chunk-file.ts'
import { type FoundLog, findLog } from '#engine/log/find-log.ts'
import { UsageError } from './arguments.ts'
import { readChunkHead } from './survey/chunk-frame.ts'
import { PatchyFile } from './survey/patchy-file.ts'
import { holderOf } from './survey/store-holder.ts'

/** How often a scavenge may replace a chunk while the chunks are being opened; it takes longer for each than we do for all. */
const MAX_TRIES = 20

/** The chunks of a store as they all were at one moment; they stay so for who holds them, whatever is written or replaced. */
export interface LogSnapshot {
  readonly log: FoundLog
  /** Behind the last append that is in it. */
  readonly end: LogPosition
  /** Whoever had the store open for writing. */
  readonly holderPid: number | null
}

/**
 * Opens the chunks of a store without a lock and without a write. Of a store that a process is writing, the snapshot ends where its
 * flushed hint or a record proves it durable; of any other where the next open would end it.
 * @throws UsageError when there is no store, CorruptLogError, ReadFailedError, UnsupportedFormatError
 */
export async function openSnapshot(disk: Disk, directory: string): Promise<LogSnapshot> {
  // Asked first: if somebody opens the store behind it, what is whole by then is what he goes on from.
  const holderPid = await holderOf(directory)
  for (let tries = 1; ; tries++) {
    const log = await findLog(disk, directory, 'read')
    if (log === null) throw new UsageError(`there is no store in ${directory}`)
    const { chunks, end, proven } = log
    if (await areCurrent(disk, chunks.all)) {
      return { log, end: holderPid === null ? end : (Math.min(proven, end) as LogPosition), holderPid }
    }
    await closeLog(log)
    if (tries === MAX_TRIES) throw new UsageError(`${directory} is being scavenged; try again when that is done`)
  }
}

export function closeSnapshot({ log }: LogSnapshot): Promise<void> {
  return closeLog(log)
}

async function closeLog(log: FoundLog): Promise<void> {
  await log.next?.close()
  await log.chunks.close()
}

/**
 * Whether each name still stands for the file that is open. A scavenge may have replaced one between two openings: an old chunk
 * beside a newer one would be a state that never was, with erased events in the one and no trace of their erasure in the other.
 */
async function areCurrent(disk: Disk, chunks: readonly ChunkFile[]): Promise<boolean> {
  for (const { path, header } of chunks) {
    const file = await PatchyFile.open(disk, path)
    try {
      const now = (await readChunkHead(file)).header
      if (now !== null && now.generation !== header.generation) return false
    } finally {
      await file.close()
    }
  }
  return true
}
