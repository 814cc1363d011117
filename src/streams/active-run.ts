import type { LogPosition, Revision } from '../core/positions.ts'
import type { IndexPart, StreamRun } from './index-part.ts'

/** A stream's events in the active index, as they were when it was found; later ones don't show. */
export class ActiveRun implements StreamRun {
  readonly part: IndexPart
  readonly firstRevision: Revision
  readonly lastRevision: Revision
  readonly eventCount: number
  readonly lastPosition: LogPosition
  /** Index of each event, from #gatheredFrom on. */
  #events: Int32Array | null = null
  #gatheredFrom: number
  #gatheredEvent: number

  constructor(
    part: IndexPart,
    firstRevision: number,
    lastRevision: number,
    eventCount: number,
    lastPosition: number,
    lastEvent: number,
  ) {
    this.part = part
    this.firstRevision = firstRevision as Revision
    this.lastRevision = lastRevision as Revision
    this.eventCount = eventCount
    this.lastPosition = lastPosition as LogPosition
    this.#gatheredFrom = eventCount
    this.#gatheredEvent = lastEvent
  }

  get isDense(): boolean {
    return this.lastRevision - this.firstRevision + 1 === this.eventCount
  }

  /** The events know only the one before them: they are gathered once, from the last back to the one that is asked for. */
  eventsFrom(from: number, predecessors: Int32Array): Int32Array {
    this.#events ??= new Int32Array(this.eventCount)
    const events = this.#events
    let event = this.#gatheredEvent
    for (let i = this.#gatheredFrom - 1; i >= from; i--) {
      events[i] = event
      event = predecessors[event]!
    }
    if (from < this.#gatheredFrom) {
      this.#gatheredFrom = from
      this.#gatheredEvent = event
    }
    return events
  }
}
