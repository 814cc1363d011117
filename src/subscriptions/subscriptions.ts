import type { Clock } from '../core/clock.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import { encodeStreamName } from '../core/names.ts'
import { LogPosition } from '../core/positions.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import { type EventFilter, EventSelection } from '../streams/event-filter.ts'
import type { StreamReader } from '../streams/stream-reader.ts'
import { LogCursor } from './log-cursor.ts'
import { LogTail } from './log-tail.ts'
import { SharedBatches } from './shared-batches.ts'
import { StreamCursor } from './stream-cursor.ts'
import { CursorSubscription } from './subscription.ts'

export interface SubscribeOptions {
  /** The events of this stream alone; it need not exist yet. */
  readonly stream?: string | undefined
  /**
   * Inclusive: the first event at or behind it. With `stream` a revision, otherwise a position; 'start' (default), or 'end' for
   * what is committed from now on.
   */
  readonly from?: number | 'start' | 'end' | undefined
  /** Exclusive: the first event behind this revision or position, such as the last one that was seen. */
  readonly after?: number | undefined
  /** Only these events. */
  readonly filter?: EventFilter | undefined
  /** Streams whose name begins with `$` are left out unless this is true, or one of them is `stream`. */
  readonly includeSystem?: boolean | undefined
  /** Ends the subscription: who waits for the next event gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** The desk where followers of the log are made. They share one eye on the tail, and the bytes they read. */
export class Subscriptions {
  readonly #tail: LogTail
  readonly #batches: SharedBatches
  readonly #storeId: Uint8Array
  readonly #streams: StreamReader

  /** @param look brings `published` up to date in a store that follows another process; null where it moves by itself. */
  constructor(
    reader: LogReader,
    published: Checkpoint,
    storeId: Uint8Array,
    streams: StreamReader,
    clock: Clock,
    look: (() => Promise<void>) | null,
  ) {
    this.#tail = new LogTail(published, clock, look)
    this.#batches = new SharedBatches(reader)
    this.#storeId = storeId
    this.#streams = streams
  }

  /** @throws InvalidArgumentError */
  subscribe(options: SubscribeOptions): CursorSubscription {
    const { stream, includeSystem, filter, signal } = options
    if (signal !== undefined && !(signal instanceof AbortSignal)) throw new InvalidArgumentError('signal must be an AbortSignal')
    const from = startOf(options)
    const end = this.#tail.position
    if (stream === undefined) {
      const selection = new EventSelection(filter, includeSystem ?? false)
      const position = from === 'end' ? end : LogPosition.of(from)
      return new CursorSubscription(new LogCursor(this.#batches, this.#storeId, selection, position), this.#tail, signal)
    }
    encodeStreamName(stream)
    const selection = new EventSelection(filter, true)
    const cursor = new StreamCursor(this.#streams, stream, selection, from === 'end' ? null : from, end)
    return new CursorSubscription(cursor, this.#tail, signal)
  }

  /** Ends all subscriptions. */
  close(): void {
    this.#tail.close()
  }
}

function startOf({ from, after }: SubscribeOptions): number | 'end' {
  if (from !== undefined && after !== undefined) throw new InvalidArgumentError('a subscription begins from or after, not both')
  if (after !== undefined) {
    if (!Number.isSafeInteger(after) || after < 0)
      throw new InvalidArgumentError(`after must be a whole number from 0, got ${String(after)}`)
    return after + 1
  }
  if (from === undefined || from === 'start') return 0
  if (from === 'end') return 'end'
  if (!Number.isSafeInteger(from) || from < 0)
    throw new InvalidArgumentError(`from must be 'start', 'end' or a whole number from 0, got ${JSON.stringify(from)}`)
  return from
}
