import { DamagedJournalError, InvalidArgumentError } from '../core/errors.ts'
import { shown } from '../core/json-text.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import type { EventStore } from '../index.ts'
import { CHECKPOINT_NAME, checkpointEventOf, type JournalCheckpoint, NEW_CHECKPOINT_NAME } from './journal-checkpoint.ts'
import { JOURNAL_SUFFIX } from './journal-names.ts'

export const LOCK_NAME = 'lock'

/** Before anything is made of it on disk. @throws InvalidArgumentError */
export function checkStore(store: unknown): void {
  if (typeof (store as EventStore | null | undefined)?.readAll !== 'function')
    throw new InvalidArgumentError(`store must be an open EventStore, got ${shown(store)}`)
}

/** How a checkpoint names a store. */
export function storeNameOf({ storeId }: EventStore): string {
  return Buffer.from(storeId).toString('hex')
}

/**
 * Whether the journals can be those of this store: it has the id, and at the position of their last event must be that event, or
 * nothing if it was scavenged since: the log goes on behind it then, though perhaps without events.
 * @throws InvalidArgumentError
 */
export async function checkOrigin(
  store: EventStore,
  { store: name, event: last }: JournalCheckpoint,
  directory: string,
): Promise<void> {
  if (name !== undefined && name !== storeNameOf(store))
    throw new InvalidArgumentError(`the journals in ${directory} are of another store: of ${name}`)
  if (last === null) return
  const { position } = last
  for await (const found of store.readAll({ from: position, maxCount: 1, includeSystem: true })) {
    if (found.position > position || JSON.stringify(checkpointEventOf(found)) === JSON.stringify(last)) return
    throw new InvalidArgumentError(
      `the journals in ${directory} are of another store: it has another event at position ${position}`,
    )
  }
  if (store.stats().chaser.position > position) return
  throw new InvalidArgumentError(
    `the journals in ${directory} are ahead of the store, or of another one: it ends before ${position}`,
  )
}

/** Without a checkpoint a directory must have nothing in it: it could be a store, or journals that nobody knows the end of. */
export async function refuseStrangers(disk: Disk, directory: string): Promise<void> {
  const names = await disk.list(directory)
  if (names.includes(CHECKPOINT_NAME)) return
  const stranger = names.find(name => name !== LOCK_NAME && name !== NEW_CHECKPOINT_NAME)
  if (stranger === undefined) return
  const path = joinPath(directory, stranger)
  if (stranger.endsWith(JOURNAL_SUFFIX)) throw new DamagedJournalError(path, 'there is no checkpoint beside it')
  throw new InvalidArgumentError(`journals are begun in a new or empty directory; there is ${path}`)
}
