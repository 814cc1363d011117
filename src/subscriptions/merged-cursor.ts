import type { RecordedEvent } from '../core/events.ts'
import type { LogPosition } from '../core/positions.ts'
import type { Cursor } from './log-cursor.ts'

/** Several places, each of which is read in order; one gets its turn after the other. */
export class MergedCursor implements Cursor {
  readonly position = null
  readonly #cursors: readonly Cursor[]
  #turn = 0

  constructor(cursors: readonly Cursor[]) {
    this.#cursors = cursors
  }

  async read(limit: LogPosition): Promise<readonly RecordedEvent[] | null> {
    for (let tried = 0; tried < this.#cursors.length; tried++) {
      const cursor = this.#cursors[this.#turn]!
      this.#turn = (this.#turn + 1) % this.#cursors.length
      const batch = await cursor.read(limit)
      if (batch !== null) return batch
    }
    return null
  }
}
