import { listenTo, stopListening } from '../core/abort-signal.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import type { AnyEvent, RecordedEvent } from '../core/events.ts'
import { shown } from '../core/json-text.ts'

/**
 * What becomes of a message that could not be handled. 'retry': somebody gets it again, until it was retried too often. 'park': it
 * is put aside. 'skip': it counts as done. 'stop': the member leaves, others get what it has.
 */
export type NackAction = 'retry' | 'park' | 'skip' | 'stop'

const NACK_ACTIONS: readonly NackAction[] = ['retry', 'park', 'skip', 'stop']

/** @throws InvalidArgumentError */
export function checkNack(action: NackAction, reason: string): void {
  if (!NACK_ACTIONS.includes(action))
    throw new InvalidArgumentError(`nack takes '${NACK_ACTIONS.join("', '")}', got ${shown(action)}`)
  if (typeof reason !== 'string') throw new InvalidArgumentError(`the reason of a nack must be a text, got ${shown(reason)}`)
}

/**
 * One event on its way to one member. It must be settled in time, from when the member was given it by `next`; settling it twice,
 * or too late, has no effect.
 */
export interface GroupMessage<Event extends AnyEvent = AnyEvent> {
  readonly event: RecordedEvent<Event>
  /** How often it was retried: 0 the first time. */
  readonly retryCount: number
  /** It was parked before. */
  readonly isReplay: boolean
  /** It is done with. */
  ack(): void
  /**
   * @param reason stands beside a parked message; one that no record has room for is cut.
   * @throws InvalidArgumentError for another action, or a reason that is no text; it is not settled then.
   */
  nack(action: NackAction, reason?: string): void
}

/** One of those who share the work. Leaving the loop over it leaves the group; others get what it had not settled. */
export interface GroupMember<Event extends AnyEvent = AnyEvent> extends AsyncIterableIterator<GroupMessage<Event>> {
  return(): Promise<IteratorResult<GroupMessage<Event>, undefined>>
  [Symbol.asyncDispose](): Promise<void>
}

export interface JoinOptions {
  /** Messages that the member may have at a time, in hand or waiting for it; 10. */
  readonly bufferSize?: number | undefined
  /** Leaves the group: who waits for the next message gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

export const JOIN_OPTIONS: ReadonlySet<string> = new Set<keyof JoinOptions>(['bufferSize', 'signal'])

/** What a member tells those from whom it has its messages. */
export interface MemberDesk {
  /** The time for a message begins: the handler has it in hand, or it is the next one there. */
  timeBegins(message: GroupMessage): void
  /** A member that was idle asks again. */
  awoke(): void
  leave(member: Member): void
}

/** A member: messages come in, and those who ask for them are answered. */
export class Member implements GroupMember {
  readonly #bufferSize: number
  readonly #signal: AbortSignal | undefined
  readonly #desk: MemberDesk
  readonly #queue: GroupMessage[] = []
  readonly #asked: { resolve(result: IteratorResult<GroupMessage, undefined>): void; reject(error: unknown): void }[] = []
  #ending: { readonly error: unknown; readonly isFailure: boolean } | null = null
  /** Messages that it has and that are not settled. */
  #heldCount = 0
  #isIdle = false

  constructor(bufferSize: number, signal: AbortSignal | undefined, desk: MemberDesk) {
    this.#bufferSize = bufferSize
    this.#signal = signal
    this.#desk = desk
    if (signal !== undefined) listenTo(signal, this.#onAbort)
  }

  /** It let the time for a message pass, and has not asked for another one since. */
  get isIdle(): boolean {
    return this.#isIdle
  }

  get canTake(): boolean {
    return this.#ending === null && !this.#isIdle && this.#heldCount < this.#bufferSize
  }

  push(message: GroupMessage): void {
    this.#heldCount++
    const asked = this.#asked.shift()
    asked?.resolve({ value: message, done: false })
    if (asked !== undefined || this.#queue.push(message) === 1) this.#desk.timeBegins(message)
  }

  /** It is settled, or somebody else gets it. */
  release(): void {
    this.#heldCount--
  }

  /** The time for a message is over: unless somebody is asking just now, nobody may be there. @returns what was not read. */
  idle(): GroupMessage[] {
    this.#isIdle = this.#asked.length === 0
    return this.#queue.splice(0)
  }

  next(): Promise<IteratorResult<GroupMessage, undefined>> {
    const [message, following] = this.#queue
    if (message !== undefined) {
      this.#queue.shift()
      this.#desk.timeBegins(message)
      if (following !== undefined) this.#desk.timeBegins(following)
      return Promise.resolve({ value: message, done: false })
    }
    return new Promise((resolve, reject) => {
      this.#asked.push({ resolve, reject })
      if (this.#ending !== null) this.#answerEnded(this.#ending)
      else if (this.#isIdle) {
        this.#isIdle = false
        this.#desk.awoke()
      }
    })
  }

  /** Ends it: nobody asks the group for more. */
  end(error: unknown, isFailure: boolean): void {
    if (this.#ending !== null) return
    this.#ending = { error, isFailure }
    if (this.#signal !== undefined) stopListening(this.#signal, this.#onAbort)
    this.#queue.length = 0
    this.#answerEnded(this.#ending)
    this.#desk.leave(this)
  }

  async return(): Promise<IteratorResult<GroupMessage, undefined>> {
    this.end(null, false)
    return { value: undefined, done: true }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end(null, false)
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly #onAbort = (): void => this.end(this.#signal!.reason, true)

  #answerEnded({ error, isFailure }: { readonly error: unknown; readonly isFailure: boolean }): void {
    for (const { resolve, reject } of this.#asked.splice(0)) {
      if (isFailure) reject(error)
      else resolve({ value: undefined, done: true })
    }
  }
}
