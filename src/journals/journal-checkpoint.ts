import { DamagedJournalError, systemErrorCode } from '../core/errors.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { openIfThere } from '../disk/if-there.ts'
import type { RecordedEvent } from '../index.ts'

/** The version of what is written here; another one is refused. */
const FORMAT = 1
export const CHECKPOINT_NAME = 'checkpoint'
export const NEW_CHECKPOINT_NAME = 'checkpoint.new'

/**
 * How far the journals of a directory are good. Everything up to the event is in the files, durably; the files that are listed
 * may have more behind the size that is listed with them, because they were about to be written to. All others end where they should.
 */
export interface JournalCheckpoint {
  /** The id of the store that they are of; undefined where a version before this one wrote it. */
  readonly store: string | undefined
  /** The last event that is in the journals; null while there is none. */
  readonly event: CheckpointEvent | null
  /** Whether streams that begin with `$` have journals, too. */
  readonly includeSystem: boolean
  /** Sizes before the batch that is being written, by file name. */
  readonly files: ReadonlyMap<string, number>
}

/** What tells an event from that of another store at the same position. */
export interface CheckpointEvent {
  readonly position: number
  readonly stream: string
  readonly revision: number
  readonly id: string
  readonly created: string
}

export function checkpointEventOf({ position, stream, revision, id, created }: RecordedEvent): CheckpointEvent {
  return { position, stream, revision, id, created: created.toISOString() }
}

/** Replaces the checkpoint; after a crash there is the old one or this one. */
export async function writeCheckpoint(disk: Disk, directory: string, checkpoint: JournalCheckpoint): Promise<void> {
  const { store, event, includeSystem, files } = checkpoint
  const text = `${JSON.stringify({ format: FORMAT, store, event, includeSystem, files: Object.fromEntries(files) })}\n`
  const path = joinPath(directory, NEW_CHECKPOINT_NAME)
  const file = await createAnew(disk, path)
  try {
    await file.writeDurably(Buffer.from(text, 'utf8'), 0)
  } finally {
    await file.close()
  }
  await disk.rename(path, joinPath(directory, CHECKPOINT_NAME))
  await disk.syncDirectory(directory)
}

/** A crash may have left the file of a checkpoint that never came to be. */
async function createAnew(disk: Disk, path: string): Promise<DiskFile> {
  try {
    return await disk.open(path, 'create')
  } catch (error) {
    if (systemErrorCode(error) !== 'EEXIST') throw error
    await disk.remove(path)
    return disk.open(path, 'create')
  }
}

/** @returns null when there is none. @throws DamagedJournalError */
export async function readCheckpoint(disk: Disk, directory: string): Promise<JournalCheckpoint | null> {
  const path = joinPath(directory, CHECKPOINT_NAME)
  const file = await openIfThere(disk, path, 'read')
  if (file === null) return null
  try {
    const bytes = Buffer.alloc(await file.size())
    await file.read(bytes, 0)
    return parseCheckpoint(path, bytes.toString('utf8'))
  } finally {
    await file.close()
  }
}

function parseCheckpoint(path: string, text: string): JournalCheckpoint {
  let value: Partial<Omit<JournalCheckpoint, 'files'> & { format: number; files: Record<string, number> }>
  try {
    value = JSON.parse(text)
  } catch {
    throw new DamagedJournalError(path, 'not a checkpoint of journals')
  }
  const { format, store, event, includeSystem, files } = value ?? {}
  if (format !== FORMAT) throw new DamagedJournalError(path, `not a checkpoint of journals in format ${FORMAT}`)
  const isWhole =
    (store === undefined || typeof store === 'string') &&
    (event === null || Number.isSafeInteger(event?.position)) &&
    typeof includeSystem === 'boolean' &&
    typeof files === 'object' &&
    files !== null &&
    Object.values(files).every(size => Number.isSafeInteger(size) && size >= 0)
  if (!isWhole) throw new DamagedJournalError(path, 'not a whole checkpoint of journals')
  return { store, event: event as CheckpointEvent | null, includeSystem, files: new Map(Object.entries(files)) }
}
