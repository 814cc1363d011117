import { ConditionFailedError, withoutStack } from '../core/errors.ts'
import type { RecordedEvent } from '../core/events.ts'
import { isPromise } from '../core/is-promise.ts'
import { encodeStreamName } from '../core/names.ts'
import { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { eventTypeOffsetOf, eventTypeSizeOf, positionOf, RecordType, sizeOf, typeOf } from '../format/log-record.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordPlace } from '../log/record-batch.ts'
import type { ConditionTerms } from '../writer/append-terms.ts'
import type { FinalVerdict } from '../writer/verdict.ts'
import type { IndexPart, StreamRun } from './index-part.ts'
import { StoredEvent } from './stored-event.ts'
import { lookAtPrepare, StreamEvents } from './stream-events.ts'
import { hashOf } from './stream-hash.ts'
import type { StreamIndex } from './stream-index.ts'

const MAX_CONFLICTS = 100
const READ_SIZE = 256 * 1024
/** So many places are taken from the index at once. */
const PLACE_COUNT = 256

/**
 * What stands against a condition, as far as it is committed. The index knows of each of its parts the last position by event
 * type, and of each stream the last position: most conditions need no more.
 */
export class ConditionCheck {
  readonly #index: StreamIndex
  readonly #log: LogReader
  readonly #published: Checkpoint
  readonly #storeId: Uint8Array
  /** Of looks that wait for what was written to be published. */
  readonly #waking: (() => void)[] = []

  constructor(index: StreamIndex, log: LogReader, published: Checkpoint, storeId: Uint8Array) {
    this.#index = index
    this.#log = log
    this.#published = published
    this.#storeId = storeId
  }

  /**
   * Looks at everything that was written up to now, and says in the condition what it found.
   * @param writtenEnd where the log ends for the writer; it goes back when appends are undone.
   * @returns null when that needed no waiting.
   */
  look(condition: ConditionTerms, writtenEnd: () => LogPosition): Promise<void> | null {
    const published = this.#published
    if (published.position < writtenEnd()) return this.#lookLater(condition, writtenEnd)
    condition.checkedUpTo = published.position
    const refuted = this.#isRefuted(condition, condition.after)
    if (typeof refuted === 'boolean') {
      condition.isRefuted = refuted
      return null
    }
    return this.#index.hold(refuted).then(isRefuted => {
      condition.isRefuted = isRefuted
    })
  }

  /** What was written now is all that looks wait for: what comes behind, the writer looks at. */
  async #lookLater(condition: ConditionTerms, writtenEnd: () => LogPosition): Promise<void> {
    const published = this.#published
    const end = writtenEnd()
    while (published.position < Math.min(end, writtenEnd())) {
      await new Promise<void>(resolve => {
        const unfollow = published.follow(() => this.lookAgain())
        this.#waking.push(() => {
          unfollow()
          resolve()
        })
      })
    }
    await this.look(condition, () => LogPosition.start)
  }

  /** Where the log ends may have changed. */
  lookAgain(): void {
    for (const wake of this.#waking.splice(0)) wake()
  }

  #isRefuted(condition: ConditionTerms, after: LogPosition): boolean | Promise<boolean> {
    const parts = this.#index.parts().filter(({ end }) => end > after)
    const { types, streams } = condition
    const hasType = types === null || this.#hasType(parts, parts.length - 1, types, 0, after)
    if (streams === null || hasType === false) return hasType
    if (hasType === true) return this.#hasStream(condition, streams, after)
    return hasType.then(isThere => isThere && this.#hasStream(condition, streams, after))
  }

  #hasType(
    parts: readonly IndexPart[],
    from: number,
    types: readonly Uint8Array[],
    fromType: number,
    after: LogPosition,
  ): boolean | Promise<boolean> {
    for (let i = from, t = fromType; i >= 0; i--, t = 0) {
      for (; t < types.length; t++) {
        const last = parts[i]!.lastOfType(types[t]!)
        if (isPromise(last)) {
          const [part, type] = [i, t]
          return last.then(found => (found !== null && found > after) || this.#hasType(parts, part, types, type + 1, after))
        }
        if (last !== null && last > after) return true
      }
    }
    return false
  }

  /** A part that was merged away meanwhile is looked through instead. */
  async #hasTypeIn(part: IndexPart, types: readonly Uint8Array[], after: LogPosition): Promise<boolean> {
    return !this.#index.parts().includes(part) || this.#index.hold(Promise.resolve(this.#hasType([part], 0, types, 0, after)))
  }

  #hasStream(condition: ConditionTerms, streams: readonly string[], after: LogPosition): boolean | Promise<boolean> {
    for (let i = 0; i < streams.length; i++) {
      const name = encodeStreamName(streams[i])
      const run = this.#index.lastRun(name, hashOf(name, 0, name.length))
      // A stream that ends before needs no further look; in others it is the types that decide.
      if (run === null || (!isPromise(run) && run.lastPosition <= after)) continue
      if (!isPromise(run) && condition.types === null) return true
      // It is asked for once more, and what fails is heard there.
      if (isPromise(run)) run.catch(() => {})
      return this.#hasStreamLater(condition, streams.slice(i), after)
    }
    return false
  }

  async #hasStreamLater(condition: ConditionTerms, streams: readonly string[], after: LogPosition): Promise<boolean> {
    for (const stream of streams) {
      const name = encodeStreamName(stream)
      const run: StreamRun | null = await this.#index.lastRun(name, hashOf(name, 0, name.length))
      if (run === null || run.lastPosition <= after) continue
      if (condition.types === null) return true
      const { positions, isWhole } = await this.#index.hold(this.#placesBehind(name, after, this.#published.position))
      // Where an event was scavenged nobody knows its type any more: it stands against every one.
      if (!isWhole) return true
      const { types } = condition
      for (const position of positions) {
        const isAgainst = (place: RecordPlace | null) => place === null || isAmong(place.window, place.offset, types)
        if (await lookAtPrepare(this.#log, position, this.#published.position, isAgainst)) return true
      }
    }
    return false
  }

  /** Where the stream's events behind `after` and below `limit` are, in order, and whether all that ever were there still are. */
  async #placesBehind(
    name: Uint8Array,
    after: LogPosition,
    limit: LogPosition,
  ): Promise<{ positions: LogPosition[]; isWhole: boolean }> {
    const events = new StreamEvents(await this.#index.runs(name, hashOf(name, 0, name.length)))
    const positions: LogPosition[] = []
    let isWhole = true
    for (let next: number = Number.MAX_SAFE_INTEGER, before: number | null = null; ; ) {
      const places = await events.backwards(next, PLACE_COUNT)
      for (const { position, revision } of places) {
        isWhole &&= before === null || revision === before - 1
        if (position <= after) return { positions: positions.reverse(), isWhole }
        if (position < limit) positions.push(position)
        before = revision
      }
      if (places.length < PLACE_COUNT) return { positions: positions.reverse(), isWhole: isWhole && (before ?? 0) === 0 }
      next = before! - 1
    }
  }

  /** The refusal, with the events that stand against the condition, as they are committed by now. */
  async refusal(condition: ConditionTerms): Promise<FinalVerdict> {
    const events = condition.streams === null ? await this.#conflictsInLog(condition) : await this.#conflictsInStreams(condition)
    const more = events.length > MAX_CONFLICTS
    return { kind: 'rejected', error: withoutStack(() => new ConditionFailedError(events.slice(0, MAX_CONFLICTS), more)) }
  }

  async #conflictsInStreams({ streams, types, after }: ConditionTerms): Promise<RecordedEvent[]> {
    const limit = this.#published.position
    const events: RecordedEvent[] = []
    for (const stream of streams!) {
      let found = 0
      const { positions } = await this.#index.hold(this.#placesBehind(encodeStreamName(stream), after, limit))
      for (const position of positions) {
        const conflict = await lookAtPrepare(this.#log, position, limit, place =>
          place === null || (types !== null && !isAmong(place.window, place.offset, types))
            ? null
            : this.#copied(place.window, place.offset),
        )
        if (conflict === null) continue
        events.push(conflict)
        if (++found > MAX_CONFLICTS) break
      }
    }
    return events.sort((one, other) => one.position - other.position).slice(0, MAX_CONFLICTS + 1)
  }

  async #conflictsInLog({ types, after }: ConditionTerms): Promise<RecordedEvent[]> {
    const limit = this.#published.position
    const events: RecordedEvent[] = []
    for (const part of this.#index.parts()) {
      if (part.end <= after || !(await this.#hasTypeIn(part, types!, after))) continue
      const from = await this.#log.boundaryFrom(Math.max(part.start, after) as LogPosition, limit)
      // The log is read up to a place where a record ends; a part may end within its last one.
      for (let next = from; next < part.end; ) {
        const batch = await this.#log.readForward(next, limit, READ_SIZE)
        if (batch === null) break
        next = batch.next
        for (const offset of batch.offsets) {
          if (typeOf(batch.window.view, offset) !== RecordType.prepare || !isAmong(batch.window, offset, types!)) continue
          const position = positionOf(batch.window.view, offset)
          if (position > after && position < part.end) events.push(this.#copied(batch.window, offset))
          if (events.length > MAX_CONFLICTS) return events
        }
      }
    }
    return events
  }

  /** Whoever keeps the refusal keeps the events, and would keep everything that was read with them. */
  #copied(window: ByteWindow, offset: number): RecordedEvent {
    const size = sizeOf(window.view, offset)
    const own = ByteWindow.allocate(size)
    window.bytes.copy(own.bytes, 0, offset, offset + size)
    return new StoredEvent(own, 0, this.#storeId)
  }
}

function isAmong({ bytes, view }: ByteWindow, offset: number, types: readonly Uint8Array[]): boolean {
  const start = eventTypeOffsetOf(view, offset)
  const end = start + eventTypeSizeOf(view, offset)
  return types.some(type => type.length === end - start && bytes.compare(type, 0, type.length, start, end) === 0)
}
