import type { Clock } from '../core/clock.ts'
import { StreamDeletedError, StreamNotFoundError } from '../core/errors.ts'
import type { RecordedEvent } from '../core/events.ts'
import { isPromise } from '../core/is-promise.ts'
import { KIB } from '../core/limits.ts'
import { encodeStreamName } from '../core/names.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { createdMsOf, RecordType, sizeOf, typeOf } from '../format/log-record.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import { RecordLoad } from '../log/record-load.ts'
import { ScatteredReader } from '../log/scattered-reader.ts'
import { ScatteredRecords } from '../log/scattered-records.ts'
import type { NextBatch } from './event-reading.ts'
import type { HeadLoader } from './head-loader.ts'
import type { IndexPart } from './index-part.ts'
import { courseOf, type ReadStreamOptions } from './read-options.ts'
import { metadataStreamOf, streamDescribedBy } from './retention.ts'
import { StoredEvent } from './stored-event.ts'
import { type EventPlace, lookAtPrepare, StreamEvents } from './stream-events.ts'
import { hashOf } from './stream-hash.ts'
import type { StreamIndex } from './stream-index.ts'

/** Records are handed out in batches of about this size; what is copied out of shared memory, an event that is kept keeps with it. */
const BATCH_SIZE = 64 * KIB
/** While others of a load are still being read, few of those in memory come one behind the other: so many get memory at once. */
const MIXED_COUNT = 16
/** So many places are taken from the index at once. */
const PLACE_COUNT = 1024

/** Where a stream's readable events begin and end. */
export interface StreamExtent {
  readonly firstRevision: Revision
  readonly lastRevision: Revision
  /** Of the last event. */
  readonly position: LogPosition
}

/** Reads one stream: the index says where its events are, its metadata which of them are kept, the log has them. */
export class StreamReader {
  readonly #index: StreamIndex
  readonly #loader: HeadLoader
  readonly #log: LogReader
  readonly #scattered: ScatteredReader
  readonly #published: Checkpoint
  readonly #storeId: Uint8Array
  readonly #clock: Clock

  constructor(index: StreamIndex, loader: HeadLoader, log: LogReader, published: Checkpoint, storeId: Uint8Array, clock: Clock) {
    this.#index = index
    this.#loader = loader
    this.#log = log
    this.#scattered = new ScatteredReader(log, published)
    this.#published = published
    this.#storeId = storeId
    this.#clock = clock
  }

  /** @returns null when there is no event to be read, because there never was one or the stream was deleted. */
  async extent(stream: string): Promise<StreamExtent | null> {
    const name = encodeStreamName(stream)
    const hash = hashOf(name, 0, name.length)
    const [run, retention] = await Promise.all([this.#index.lastRun(name, hash), this.#loader.retentionOf(stream)])
    if (run === null) return null
    const { lastRevision, lastPosition: position } = run
    if (retention?.isEmptyAt(lastRevision)) return (await this.#goesOn(name, hash, lastRevision)) ? this.extent(stream) : null
    return { firstRevision: (retention?.firstRevision(lastRevision) ?? 0) as Revision, lastRevision, position }
  }

  /** @returns that of the last event that was ever written, readable or not; null when none was. */
  async lastRevision(stream: string): Promise<Revision | null> {
    const name = encodeStreamName(stream)
    return (await this.#index.lastRun(name, hashOf(name, 0, name.length)))?.lastRevision ?? null
  }

  /** Whether more was appended meanwhile: what was said of a stream by the time of the answer may be said of that. */
  async #goesOn(name: Uint8Array, hash: number, lastRevision: Revision): Promise<boolean> {
    const run = await this.#index.lastRun(name, hash)
    return run !== null && run.lastRevision > lastRevision
  }

  /** That of the last event at or before `position`, of those that stand in the log. */
  async lastRevisionUpTo(stream: string, position: LogPosition): Promise<Revision | null> {
    return (await this.#index.hold(this.#lastUpTo(encodeStreamName(stream), position))) ?? null
  }

  async #lastUpTo(name: Uint8Array, position: LogPosition): Promise<Revision | undefined> {
    return new StreamEvents(await this.#index.runs(name, hashOf(name, 0, name.length))).lastUpTo(position)
  }

  /** Whether the event stands in the log, shown to readers or not. @throws CorruptLogError, ReadFailedError */
  async holds(stream: string, revision: number): Promise<boolean> {
    const [place] = await this.#index.hold(this.#placeOf(encodeStreamName(stream), revision))
    if (place?.revision !== revision) return false
    return lookAtPrepare(this.#log, place.position, this.#published.position, found => found !== null)
  }

  async #placeOf(name: Uint8Array, revision: number): Promise<EventPlace[]> {
    return new StreamEvents(await this.#index.runs(name, hashOf(name, 0, name.length))).forwards(revision, 1)
  }

  /**
   * @returns a function that says whether a read of the stream may give something else than it gave when everything below `since`
   * was known: an event was appended, or something was said of what is kept. It looks into memory alone.
   */
  watch(stream: string): (since: LogPosition) => boolean {
    const told = streamDescribedBy(stream) === null ? [stream, metadataStreamOf(stream)] : [stream]
    const names = told.map(encodeStreamName)
    const hashes = names.map(name => hashOf(name, 0, name.length))
    return since => names.some((name, index) => this.#index.mayGoOnFrom(since, name, hashes[index]!))
  }

  /**
   * @param ready awaited before the first look at the index: the end of the read is fixed then.
   * @param upTo events behind this position are not read, whatever is committed by then.
   */
  read(
    stream: string,
    options: ReadStreamOptions,
    ready: () => Promise<void> | null,
    upTo: LogPosition | null = null,
  ): NextBatch {
    const { signal } = options
    let reading: Reading | null = null
    const begin = async () => {
      const waiting = ready()
      if (waiting !== null) await waiting
      reading = await this.#index.hold(this.#begin(stream, options, upTo))
      return this.#readBatch(reading)
    }
    const next = () => (reading === null ? begin() : this.#readBatch(reading))
    if (signal === undefined) return next
    return async () => {
      signal.throwIfAborted()
      const batch = await next()
      signal.throwIfAborted()
      return batch
    }
  }

  async #begin(stream: string, options: ReadStreamOptions, upTo: LogPosition | null): Promise<Reading> {
    const name = encodeStreamName(stream)
    const hash = hashOf(name, 0, name.length)
    const parts = this.#index.parts()
    const asked = this.#index.runs(name, hash)
    const said = this.#loader.retentionOf(stream)
    const isWaiting = isPromise(asked) || isPromise(said)
    const [runs, retention] = isWaiting ? await Promise.all([asked, said]) : [asked, said]
    if (retention?.isTombstoned) throw new StreamDeletedError(stream)
    const events = new StreamEvents(runs)
    const last = upTo === null ? runs.at(-1)?.lastRevision : await events.lastUpTo(upTo)
    if (last === undefined) throw new StreamNotFoundError(stream)
    if (retention?.isEmptyAt(last)) {
      if (upTo === null && (await this.#goesOn(name, hash, last))) return this.#begin(stream, options, upTo)
      throw new StreamNotFoundError(stream)
    }
    const first = retention?.firstRevision(last) ?? 0
    const { from, backwards, maxCount } = courseOf(options)
    let next: number
    if (from === 'start') next = first
    else if (from === 'end') next = backwards ? last : last + 1
    else next = backwards ? Math.min(from, last) : Math.max(from, first)
    return {
      stream,
      name,
      hash,
      backwards,
      first,
      last,
      oldestMs: retention?.oldestCreatedMs(this.#clock.now()) ?? Number.NEGATIVE_INFINITY,
      parts,
      events,
      next,
      left: maxCount,
      records: new ScatteredRecords(this.#log, this.#scattered),
    }
  }

  /** Takes the next places from the index. @returns false at the end. */
  async #refill(reading: Reading): Promise<boolean> {
    const { backwards, next, first, last } = reading
    const available = backwards ? next - first + 1 : last - next + 1
    if (available <= 0) return false
    const count = Math.min(PLACE_COUNT, reading.left, available)
    const asked = reading.parts === this.#index.parts() ? nextPlaces(reading, count) : this.#placesAnew(reading, count)
    const found = isPromise(asked) ? await this.#index.hold(asked) : asked
    reading.records.begin(found.filter(({ revision }) => revision >= first && revision <= last))
    const end = found.at(-1)
    if (end === undefined || reading.records.left === 0) return false
    reading.next = backwards ? end.revision - 1 : end.revision + 1
    return true
  }

  /** The parts have changed: what was found in them may have gone with one. */
  async #placesAnew(reading: Reading, count: number): Promise<readonly EventPlace[]> {
    const parts = this.#index.parts()
    reading.events = new StreamEvents(await this.#index.runs(reading.name, reading.hash))
    reading.parts = parts
    return nextPlaces(reading, count)
  }

  async #readBatch(reading: Reading): Promise<readonly RecordedEvent[] | null> {
    const { records } = reading
    const events: RecordedEvent[] = []
    let copies: ByteWindow | null = null
    let copiedSize = 0
    let size = 0
    // Of places with nothing to show no more are gone through in one step than the index gives at once.
    let isRefilled = false
    while (reading.left > 0) {
      if (records.left === 0) {
        if (isRefilled || events.length > 0) return events
        if (!(await this.#refill(reading))) return null
        isRefilled = true
      }
      const record = records.current(reading.left)
      if (record instanceof RecordLoad) {
        // What has come is handed out while the rest is read.
        if (events.length > 0) break
        await record.done
        continue
      }
      if (record === 'gone' || !isReadable(record.window.view, record.offset, reading.oldestMs)) {
        records.next()
        continue
      }
      let { window, offset } = record
      const recordSize = sizeOf(window.view, offset)
      if (events.length > 0 && size + recordSize > BATCH_SIZE) break
      if (!record.isOwn) {
        const count = Math.min(reading.left, records.left)
        const wanted = recordSize * (records.isLoading ? Math.min(count, MIXED_COUNT) : count)
        if (copies === null || copiedSize + recordSize > copies.size) {
          copies = ByteWindow.allocate(Math.max(recordSize, Math.min(BATCH_SIZE - size, wanted)))
          copiedSize = 0
        }
        window.bytes.copy(copies.bytes, copiedSize, offset, offset + recordSize)
        window = copies
        offset = copiedSize
        copiedSize += recordSize
      }
      events.push(new StoredEvent(window, offset, this.#storeId, reading.stream))
      size += recordSize
      records.next()
      reading.left--
    }
    return events.length === 0 ? null : events
  }
}

/** A stub stands where an event was scavenged. */
function isReadable(view: DataView, offset: number, oldestMs: number): boolean {
  return typeOf(view, offset) === RecordType.prepare && createdMsOf(view, offset) >= oldestMs
}

/** What a read still has to read. */
interface Reading {
  readonly stream: string
  readonly name: Uint8Array
  readonly hash: number
  readonly backwards: boolean
  /** Revisions that are kept; the last one was there when the read began. */
  readonly first: number
  readonly last: number
  readonly oldestMs: number
  /** Of the index, when `events` were collected. */
  parts: readonly IndexPart[]
  events: StreamEvents
  /** The revision at which the next places begin. */
  next: number
  left: number
  /** Of the places that were taken from the index last. */
  readonly records: ScatteredRecords
}

/** The next ones, as many as `count` if there are so many. */
function nextPlaces({ backwards, events, next }: Reading, count: number): readonly EventPlace[] | Promise<readonly EventPlace[]> {
  return backwards ? events.backwards(next, count) : events.forwards(next, count)
}
