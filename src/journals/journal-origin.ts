import { InvalidArgumentError } from '../core/errors.ts'
import type { EventStore } from '../index.ts'
import { type CheckpointEvent, checkpointEventOf } from './journal-checkpoint.ts'

/**
 * Whether the journals can be those of this store: at the position of their last event must be that event, or nothing if it
 * was scavenged since.
 * @throws InvalidArgumentError
 */
export async function checkOrigin(store: EventStore, last: CheckpointEvent | null, directory: string): Promise<void> {
  if (last === null) return
  const { position } = last
  for await (const found of store.readAll({ from: position, maxCount: 1, includeSystem: true })) {
    if (found.position > position || JSON.stringify(checkpointEventOf(found)) === JSON.stringify(last)) return
    throw new InvalidArgumentError(
      `the journals in ${directory} are of another store: it has another event at position ${position}`,
    )
  }
  throw new InvalidArgumentError(
    `the journals in ${directory} are ahead of the store, or of another one: it ends before ${position}`,
  )
}
