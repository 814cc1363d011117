import { WrongExpectedRevisionError, withoutStack } from '../core/errors.ts'
import { EVENT_ID_SIZE } from '../core/event-id.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import { flagsOf, PrepareFlag, suppliedIdOffsetOf } from '../format/log-record.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { AppendPart } from '../writer/append-terms.ts'
import type { FinalVerdict, RevisionRange } from '../writer/verdict.ts'
import type { CachedHead } from './head-cache.ts'
import { type EventPlace, prepareAt, StreamEvents } from './stream-events.ts'
import type { StreamIndex } from './stream-index.ts'

/**
 * Whether an append whose expected revision is behind the stream's is a retry: then the events behind that revision are its
 * own. Read from the log when everything that was written before has been published, so there is no limit to how late a retry
 * may come, and the first attempt may still have been on its way.
 */
export class RetryCheck {
  readonly #index: StreamIndex
  readonly #log: LogReader
  readonly #published: () => LogPosition

  constructor(index: StreamIndex, log: LogReader, published: () => LogPosition) {
    this.#index = index
    this.#log = log
    this.#published = published
  }

  /**
   * @param known for each part with events the revision at which they are known to stand, or 'stale': behind the expected one.
   */
  async answer(parts: readonly AppendPart[], known: readonly (number | 'stale')[]): Promise<FinalVerdict> {
    const revisions: (RevisionRange | null)[] = []
    let position = LogPosition.start
    let next = 0
    for (const part of parts) {
      if (part.events.length === 0) {
        revisions.push(null)
        continue
      }
      const standing = known[next++]!
      const places = await this.#placesOf(part, standing)
      if (places === null) return this.#refusal(part)
      revisions.push({ firstRevision: places[0]!.revision, lastRevision: places.at(-1)!.revision })
      if (places.at(-1)!.position > position) position = places.at(-1)!.position
    }
    return { kind: 'duplicate', position, revisions }
  }

  /** Where the events of the part stand; null when other events stand there. */
  async #placesOf({ head, expected, events }: AppendPart, standing: number | 'stale'): Promise<EventPlace[] | null> {
    const cached = head as CachedHead
    const stream = new StreamEvents(await this.#index.runs(cached.nameBytes, cached.hash))
    const count = events.length
    if (standing !== 'stale') return whole(await this.#index.hold(stream.forwards(standing, count)), standing, count)
    // A stream that was deleted begins again where it was truncated.
    const starts = typeof expected === 'number' ? [expected + 1] : [0, cached.committedRetention?.metadata.truncateBefore ?? 0]
    for (const start of new Set(starts)) {
      const places = whole(await this.#index.hold(stream.forwards(start, count)), start, count)
      if (places !== null && (await this.#are(places, events))) return places
    }
    return null
  }

  async #are(places: readonly EventPlace[], events: readonly EncodableEvent[]): Promise<boolean> {
    for (let i = 0; i < places.length; i++) {
      const { suppliedId } = events[i]!
      const place = await prepareAt(this.#log, places[i]!.position, this.#published())
      if (place === null || suppliedId === undefined) return false
      const { window, offset } = place
      if (!(flagsOf(window.view, offset) & PrepareFlag.suppliedId)) return false
      const start = suppliedIdOffsetOf(offset)
      if (window.bytes.compare(suppliedId, 0, EVENT_ID_SIZE, start, start + EVENT_ID_SIZE) !== 0) return false
    }
    return true
  }

  #refusal({ head, expected }: AppendPart): FinalVerdict {
    const { committedRevision } = head as CachedHead
    const actual = committedRevision === Revision.none ? null : committedRevision
    return { kind: 'rejected', error: withoutStack(() => new WrongExpectedRevisionError(head.name, expected, actual)) }
  }
}

/** The places, if they are as many as asked for and without a gap. */
function whole(places: EventPlace[], firstRevision: number, count: number): EventPlace[] | null {
  return places.length === count && places[0]!.revision === firstRevision && places.at(-1)!.revision === firstRevision + count - 1
    ? places
    : null
}
