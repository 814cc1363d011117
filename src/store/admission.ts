import { checkSignal, listenTo, stopListening } from '../core/abort-signal.ts'
import { InvalidArgumentError, QueueFullError, StoreClosedError, type TailraceError, withoutStack } from '../core/errors.ts'
import type { AppendCondition, ExpectedRevision, NewEvent, StreamCommit } from '../core/events.ts'
import { shown } from '../core/json-text.ts'
import { MAX_APPEND_SIZE } from '../core/limits.ts'
import { isSystemStream } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { Revision } from '../core/positions.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { StageQueue } from '../queue/stage-queue.ts'
import type { AppendCheck } from '../writer/append-check.ts'
import type { AppendPart, AppendTerms } from '../writer/append-terms.ts'
import type { WriterMessage } from '../writer/messages.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import { tooLarge } from '../writer/too-large.ts'
import { encodeCondition } from './condition-encoding.ts'
import { EventEncoding, encodeId, encodeMetadata, encodePayload } from './event-encoding.ts'
import { PendingAppend, type PendingAppends, type Resolve } from './pending-appends.ts'
import { WaitingLine } from './waiting-line.ts'

const NO_EVENTS: readonly EncodableEvent[] = []
const NO_PARTS: readonly AppendPart[] = []

export interface CommitOptions {
  /** Fails the append if such an event was committed behind a position. */
  readonly condition?: AppendCondition | undefined
  /** Ends the wait. Before the writer took the append it is rejected; later its outcome is unknown. */
  readonly signal?: AbortSignal | undefined
}

export interface AppendOptions extends CommitOptions {
  /** What the stream must be at: its last revision, 'no_stream', 'stream_exists', or 'any' (default). */
  readonly expectedRevision?: ExpectedRevision | undefined
}

const COMMIT_OPTIONS: ReadonlySet<string> = new Set<keyof CommitOptions>(['condition', 'signal'])
const APPEND_OPTIONS: ReadonlySet<string> = new Set<keyof AppendOptions>(['expectedRevision', 'condition', 'signal'])
const COMMIT_FIELDS: ReadonlySet<string> = new Set<keyof StreamCommit>(['stream', 'events', 'expectedRevision'])

/** Marks an append of the store's own, which may go to `$` streams. Nobody outside has the symbol. */
export const fromHouse = Symbol('from the house')

export interface HouseAppendOptions extends AppendOptions {
  readonly [fromHouse]: true
}

function isFromHouse(options: CommitOptions | undefined): boolean {
  return options !== undefined && fromHouse in options
}

export interface AdmissionBounds {
  readonly maxPendingBytes: number
  readonly maxPendingAppends: number
}

/** In front of the queue: checks the call, keeps the bound, has looked up what the writer needs to know, and lets the append in. */
export class Admission {
  readonly #bounds: AdmissionBounds
  readonly #pending: PendingAppends
  readonly #queue: StageQueue<WriterMessage>
  readonly #check: AppendCheck
  readonly #maxSize: number
  readonly #encoding = new EventEncoding()
  readonly #waiting = new WaitingLine(append => this.#enqueue(append))
  readonly #failure: (append: PendingAppend) => TailraceError | null
  #isClosed = false

  /**
   * @param capacity the largest append that a chunk can hold, in bytes.
   * @param failure why an append can't be written, nor any other any more; null while it can.
   */
  constructor(
    bounds: AdmissionBounds,
    pending: PendingAppends,
    queue: StageQueue<WriterMessage>,
    check: AppendCheck,
    capacity: number,
    failure: (append: PendingAppend) => TailraceError | null,
  ) {
    this.#bounds = bounds
    this.#pending = pending
    this.#queue = queue
    this.#check = check
    this.#failure = failure
    this.#maxSize = Math.min(MAX_APPEND_SIZE, capacity)
  }

  /** Appends in front of the queue, and their bytes of log. */
  get waiting(): { readonly count: number; readonly bytes: number } {
    return this.#waiting
  }

  /** Lets nobody in any more. Resolves when everybody who was let in stands in the queue. */
  close(): Promise<void> {
    this.#isClosed = true
    return this.#waiting.drained()
  }

  /** For whoever was refused: resolves when one of those that were let in has left, at once when they all have. */
  room(): Promise<void> {
    return this.#pending.count + this.#waiting.count === 0 ? Promise.resolve() : this.#pending.room()
  }

  /** @throws what is wrong with the call, before anything has happened. */
  admit(
    stream: string,
    events: NewEvent | readonly NewEvent[],
    options: AppendOptions | undefined,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ): void {
    this.#checkRoom()
    let expected: ExpectedRevision = 'any'
    let terms: AppendTerms | null = null
    let signal: AbortSignal | undefined
    if (options !== undefined) {
      checkOptionNames(options, APPEND_OPTIONS)
      signal = liveSignal(options.signal)
      if (options.expectedRevision !== undefined) expected = checkExpected(options.expectedRevision)
      if (options.condition !== undefined) terms = { parts: NO_PARTS, condition: encodeCondition(options.condition) }
    }
    if (typeof stream === 'string' && !isFromHouse(options)) refuseSystemStream(stream)
    this.#letIn(
      Array.isArray(events)
        ? this.#several(stream, expected, events, terms, resolve, reject)
        : this.#one(stream, expected, events as NewEvent, NO_EVENTS, terms, resolve, reject),
      signal,
    )
  }

  /** The same for several streams at once. @throws what is wrong with the call, before anything has happened. */
  admitCommit(
    commits: readonly StreamCommit[],
    options: CommitOptions | undefined,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ): void {
    this.#checkRoom()
    if (options !== undefined) checkOptionNames(options, COMMIT_OPTIONS)
    const signal = liveSignal(options?.signal)
    const condition = options?.condition === undefined ? null : encodeCondition(options.condition)
    const encoded = checkCommits(commits, isFromHouse(options)).map(({ stream, events, expectedRevision = 'any' }) => ({
      stream,
      expected: checkExpected(expectedRevision),
      // In a list with holes, a hole is an event that is none.
      events: Array.from(Array.isArray(events) ? (events as readonly NewEvent[]) : [events as NewEvent], event =>
        this.#encoding.encode(event),
      ),
    }))
    const parts: AppendPart[] = []
    try {
      for (const { stream, expected, events } of encoded) {
        parts.push({ head: this.#check.hold(stream), expected, events, firstRevision: Revision.none })
      }
    } catch (error) {
      if (parts.length > 0) this.#check.release(commitOf(parts, null, resolve, reject))
      throw error
    }
    this.#letIn(commitOf(parts, condition, resolve, reject), signal)
  }

  /** The bound comes before anything is made: a refusal must cost less than an append. */
  #checkRoom(): void {
    if (this.#isClosed) throw new StoreClosedError()
    if (this.#pending.count + this.#waiting.count >= this.#bounds.maxPendingAppends) this.#refuse()
    if (this.#pending.bytes + this.#waiting.bytes >= this.#bounds.maxPendingBytes) this.#refuse()
  }

  #letIn(append: PendingAppend, signal: AbortSignal | undefined): void {
    try {
      // Of its events a getter or toJSON may have closed the store, or aborted.
      if (this.#isClosed) throw new StoreClosedError()
      if (signal?.aborted) throw settledByAbort(signal.reason, 'rejected')
      const failure = this.#failure(append)
      if (failure !== null) throw failure
      this.#checkSize(append.size, mayBeRetry(append) ? MAX_APPEND_SIZE : this.#maxSize)
    } catch (error) {
      this.#check.release(append)
      throw error
    }
    if (signal !== undefined) listen(append, signal)
    const ready = this.#check.prefetch(append)
    if (ready === null && !this.#waiting.isBehind(append)) this.#enqueue(append)
    else this.#waiting.enter(append, ready)
  }

  #enqueue(append: PendingAppend): void {
    const failure = this.#failure(append)
    if (failure !== null) append.fail(failure)
    // Called back, or failed, in front of the queue: it has been told, and nobody has to see it.
    if (append.isAborted) {
      append.unlisten?.()
      this.#check.release(append)
      this.#pending.roomMade()
      return
    }
    this.#pending.add(append)
    this.#queue.push(append)
  }

  /** The name is checked last: a stream that is held must be released, whatever comes after. */
  #one(
    stream: string,
    expected: ExpectedRevision,
    event: NewEvent,
    rest: readonly EncodableEvent[],
    terms: AppendTerms | null,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ): PendingAppend {
    const eventType = this.#encoding.encodeType(event)
    const data = encodePayload(event.data, 'data')
    const metadata = encodeMetadata(event)
    const id = encodeId(event)
    const head = this.#check.hold(stream)
    return new PendingAppend(head, expected, eventType, data, metadata, id, rest, terms, resolve, reject)
  }

  #several(
    stream: string,
    expected: ExpectedRevision,
    events: readonly NewEvent[],
    terms: AppendTerms | null,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ): PendingAppend {
    const [first, ...others] = events
    if (first === undefined && events.length === 0)
      return withoutOwnEvents(this.#check.hold(stream), expected, terms, resolve, reject)
    const rest = others.map(event => this.#encoding.encode(event))
    return this.#one(stream, expected, first as NewEvent, rest, terms, resolve, reject)
  }

  #checkSize(size: number, maxSize: number): void {
    if (size > maxSize) throw tooLarge(size, maxSize)
    const bytes = this.#pending.bytes + this.#waiting.bytes
    if (this.#pending.count + this.#waiting.count > 0 && bytes + size > this.#bounds.maxPendingBytes) this.#refuse()
  }

  #refuse(): never {
    const count = this.#pending.count + this.#waiting.count
    const bytes = this.#pending.bytes + this.#waiting.bytes
    throw withoutStack(() => new QueueFullError(`${count} appends with ${bytes} bytes are pending; wait for acks, then retry`))
  }
}

/** It may have been written when chunks were larger: the writer knows. */
function mayBeRetry({ suppliedId, parts }: PendingAppend): boolean {
  return suppliedId !== undefined || (parts?.some(({ events }) => events[0]?.suppliedId !== undefined) ?? false)
}

/** A check, or an append whose events stand in its parts. */
function withoutOwnEvents(
  head: StreamHead,
  expected: ExpectedRevision,
  terms: AppendTerms | null,
  resolve: Resolve,
  reject: (error: unknown) => void,
): PendingAppend {
  return new PendingAppend(head, expected, null, '', undefined, undefined, NO_EVENTS, terms, resolve, reject)
}

function commitOf(
  parts: readonly AppendPart[],
  condition: AppendTerms['condition'],
  resolve: Resolve,
  reject: (error: unknown) => void,
): PendingAppend {
  return withoutOwnEvents(parts[0]!.head, 'any', { parts, condition }, resolve, reject)
}

/** @throws InvalidArgumentError for a stream of the store's own. */
export function refuseSystemStream(stream: string): void {
  if (isSystemStream(stream)) throw new InvalidArgumentError(`streams that begin with $ belong to the store: ${shown(stream)}`)
}

/** @throws InvalidArgumentError, or the reason of a signal that was aborted before. */
function liveSignal(signal: AbortSignal | undefined): AbortSignal | undefined {
  checkSignal(signal)
  if (signal?.aborted) throw settledByAbort(signal.reason, 'rejected')
  return signal
}

/** @returns copies: a getter may say something else when it is asked again. */
function checkCommits(commits: unknown, isOurs: boolean): readonly StreamCommit[] {
  const streams = new Set<string>()
  const checked = Array.from(Array.isArray(commits) ? (commits as readonly StreamCommit[]) : [], commit => {
    const { stream, events, expectedRevision } = commit ?? {}
    if (typeof events !== 'object' || events === null)
      throw new InvalidArgumentError('each entry of a commit has a stream and events; no events ([]) check the stream')
    checkOptionNames(commit, COMMIT_FIELDS, 'field of a commit')
    if (streams.has(stream)) throw new InvalidArgumentError(`stream ${shown(stream)} is named twice in one commit`)
    if (typeof stream === 'string' && !isOurs) refuseSystemStream(stream)
    streams.add(stream)
    return { stream, events, expectedRevision }
  })
  if (checked.length === 0) throw new InvalidArgumentError('a commit is a list of at least one stream')
  return checked
}

function checkExpected(expected: unknown): ExpectedRevision {
  if (expected === 'any' || expected === 'no_stream' || expected === 'stream_exists') return expected
  if (Number.isSafeInteger(expected) && (expected as number) >= 0) return expected as number
  // Clients of KurrentDB have BigInts here.
  const hint = typeof expected === 'bigint' ? '; revisions are numbers, not BigInts' : ''
  throw new InvalidArgumentError(
    `expectedRevision must be a whole number from 0, 'any', 'no_stream' or 'stream_exists', got ${shown(expected)}${hint}`,
  )
}

function listen(append: PendingAppend, signal: AbortSignal): void {
  const onAbort = (): void => {
    append.isSettled = true
    append.isAborted = !append.isTaken
    append.reject(settledByAbort(signal.reason, append.isTaken ? 'unknown' : 'rejected'))
  }
  listenTo(signal, onAbort)
  append.unlisten = () => stopListening(signal, onAbort)
}

/**
 * The reason is the caller's own, and is what the promise rejects with. Where it is an object that can take them, it also gets
 * the two fields by which every settled append says what became of it. Appends that share a reason share its fields: the worse
 * outcome stays.
 */
function settledByAbort(reason: unknown, outcome: 'rejected' | 'unknown'): unknown {
  try {
    if (typeof reason === 'object' && reason !== null && Object.isExtensible(reason) && !isUnknown(reason)) {
      Object.defineProperty(reason, 'outcome', { value: outcome, configurable: true })
      Object.defineProperty(reason, 'retryable', { value: true, configurable: true })
    }
  } catch {
    // It can't take them: a proxy, a getter that throws, a field that is fixed.
  }
  return reason
}

function isUnknown(reason: { outcome?: unknown }): boolean {
  return reason.outcome === 'unknown'
}
