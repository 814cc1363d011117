import { InvalidArgumentError, QueueFullError, RecordTooLargeError, StoreClosedError, withoutStack } from '../core/errors.ts'
import type { AppendAck, ExpectedRevision, NewEvent } from '../core/events.ts'
import { MAX_APPEND_SIZE } from '../core/limits.ts'
import { isSystemStream } from '../core/names.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { StageQueue } from '../queue/stage-queue.ts'
import type { AppendCheck } from '../writer/append-check.ts'
import type { WriterMessage } from '../writer/messages.ts'
import { EventEncoding, encodeId, encodeMetadata, encodePayload } from './event-encoding.ts'
import { PendingAppend, type PendingAppends } from './pending-appends.ts'

const NO_EVENTS: readonly EncodableEvent[] = []

export interface AppendOptions {
  /** What the stream must be at: its last revision, 'no_stream', 'stream_exists', or 'any' (default). */
  readonly expectedRevision?: ExpectedRevision | undefined
  /** Ends the wait. Before the writer took the append it is rejected; later its outcome is unknown. */
  readonly signal?: AbortSignal | undefined
}

/** Marks an append of the store's own, which may go to `$` streams. Nobody outside has the symbol. */
export const fromHouse = Symbol('from the house')

export interface HouseAppendOptions extends AppendOptions {
  readonly [fromHouse]: true
}

function isFromHouse(options: AppendOptions | undefined): boolean {
  return options !== undefined && fromHouse in options
}

export interface AdmissionBounds {
  readonly maxPendingBytes: number
  readonly maxPendingAppends: number
}

/** In front of the queue: checks the call, keeps the bound, and lets the append in. */
export class Admission {
  readonly #bounds: AdmissionBounds
  readonly #pending: PendingAppends
  readonly #queue: StageQueue<WriterMessage>
  readonly #check: AppendCheck
  readonly #maxSize: number
  readonly #encoding = new EventEncoding()
  #isClosed = false

  /** @param capacity the largest append that a chunk can hold, in bytes. */
  constructor(
    bounds: AdmissionBounds,
    pending: PendingAppends,
    queue: StageQueue<WriterMessage>,
    check: AppendCheck,
    capacity: number,
  ) {
    this.#bounds = bounds
    this.#pending = pending
    this.#queue = queue
    this.#check = check
    this.#maxSize = Math.min(MAX_APPEND_SIZE, capacity)
  }

  close(): void {
    this.#isClosed = true
  }

  /** @throws what is wrong with the call, before anything has happened. */
  admit(
    stream: string,
    events: NewEvent | readonly NewEvent[],
    options: AppendOptions | undefined,
    resolve: (ack: AppendAck) => void,
    reject: (error: unknown) => void,
  ): void {
    if (this.#isClosed) throw new StoreClosedError()
    let expected: ExpectedRevision = 'any'
    let signal: AbortSignal | undefined
    if (options !== undefined) {
      signal = options.signal
      if (signal !== undefined && !(signal instanceof AbortSignal))
        throw new InvalidArgumentError('signal must be an AbortSignal')
      if (signal?.aborted) throw settledByAbort(signal.reason, 'rejected')
      if (options.expectedRevision !== undefined) expected = checkExpected(options.expectedRevision)
    }
    // The bound comes before anything is made: a refusal must cost less than an append.
    if (this.#pending.count >= this.#bounds.maxPendingAppends) this.#refuse()
    if (this.#pending.bytes >= this.#bounds.maxPendingBytes) this.#refuse()
    if (typeof stream === 'string' && isSystemStream(stream) && !isFromHouse(options)) {
      throw new InvalidArgumentError(`streams that begin with $ belong to the store: '${stream}'`)
    }
    const append = Array.isArray(events)
      ? this.#several(stream, expected, events, resolve, reject)
      : this.#one(stream, expected, events as NewEvent, NO_EVENTS, resolve, reject)
    const { head } = append
    try {
      this.#checkSize(append.size)
    } catch (error) {
      this.#check.release(head)
      throw error
    }
    if (signal !== undefined) listen(append, signal)
    this.#pending.add(append)
    this.#queue.push(append)
  }

  /** The name is checked last: a stream that is looked up must be released, whatever comes after. */
  #one(
    stream: string,
    expected: ExpectedRevision,
    event: NewEvent,
    rest: readonly EncodableEvent[],
    resolve: (ack: AppendAck) => void,
    reject: (error: unknown) => void,
  ): PendingAppend {
    const eventType = this.#encoding.encodeType(event)
    const data = encodePayload(event.data, 'data')
    const metadata = encodeMetadata(event)
    const suppliedId = encodeId(event)
    return new PendingAppend(this.#check.prefetch(stream), expected, eventType, data, metadata, suppliedId, rest, resolve, reject)
  }

  #several(
    stream: string,
    expected: ExpectedRevision,
    events: readonly NewEvent[],
    resolve: (ack: AppendAck) => void,
    reject: (error: unknown) => void,
  ): PendingAppend {
    const [first, ...others] = events
    if (first === undefined && events.length === 0) {
      return new PendingAppend(this.#check.prefetch(stream), expected, null, '', undefined, undefined, NO_EVENTS, resolve, reject)
    }
    const rest = others.map(event => this.#encoding.encode(event))
    return this.#one(stream, expected, first as NewEvent, rest, resolve, reject)
  }

  #checkSize(size: number): void {
    if (size > this.#maxSize)
      throw new RecordTooLargeError(`the append takes ${size} bytes in the log, the most is ${this.#maxSize}`)
    if (this.#pending.count > 0 && this.#pending.bytes + size > this.#bounds.maxPendingBytes) this.#refuse()
  }

  #refuse(): never {
    const { count, bytes } = this.#pending
    throw withoutStack(() => new QueueFullError(`${count} appends with ${bytes} bytes are pending; wait for acks, then retry`))
  }
}

function checkExpected(expected: unknown): ExpectedRevision {
  if (expected === 'any' || expected === 'no_stream' || expected === 'stream_exists') return expected
  if (Number.isSafeInteger(expected) && (expected as number) >= 0) return expected as number
  throw new InvalidArgumentError(
    `expectedRevision must be a whole number from 0, 'any', 'no_stream' or 'stream_exists', got ${JSON.stringify(expected)}`,
  )
}

function listen(append: PendingAppend, signal: AbortSignal): void {
  const onAbort = (): void => {
    append.isSettled = true
    append.isAborted = !append.isTaken
    append.reject(settledByAbort(signal.reason, append.isTaken ? 'unknown' : 'rejected'))
  }
  signal.addEventListener('abort', onAbort, { once: true })
  append.unlisten = () => signal.removeEventListener('abort', onAbort)
}

/**
 * The reason is the caller's own, and is what the promise rejects with. Where it is an object that can take them, it also gets
 * the two fields by which every settled append says what became of it. Appends that share a reason share its fields: the worse
 * outcome stays.
 */
function settledByAbort(reason: unknown, outcome: 'rejected' | 'unknown'): unknown {
  if (typeof reason === 'object' && reason !== null && Object.isExtensible(reason) && !isUnknown(reason)) {
    Object.defineProperty(reason, 'outcome', { value: outcome, configurable: true })
    Object.defineProperty(reason, 'retryable', { value: true, configurable: true })
  }
  return reason
}

function isUnknown(reason: { outcome?: unknown }): boolean {
  return reason.outcome === 'unknown'
}
