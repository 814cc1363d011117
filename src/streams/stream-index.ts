import type { CommitAck, CommitListener } from '../chaser/commit-ack.ts'
import { CorruptLogError, WrongExpectedRevisionError, withoutStack } from '../core/errors.ts'
import { encodeStreamName } from '../core/names.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import { createdMsOf, revisionOf, sizeOf, streamOffsetOf, streamSizeOf } from '../format/log-record.ts'
import type { AppendCheck } from '../writer/append-check.ts'
import type { AppendMessage } from '../writer/messages.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import type { Verdict } from '../writer/verdict.ts'
import { EventTable } from './event-table.ts'
import { type StreamEntry, StreamTable } from './stream-table.ts'

/**
 * Which events each stream has, and where. Fed by the chaser, so it knows exactly what is committed; and asked by the writer,
 * for whom each stream also remembers how far the writer is ahead.
 */
export class StreamIndex implements AppendCheck, CommitListener {
  readonly #table = new StreamTable()
  readonly #events = new EventTable()
  #streamCount = 0
  #lastPosition = LogPosition.start
  #lastCreatedMs = 0

  /** Committed events. */
  get eventCount(): number {
    return this.#events.count
  }

  /** Streams with committed events. */
  get streamCount(): number {
    return this.#streamCount
  }

  /** Of the last committed event; 0 when there is none. */
  get lastPosition(): LogPosition {
    return this.#lastPosition
  }

  /** When the last event that was found at open was created, in milliseconds since 1970. */
  get lastCreatedMs(): number {
    return this.#lastCreatedMs
  }

  /** @returns undefined when the stream has no committed event. */
  find(stream: string): StreamEntry | undefined {
    const entry = this.#table.byName(stream)
    return entry === undefined || entry.eventCount === 0 ? undefined : entry
  }

  /** The records say it all: at open, and in a store that follows another process. */
  committed({ window, offset, position, eventCount }: CommitAck): void {
    const { view, bytes } = window
    for (let i = 0, at = offset, next: number = position; i < eventCount; i++) {
      const entry = this.#table.byBytes(bytes, streamOffsetOf(view, at), streamSizeOf(view, at))
      const revision = revisionOf(view, at)
      this.#add(entry, revision, next as LogPosition)
      if (revision > entry.revision) entry.revision = revision
      this.#lastCreatedMs = createdMsOf(view, at)
      const size = sizeOf(view, at)
      at += size
      next += size
    }
  }

  /** The same for an append that is still at hand: its stream need not be looked up again. */
  committedAppend(append: AppendMessage, { window, offset, position, eventCount }: CommitAck): void {
    const entry = append.head as StreamEntry
    this.#add(entry, append.firstRevision, position)
    for (let i = 1, at = offset, next: number = position; i < eventCount; i++) {
      const size = sizeOf(window.view, at)
      at += size
      next += size
      this.#add(entry, Revision.plus(append.firstRevision, i), next as LogPosition)
    }
  }

  #add(entry: StreamEntry, revision: Revision, position: LogPosition): void {
    if (revision !== entry.eventCount) {
      throw new CorruptLogError('log', position, `stream '${entry.name}' goes from revision ${entry.head} to ${revision}`)
    }
    if (revision === 0) this.#streamCount++
    this.#events.add(entry, position)
    this.#lastPosition = position
  }

  /** Positions of the stream's committed events, by revision. */
  positionsOf(entry: StreamEntry): readonly number[] {
    return this.#events.positionsOf(entry)
  }

  prefetch(stream: string): StreamEntry {
    const entry = this.#table.byName(stream) ?? this.#table.add(stream, encodeStreamName(stream))
    entry.holderCount++
    return entry
  }

  decide(append: AppendMessage): Verdict | null {
    const { expected, head } = append
    const { revision } = head
    if (expected === 'any') return null
    if (
      expected === 'no_stream' ? revision === Revision.none : expected === 'stream_exists' ? revision >= 0 : revision === expected
    )
      return null
    const actual = revision === Revision.none ? null : revision
    return { kind: 'rejected', error: withoutStack(() => new WrongExpectedRevisionError(head.name, expected, actual)) }
  }

  note(append: AppendMessage): void {
    append.head.revision = Revision.plus(append.firstRevision, append.eventCount - 1)
  }

  forget(append: AppendMessage): void {
    append.head.revision = Revision.plus(append.firstRevision, -1)
  }

  release(head: StreamHead): void {
    const entry = head as StreamEntry
    if (--entry.holderCount === 0 && entry.revision === Revision.none) this.#table.remove(entry)
  }
}
