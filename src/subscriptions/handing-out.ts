import type { Clock } from '../core/clock.ts'
import type { RecordedEvent } from '../core/events.ts'
import { type Dispatch, dispatchBy } from './dispatch.ts'
import type { GroupMessage, Member, NackAction } from './group-member.ts'
import type { CheckedGroupOptions } from './group-options.ts'

/** An event in a group's care, from when it was read until it is settled. */
export interface Charge {
  readonly event: RecordedEvent
  /** What the checkpoint counts by: a position or revision; of a replayed message, its revision in the stream of parked ones. */
  readonly place: number
  readonly isReplay: boolean
  retryCount: number
  /** Who has it, and until when; null while it waits. */
  delivery: Delivery | null
}

interface Delivery {
  readonly member: Member
  readonly message: GroupMessage
  readonly deadlineMs: number
}

/** 'late': nobody answered in time. */
export type Answer = 'ack' | NackAction | 'late'

/** The counter at which members get messages and give their answers. What becomes of an answered charge is the group's business. */
export class HandingOut {
  readonly members: Member[] = []
  readonly #options: CheckedGroupOptions
  readonly #clock: Clock
  readonly #onAnswer: (charge: Charge, answer: Answer, reason: string) => void
  readonly #dispatch: Dispatch
  /** Those that were given out before come first. */
  readonly #again: Charge[] = []
  readonly #fresh: Charge[] = []
  /** In the order in which they were given out, which is that of their deadlines. */
  readonly #outstanding = new Set<Charge>()
  #cancelTimer: (() => void) | null = null
  #wakers: (() => void)[] = []
  #isClosed = false

  constructor(options: CheckedGroupOptions, clock: Clock, onAnswer: (charge: Charge, answer: Answer, reason: string) => void) {
    this.#options = options
    this.#clock = clock
    this.#onAnswer = onAnswer
    this.#dispatch = dispatchBy(options.strategy)
  }

  get waitingCount(): number {
    return this.#again.length + this.#fresh.length
  }

  get outstandingCount(): number {
    return this.#outstanding.size
  }

  join(member: Member): void {
    this.members.push(member)
    this.#giveOut()
  }

  /** What the member had goes to the others. */
  leave(member: Member): void {
    const index = this.members.indexOf(member)
    if (index >= 0) this.members.splice(index, 1)
    for (const charge of this.#outstanding) {
      if (charge.delivery!.member !== member) continue
      this.#takeBack(charge)
      this.#again.push(charge)
    }
    this.#giveOut()
  }

  add(charge: Charge): void {
    this.#fresh.push(charge)
    this.#giveOut()
  }

  /** For one that was given out before, in this life of the group or an earlier one. */
  addAgain(charge: Charge): void {
    this.#again.push(charge)
    this.#giveOut()
  }

  /** Resolves when fewer than `count` wait, or when all is over. */
  async room(count: () => number): Promise<void> {
    while (this.waitingCount >= count() && !this.#isClosed) {
      await new Promise<void>(resolve => {
        this.#wakers.push(resolve)
      })
    }
  }

  /** Nothing is given out any more, and no answer is taken. */
  close(): void {
    this.#isClosed = true
    this.#cancelTimer?.()
    this.#wake()
  }

  #giveOut(): void {
    if (this.#isClosed) return
    const isBlocked = this.#giveOutFrom(this.#again)
    if (!isBlocked || this.#dispatch.passesOver) this.#giveOutFrom(this.#fresh)
    this.#watchDeadlines()
    this.#wake()
  }

  /** @returns whether something could not be given out. */
  #giveOutFrom(charges: Charge[]): boolean {
    let kept = 0
    for (const [index, charge] of charges.entries()) {
      const member = this.#dispatch.pick(this.members, charge.event.stream)
      if (member !== null) this.#give(charge, member)
      else if (this.#dispatch.passesOver) charges[kept++] = charge
      else {
        charges.splice(0, index)
        return true
      }
    }
    charges.length = kept
    return kept > 0
  }

  #give(charge: Charge, member: Member): void {
    const { event, retryCount, isReplay } = charge
    const message: GroupMessage = {
      event,
      retryCount,
      isReplay,
      ack: () => this.#answered(charge, message, 'ack', ''),
      nack: (action, reason = '') => this.#answered(charge, message, action, reason),
    }
    charge.delivery = { member, message, deadlineMs: this.#clock.monotonic() + this.#options.messageTimeoutMs }
    this.#outstanding.add(charge)
    this.#dispatch.given(event.stream, member)
    member.push(message)
  }

  #answered(charge: Charge, message: GroupMessage, answer: Answer, reason: string): void {
    // Answered before, or too late: somebody else may have it.
    if (charge.delivery?.message !== message || this.#isClosed) return
    const { member } = charge.delivery
    this.#takeBack(charge)
    if (answer === 'stop') member.end(null, false)
    this.#onAnswer(charge, answer, reason)
    this.#giveOut()
  }

  /** Nobody has it any more. */
  #takeBack(charge: Charge): void {
    const { member, message } = charge.delivery!
    charge.delivery = null
    member.takeBack(message)
    this.#outstanding.delete(charge)
    this.#dispatch.settled(charge.event.stream)
  }

  #watchDeadlines(): void {
    const [first] = this.#outstanding
    if (this.#cancelTimer !== null || first === undefined) return
    const delayMs = first.delivery!.deadlineMs - this.#clock.monotonic()
    this.#cancelTimer = this.#clock.after(Math.max(0, delayMs), () => {
      this.#cancelTimer = null
      this.#endLate()
      this.#giveOut()
    })
  }

  #endLate(): void {
    const nowMs = this.#clock.monotonic()
    for (const charge of this.#outstanding) {
      if (charge.delivery!.deadlineMs > nowMs) return
      this.#takeBack(charge)
      this.#onAnswer(charge, 'late', 'not settled in time')
    }
  }

  #wake(): void {
    const wakers = this.#wakers
    if (wakers.length === 0) return
    this.#wakers = []
    for (const wake of wakers) wake()
  }
}
