import { type Clock, systemClock } from '#engine/core/clock.ts'

/** A clock that shows the time of the line that is being imported, since a store gives its events the time of its clock. */
export class RowClock implements Clock {
  readonly monotonic = systemClock.monotonic
  readonly after = systemClock.after
  /** What it shows. */
  ms = 0
  /** Time of the newest event: the store gives none an earlier one, and knows none before 1970. */
  #newestMs = 0
  #otherCount = 0

  now(): number {
    return this.ms
  }

  /** Tells of an event of that time, in the order of the log. */
  note(createdMs: number): void {
    if (createdMs < this.#newestMs) this.#otherCount++
    else this.#newestMs = createdMs
  }

  /** Events that got another time than theirs. */
  get otherCount(): number {
    return this.#otherCount
  }
}
