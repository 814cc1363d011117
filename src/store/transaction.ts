import { randomUUID } from 'node:crypto'
import type { Clock } from '../core/clock.ts'
import { ConditionFailedError, InvalidArgumentError, StreamNotFoundError, TransactionClosedError } from '../core/errors.ts'
import type { AnyEvent, AppendAck, NewEvent, RecordedEvent } from '../core/events.ts'
import { shown } from '../core/json-text.ts'
import { checkOptionNames } from '../core/option-names.ts'
import type { LogPosition } from '../core/positions.ts'
import { checkWhole } from '../core/whole-numbers.ts'
import { type EventReading, eventReading, type NextBatch } from '../streams/event-reading.ts'
import type { ReadStreamOptions } from '../streams/read-options.ts'
import type { AppendOptions } from './admission.ts'

export interface TransactionOptions {
  /** After so long without a call the transaction has expired; 60,000. */
  readonly idleTimeoutMs?: number | undefined
}

/**
 * Decides again after a conflict. The transaction has been moved to the end of the log: `events()` and `readFrom()` show what was
 * committed meanwhile. Ids are kept: the event at each place of the list keeps the id that the first attempt gave to that place, also
 * one of yours, unless that comes with an event in another place now.
 * @param conflicts what stood against the last attempt.
 * @returns what to commit instead; null to leave it at that.
 */
export type DecideAgain = (
  conflicts: readonly RecordedEvent[],
) => NewEvent | readonly NewEvent[] | null | Promise<NewEvent | readonly NewEvent[] | null>

export interface TransactionCommitOptions {
  /** Without it, a conflict is the answer. */
  readonly retry?: DecideAgain | undefined
}

export type TransactionResult =
  | { readonly committed: true; readonly ack: AppendAck }
  /** Nothing was written. Up to 100 of the events that stand against it, in log order; `more`: there are others. */
  | { readonly committed: false; readonly conflicts: readonly RecordedEvent[]; readonly more: boolean }

/**
 * What is read in it stays the same, whatever others append. Its commit conflicts if, since it was opened, an event was committed
 * to the stream whose type is among the types that it wants to append. It holds nothing but a position, and may be forgotten.
 */
export interface Transaction<Event extends AnyEvent> {
  readonly stream: string
  /** What is committed behind it is not read, and can be a conflict. */
  readonly position: LogPosition
  /**
   * The events of the stream up to `position`; none when there is no such stream.
   * @throws (while iterated) TransactionClosedError, StreamDeletedError when it was deleted for good, and what readStream does
   */
  events(): EventReading<Event>
  /** The same from a revision on, inclusive: what is behind an earlier read of n events begins at n. */
  readFrom(revision: number): EventReading<Event>
  /**
   * Appends all events, or none. Without events nothing can stand against it. After a conflict the transaction is as it was;
   * after a commit it is over.
   * @throws (rejects with) TransactionClosedError, and what `append` does
   */
  commit(events: NewEvent | readonly NewEvent[], options?: TransactionCommitOptions): Promise<TransactionResult>
  /** Ends it. May be called again, and behind a commit. */
  rollback(): Promise<void>
}

/** What a transaction asks of the store. */
export interface TransactionDesk {
  readonly clock: Clock
  /** Of the last committed event. */
  lastPosition(): LogPosition
  /** @param upTo events behind it are not read. */
  read(stream: string, options: ReadStreamOptions, upTo: LogPosition): NextBatch
  append(stream: string, events: readonly NewEvent[], options: AppendOptions): Promise<AppendAck>
}

const OPTIONS: ReadonlySet<string> = new Set<keyof TransactionOptions>(['idleTimeoutMs'])
const COMMIT_OPTIONS: ReadonlySet<string> = new Set<keyof TransactionCommitOptions>(['retry'])

const DEFAULT_IDLE_TIMEOUT_MS = 60_000

export class OpenTransaction<Event extends AnyEvent> implements Transaction<Event> {
  readonly stream: string
  readonly #desk: TransactionDesk
  readonly #idleTimeoutMs: number
  #position: LogPosition
  #usedMs: number
  #ending: TransactionClosedError['reason'] | null = null
  #isCommitting = false

  /** @throws InvalidArgumentError */
  constructor(desk: TransactionDesk, stream: string, options: TransactionOptions) {
    checkOptionNames(options, OPTIONS)
    const { idleTimeoutMs = DEFAULT_IDLE_TIMEOUT_MS } = options
    if (typeof idleTimeoutMs !== 'number' || !(idleTimeoutMs >= 0)) {
      throw new InvalidArgumentError(`idleTimeoutMs must be a number from 0, got ${shown(idleTimeoutMs)}`)
    }
    this.stream = stream
    this.#desk = desk
    this.#idleTimeoutMs = idleTimeoutMs
    this.#position = desk.lastPosition()
    this.#usedMs = desk.clock.monotonic()
  }

  get position(): LogPosition {
    return this.#position
  }

  events(): EventReading<Event> {
    return this.#reading('start')
  }

  readFrom(revision: number): EventReading<Event> {
    return this.#reading(checkWhole('revision', revision, 0))
  }

  #reading(from: number | 'start'): EventReading<Event> {
    return eventReading<Event>(() => {
      const nextBatch = this.#desk.read(this.stream, { from }, this.#position)
      return async () => {
        this.#use()
        try {
          return await nextBatch()
        } catch (error) {
          if (error instanceof StreamNotFoundError) return null
          throw error
        }
      }
    })
  }

  async commit(events: NewEvent | readonly NewEvent[], options: TransactionCommitOptions = {}): Promise<TransactionResult> {
    checkOptionNames(options, COMMIT_OPTIONS)
    const { retry } = options
    if (retry !== undefined && typeof retry !== 'function') throw new InvalidArgumentError('retry must be a function')
    this.#use()
    if (this.#isCommitting) throw new InvalidArgumentError('a commit of this transaction is under way')
    this.#isCommitting = true
    try {
      return retry === undefined ? await this.#attempt(listOf(events)) : await this.#untilDecided(listOf(events), retry)
    } finally {
      this.#isCommitting = false
    }
  }

  async #untilDecided(events: readonly NewEvent[], retry: DecideAgain): Promise<TransactionResult> {
    const ids: string[] = []
    for (let wanted = events; ; ) {
      const own = new Set(wanted.map(event => event?.id))
      const identified = wanted.map((event, i) => {
        ids[i] ??= event?.id ?? randomUUID()
        // An id of the caller's that has come with an event is that one's, wherever it stands now.
        if (event?.id === undefined && own.has(ids[i])) ids[i] = randomUUID()
        return withId(event, ids[i])
      })
      const result = await this.#attempt(identified)
      if (result.committed) return result
      this.#position = this.#desk.lastPosition()
      const next = await retry(result.conflicts)
      if (next === null) return result
      this.#use()
      wanted = listOf(next)
    }
  }

  async #attempt(events: readonly NewEvent[]): Promise<TransactionResult> {
    const types = [...new Set(events.map(event => event?.type))]
    const condition = { failIf: { types, streams: [this.stream] }, after: this.#position }
    try {
      const ack = await this.#desk.append(this.stream, events, types.length === 0 ? {} : { condition })
      this.#ending = 'committed'
      return { committed: true, ack }
    } catch (error) {
      if (!(error instanceof ConditionFailedError)) throw error
      return { committed: false, conflicts: error.conflicts, more: error.more }
    }
  }

  async rollback(): Promise<void> {
    this.#ending ??= 'rolled_back'
  }

  /** @throws TransactionClosedError */
  #use(): void {
    const nowMs = this.#desk.clock.monotonic()
    if (nowMs - this.#usedMs > this.#idleTimeoutMs) this.#ending ??= 'expired'
    if (this.#ending !== null) throw new TransactionClosedError(this.#ending)
    this.#usedMs = nowMs
  }
}

function listOf(events: NewEvent | readonly NewEvent[]): readonly NewEvent[] {
  return Array.isArray(events) ? (events as readonly NewEvent[]) : [events as NewEvent]
}

/** The event itself if it has one, or is none. Its fields may be those of its class: a spread would leave them out. */
function withId(event: NewEvent, id: string): NewEvent {
  if (typeof event !== 'object' || event === null || event.id !== undefined) return event
  const { type, data, metadata } = event
  return { type, data, metadata, id }
}
