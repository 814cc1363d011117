import { WrongExpectedRevisionError, withoutStack } from '../core/errors.ts'
import { EVENT_ID_SIZE } from '../core/event-id.ts'
import type { ExpectedRevision } from '../core/events.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import { flagsOf, PrepareFlag, suppliedIdOffsetOf } from '../format/log-record.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordPlace } from '../log/record-batch.ts'
import type { FinalVerdict, RevisionRange } from '../writer/verdict.ts'
import type { CachedHead } from './cached-head.ts'
import { type EventPlace, lookAtPrepare, StreamEvents } from './stream-events.ts'
import type { StreamIndex } from './stream-index.ts'

/** What an append claims to have written to a stream, and where that stream was when it said so. */
export interface RetryClaim {
  readonly head: CachedHead
  readonly expected: ExpectedRevision
  readonly events: readonly EncodableEvent[]
  /** The revision from which on its events are known to stand; 'stale': they must stand behind the expected revision. */
  readonly standing: number | 'stale'
  readonly actual: Revision
  readonly truncateBefore: number
}

/**
 * Whether an append whose expected revision is behind the stream's is a retry: then the events behind that revision are its
 * own. Read from the log when everything that was written before has been published, so there is no limit to how late a retry
 * may come, and the first attempt may still have been on its way.
 */
export class RetryCheck {
  readonly #index: StreamIndex
  readonly #log: LogReader
  readonly #published: Checkpoint

  constructor(index: StreamIndex, log: LogReader, published: Checkpoint) {
    this.#index = index
    this.#log = log
    this.#published = published
  }

  /** @param claims one for each part of the append; null for a part without events. */
  async answer(claims: readonly (RetryClaim | null)[]): Promise<FinalVerdict> {
    const revisions: (RevisionRange | null)[] = []
    let position = LogPosition.start
    for (const claim of claims) {
      const places = claim === null ? null : await this.#index.hold(this.#placesOf(claim))
      if (claim !== null && places === null) return refusal(claim)
      revisions.push(places && { firstRevision: places[0]!.revision, lastRevision: places.at(-1)!.revision })
      if (places !== null && places.at(-1)!.position > position) position = places.at(-1)!.position
    }
    return { kind: 'duplicate', position, revisions }
  }

  /** Where the events of the part stand; null when other events stand there. */
  async #placesOf({ head, expected, events, standing, truncateBefore }: RetryClaim): Promise<EventPlace[] | null> {
    const stream = new StreamEvents(await this.#index.runs(head.nameBytes, head.hash))
    const count = events.length
    if (standing !== 'stale') return whole(await stream.forwards(standing, count), standing, count)
    // A stream that was deleted begins again where it was truncated.
    const starts = typeof expected === 'number' ? [expected + 1] : [0, truncateBefore]
    for (const start of new Set(starts)) {
      const places = whole(await stream.forwards(start, count), start, count)
      if (places !== null && (await this.#are(places, events))) return places
    }
    return null
  }

  async #are(places: readonly EventPlace[], events: readonly EncodableEvent[]): Promise<boolean> {
    for (let i = 0; i < places.length; i++) {
      const { suppliedId } = events[i]!
      if (suppliedId === undefined) return false
      const isIt = (place: RecordPlace | null) => place !== null && hasId(place, suppliedId)
      if (!(await lookAtPrepare(this.#log, places[i]!.position, this.#published.position, isIt))) return false
    }
    return true
  }
}

function hasId({ window, offset }: RecordPlace, suppliedId: Uint8Array): boolean {
  if (!(flagsOf(window.view, offset) & PrepareFlag.suppliedId)) return false
  const start = suppliedIdOffsetOf(offset)
  return window.bytes.compare(suppliedId, 0, EVENT_ID_SIZE, start, start + EVENT_ID_SIZE) === 0
}

function refusal({ head, expected, standing, actual }: RetryClaim): FinalVerdict {
  const told = actual === Revision.none ? null : actual
  const hasIds = standing !== 'stale'
  return { kind: 'rejected', error: withoutStack(() => new WrongExpectedRevisionError(head.name, expected, told, hasIds)) }
}

/** The places, if they are as many as asked for and without a gap. */
function whole(places: EventPlace[], firstRevision: number, count: number): EventPlace[] | null {
  return places.length === count && places[0]!.revision === firstRevision && places.at(-1)!.revision === firstRevision + count - 1
    ? places
    : null
}
