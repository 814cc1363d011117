import { StoreClosedError, TailraceError } from '../core/errors.ts'
import type { AnyEvent, RecordedEvent } from '../core/events.ts'
import type { LogPosition } from '../core/positions.ts'
import { setImmediate } from '../core/timers.ts'
import type { Cursor } from './log-cursor.ts'
import type { LogTail } from './log-tail.ts'

type Batch = readonly RecordedEvent[]

/**
 * Events from some place on, old ones and then new ones as they are committed, for as long as somebody asks. It has one place,
 * whoever iterates. Leaving a loop over it ends it, and so do its signal, `return` and the closing of the store.
 */
export interface Subscription<Event extends AnyEvent = AnyEvent> extends AsyncIterableIterator<RecordedEvent<Event>> {
  /** The same events in arrays, as they come from the log. */
  batches(): AsyncIterableIterator<readonly RecordedEvent<Event>[]>
  /**
   * Resolves when, for the first time, everything published has been taken from here. Rejects with what ended the subscription
   * before that. Somebody must iterate.
   */
  readonly caughtUp: Promise<void>
  /** Ends it at once. */
  return(): Promise<IteratorResult<RecordedEvent<Event>, undefined>>
  [Symbol.asyncDispose](): Promise<void>
}

export interface SubscriptionCalls {
  readonly signal?: AbortSignal | undefined
  /** Called when everything handed out has been taken and more is asked for. */
  readonly beforeMore?: (() => Promise<void>) | null
  /** Called each time when nothing is left: everything below the position was taken. */
  readonly atEnd?: ((position: LogPosition) => void) | null
}

/** Batches in a row for which nobody else gets a turn; from files, each batch gives one. */
const BATCHES_A_TURN = 16

/**
 * Pulls batches from a cursor, one at a time and only when asked; at the end of what is published it waits at the tail. There is
 * no other way by which events arrive.
 */
export class CursorSubscription implements Subscription {
  readonly #cursor: Cursor
  readonly #tail: LogTail
  readonly #signal: AbortSignal | undefined
  readonly #beforeMore: (() => Promise<void>) | null
  readonly #atEnd: ((position: LogPosition) => void) | null
  #batch: Batch = []
  #index = 0
  /** Behind the events that are no longer at hand. */
  #passed: LogPosition | null = null
  #isFirst = true
  #hasCaughtUp = false
  #batchesInTurn = 0
  #ending: { readonly error: unknown; readonly isFailure: boolean } | null = null
  /** Asked and not answered. */
  #asked: { readonly resolve: () => void; readonly reject: (error: unknown) => void } | null = null
  #unwait: (() => void) | null = null
  /** Who asks while somebody else waits gets in line. */
  #line: Promise<unknown> = Promise.resolve()
  #lineLength = 0
  readonly #caughtUp: { readonly promise: Promise<void>; readonly resolve: () => void; readonly reject: (e: unknown) => void }

  constructor(cursor: Cursor, tail: LogTail, { signal, beforeMore = null, atEnd = null }: SubscriptionCalls = {}) {
    this.#cursor = cursor
    this.#tail = tail
    this.#signal = signal
    this.#beforeMore = beforeMore
    this.#atEnd = atEnd
    this.#caughtUp = settlable()
    if (signal?.aborted) this.#onAbort()
    else if (signal !== undefined) tail.listenTo(signal, this.#onAbort)
  }

  get caughtUp(): Promise<void> {
    return this.#caughtUp.promise
  }

  /**
   * Everything below was handed out, or left out, and nothing else was: also once it has ended, whatever was at hand then. Null while
   * nothing was read, and for cursors that do not go through the whole log.
   */
  get place(): LogPosition | null {
    return this.#passed === null ? null : (this.#batch[this.#index]?.position ?? this.#passed)
  }

  next(): Promise<IteratorResult<RecordedEvent, undefined>> {
    if (this.#index < this.#batch.length && this.#lineLength === 0 && !this.#tail.isClosed)
      return Promise.resolve({ value: this.#batch[this.#index++]!, done: false })
    return this.#inLine(async () => {
      if (this.#needsMore()) await this.#more()
      // What was at hand a moment ago is gone if it has ended since.
      return this.#index < this.#batch.length ? { value: this.#batch[this.#index++]!, done: false } : this.#ended()
    })
  }

  batches(): AsyncIterableIterator<Batch> {
    const end = async (): Promise<IteratorResult<Batch, undefined>> => {
      this.#end(null, false)
      return { value: undefined, done: true }
    }
    return {
      next: () => this.#inLine(() => this.#nextBatch()),
      return: end,
      [Symbol.asyncIterator]() {
        return this
      },
    }
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  async return(): Promise<IteratorResult<RecordedEvent, undefined>> {
    this.#end(null, false)
    return { value: undefined, done: true }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end(null, false)
  }

  /** What single events left of their batch comes first. */
  async #nextBatch(): Promise<IteratorResult<Batch, undefined>> {
    if (this.#needsMore()) await this.#more()
    if (this.#index >= this.#batch.length) return this.#ended()
    const batch = this.#index === 0 ? this.#batch : this.#batch.slice(this.#index)
    this.#batch = []
    return { value: batch, done: false }
  }

  #inLine<T>(turn: () => Promise<T>): Promise<T> {
    this.#lineLength++
    const result = this.#line.then(turn).finally(() => {
      this.#lineLength--
    })
    this.#line = result.catch(() => {})
    return result
  }

  /** Whether nothing is at hand and it goes on. A store that was closed ends it here. */
  #needsMore(): boolean {
    if (this.#tail.isClosed) this.#end(null, false)
    return this.#index >= this.#batch.length && this.#ending === null
  }

  /** Resolves with whatever comes first: events, or the end. */
  #more(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#asked = { resolve, reject }
      // A store that is being closed answers no more reads, also while followers still write: that is no failure.
      this.#pull().catch((error: unknown) => this.#end(error, !(error instanceof StoreClosedError)))
    })
  }

  /** @throws what it ended in */
  #ended(): IteratorReturnResult<undefined> {
    if (this.#ending?.isFailure) throw this.#ending.error
    return { value: undefined, done: true }
  }

  async #pull(): Promise<void> {
    if (this.#isFirst) await this.#tail.refresh()
    else if (!(await this.#mayGoOn())) return
    this.#isFirst = false
    while (this.#ending === null) {
      if (this.#tail.isClosed) {
        this.#end(null, false)
        return
      }
      const limit = this.#tail.position
      const batch = await this.#read(limit)
      if (batch !== null && ++this.#batchesInTurn >= BATCHES_A_TURN) await this.#turn()
      // Nobody hears of what was read beside the end.
      if (this.#ending !== null) return
      if (batch !== null) {
        this.#passed = this.#cursor.position
        if (batch.length === 0) continue
        this.#batch = batch
        this.#index = 0
        this.#answer()
        return
      }
      this.#passed = this.#cursor.position
      if (this.#tail.position > limit) continue
      this.#catchUp()
      this.#atEnd?.(limit)
      await this.#moved()
    }
  }

  /** What can be done later is refused to whoever asks now, and tried again for the next one. */
  async #mayGoOn(): Promise<boolean> {
    try {
      await this.#beforeMore?.()
      return true
    } catch (error) {
      if (!(error instanceof TailraceError && error.retryable)) throw error
      this.#refuse(error)
      return false
    }
  }

  async #read(limit: LogPosition): Promise<Batch | null> {
    try {
      return await this.#cursor.read(limit)
    } catch (error) {
      // The files of a store that is closed can't be read; that is no failure.
      if (this.#tail.isClosed) return null
      throw error
    }
  }

  #moved(): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#ending !== null || this.#tail.isClosed) resolve()
      else this.#unwait = this.#tail.wait(error => (error === undefined ? resolve() : reject(error)))
    })
  }

  /** From memory a batch takes no turn of the event loop: others are let in now and then. */
  #turn(): Promise<void> {
    this.#batchesInTurn = 0
    return new Promise(resolve => setImmediate(resolve))
  }

  #catchUp(): void {
    this.#batchesInTurn = 0
    if (this.#hasCaughtUp || this.#tail.isClosed) return
    this.#hasCaughtUp = true
    this.#caughtUp.resolve()
  }

  readonly #onAbort = (): void => this.#end(this.#signal!.reason, true)

  #end(error: unknown, isFailure: boolean): void {
    if (this.#ending !== null) return
    this.#ending = { error, isFailure }
    this.#passed = this.place
    this.#batch = []
    if (this.#signal !== undefined) this.#tail.stopListening(this.#signal, this.#onAbort)
    this.#unwait?.()
    if (!this.#hasCaughtUp) {
      this.#caughtUp.reject(isFailure ? error : new DOMException('the subscription ended before it had caught up', 'AbortError'))
    }
    this.#answer()
  }

  #answer(): void {
    const asked = this.#asked
    this.#asked = null
    asked?.resolve()
  }

  #refuse(error: unknown): void {
    const asked = this.#asked
    this.#asked = null
    asked?.reject(error)
  }
}

function settlable() {
  let resolve!: () => void
  let reject!: (error: unknown) => void
  const promise = new Promise<void>((...settlers) => {
    ;[resolve, reject] = settlers
  })
  // Nobody has to wait for it.
  promise.catch(() => {})
  return { promise, resolve, reject }
}
