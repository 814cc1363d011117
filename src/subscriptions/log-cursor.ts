import type { RecordedEvent } from '../core/events.ts'
import type { LogPosition } from '../core/positions.ts'
import type { EventSelection } from '../streams/event-filter.ts'
import { eventsOf } from '../streams/stored-event.ts'
import type { SharedBatches } from './shared-batches.ts'

/** A place from which events are read on, as often as it is asked: whether they are old or new makes no difference. */
export interface Cursor {
  /**
   * The next events below `limit`, which is published; possibly none, when all of a batch were left out.
   * @returns null when nothing below `limit` is left to be read.
   * @throws CorruptLogError, ReadFailedError
   */
  read(limit: LogPosition): Promise<readonly RecordedEvent[] | null>
  /** Everything below was read, or left out; null where nothing was read, or where it does not go through the whole log. */
  readonly position: LogPosition | null
}

/** A place in the log. It is all that a subscription remembers. */
export class LogCursor implements Cursor {
  readonly #batches: SharedBatches
  readonly #storeId: Uint8Array
  readonly #selection: EventSelection
  #next: LogPosition
  /** A record begins at `next`, or will. */
  #isAtRecord: boolean

  /** @param from any position: reading begins with the first event at or behind it. */
  constructor(batches: SharedBatches, storeId: Uint8Array, selection: EventSelection, from: LogPosition) {
    this.#batches = batches
    this.#storeId = storeId
    this.#selection = selection
    this.#next = from
    this.#isAtRecord = false
  }

  /** Everything below was read, or left out. */
  get position(): LogPosition {
    return this.#next
  }

  async read(limit: LogPosition): Promise<readonly RecordedEvent[] | null> {
    if (this.#next >= limit) return null
    if (!this.#isAtRecord) {
      this.#next = await this.#batches.boundaryFrom(this.#next, limit)
      this.#isAtRecord = true
      if (this.#next >= limit) return null
    }
    const batch = await this.#batches.read(this.#next, limit)
    if (batch === null) return null
    this.#next = batch.next
    return eventsOf(batch, this.#storeId, this.#selection, Number.POSITIVE_INFINITY, true)
  }
}
