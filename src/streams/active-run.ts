import type { LogPosition, Revision } from '../core/positions.ts'
import { GatheredEvents } from './gathered-events.ts'
import type { IndexPart, StreamRun } from './index-part.ts'

/** A stream's events in the active index, as they were when it was found; later ones don't show. */
export class ActiveRun implements StreamRun {
  readonly part: IndexPart
  readonly firstRevision: Revision
  readonly lastRevision: Revision
  readonly eventCount: number
  readonly lastPosition: LogPosition
  readonly #lastEvent: number
  #gathered: GatheredEvents | null

  /** @param gathered what runs of the stream share; null: it is not worth keeping. */
  constructor(
    part: IndexPart,
    firstRevision: number,
    lastRevision: number,
    eventCount: number,
    lastPosition: number,
    lastEvent: number,
    gathered: GatheredEvents | null,
  ) {
    this.part = part
    this.firstRevision = firstRevision as Revision
    this.lastRevision = lastRevision as Revision
    this.eventCount = eventCount
    this.lastPosition = lastPosition as LogPosition
    this.#lastEvent = lastEvent
    this.#gathered = gathered
  }

  get isDense(): boolean {
    return this.lastRevision - this.firstRevision + 1 === this.eventCount
  }

  /** Index of each event by its place in the run, from `from` on. */
  eventsFrom(from: number, predecessors: Int32Array): Int32Array {
    this.#gathered ??= new GatheredEvents()
    return this.#gathered.gather(from, this.eventCount, this.#lastEvent, predecessors)
  }
}
