import type { Clock } from '../core/clock.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import { shown } from '../core/json-text.ts'
import { encodeStreamName } from '../core/names.ts'
import { LogPosition } from '../core/positions.ts'
import { checkFrom } from '../core/whole-numbers.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { EventSelection } from '../streams/event-filter.ts'
import type { StreamReader } from '../streams/stream-reader.ts'
import { LaterCursor } from './later-cursor.ts'
import type { LogClient } from './log-client.ts'
import { type Cursor, LogCursor } from './log-cursor.ts'
import { LogTail } from './log-tail.ts'
import { SharedBatches } from './shared-batches.ts'
import { StreamCursor } from './stream-cursor.ts'

/** What the front desk hands in for those who follow the log. */
export interface FollowedStore {
  readonly reader: LogReader
  readonly published: Checkpoint
  readonly storeId: Uint8Array
  readonly streams: StreamReader
  readonly client: LogClient
  readonly clock: Clock
  /** Brings `published` up to date in a store that follows another process; null where it moves by itself. */
  readonly look: (() => Promise<void>) | null
  /** Told of a follower that could not write its last note when the store was closed, and why. */
  readonly noteLost: (stream: string, error: unknown) => void
}

/** Where followers get their cursors. They share one eye on the tail, and the bytes they read. */
export class FollowerDesk {
  readonly tail: LogTail
  readonly client: LogClient
  readonly clock: Clock
  readonly #batches: SharedBatches
  readonly #storeId: Uint8Array
  readonly #streams: StreamReader
  /** By the stream of their notes. */
  readonly #open = new Map<string, () => Promise<void>>()
  readonly #noteLost: (stream: string, error: unknown) => void
  #isClosing = false

  constructor({ reader, published, storeId, streams, client, clock, look, noteLost }: FollowedStore) {
    this.tail = new LogTail(published, clock, look)
    this.client = client
    this.clock = clock
    this.#batches = new SharedBatches(reader)
    this.#storeId = storeId
    this.#streams = streams
    this.#noteLost = noteLost
  }

  /** A place in the log. @param from inclusive. */
  logCursor(selection: EventSelection, from: number): LogCursor {
    return new LogCursor(this.#batches, this.#storeId, selection, LogPosition.of(from))
  }

  /** A place in one stream. @param from a revision, inclusive, or null for the first event at or behind the position `behind`. */
  streamCursor(stream: string, selection: EventSelection, from: number | null, behind: number): StreamCursor {
    return new StreamCursor(this.#streams, stream, selection, from, LogPosition.of(behind))
  }

  /** A cursor that begins where the log ends now. In a store that follows another process, that has to be looked up. */
  endCursor(begin: (end: LogPosition) => Cursor): Cursor {
    const { tail } = this
    if (!tail.hasToLook) return begin(tail.position)
    const looking = tail.refresh().then(() => tail.position)
    // Whoever reads hears of it.
    looking.catch(() => {})
    return new LaterCursor(async () => begin(await looking))
  }

  /**
   * Enters a follower that works by itself; one at a time may write its notes.
   * @param close called when the store is closed, while it can still be written to.
   * @returns a function that takes it out.
   * @throws InvalidArgumentError
   */
  enter(notes: string, close: () => Promise<void>): () => void {
    if (this.#open.has(notes)) throw new InvalidArgumentError(`'${notes}' is in use: close it first`)
    this.#open.set(notes, close)
    return () => this.#open.delete(notes)
  }

  /** The store takes no more calls. Followers may still write what they have to. */
  get isClosing(): boolean {
    return this.#isClosing
  }

  /** Ends all followers: first those that still have something to write. @returns null when it is done already. */
  close(): Promise<void> | null {
    this.#isClosing = true
    if (this.#open.size === 0) {
      this.tail.close()
      return null
    }
    const closing = [...this.#open].map(([notes, close]) => close().catch(error => this.#noteLost(notes, error)))
    return Promise.allSettled(closing).then(() => this.tail.close())
  }
}

/** The stream in which a follower keeps its notes. @throws InvalidArgumentError */
export function notesStream(kind: string, name: unknown): string {
  if (typeof name !== 'string' || name === '')
    throw new InvalidArgumentError(`the name of a ${kind} must be a text, got ${shown(name)}`)
  const stream = `$${kind}-${name}`
  encodeStreamName(stream)
  return stream
}

/** @returns `from` as a number; 'end' is the end of what is published. @throws InvalidArgumentError */
export function checkedFrom(from: unknown, end: number): number {
  checkFrom(from)
  if (from === 'end') return end
  return typeof from === 'number' ? from : 0
}
