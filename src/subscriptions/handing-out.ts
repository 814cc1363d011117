import type { Clock } from '../core/clock.ts'
import type { RecordedEvent } from '../core/events.ts'
import { type Dispatch, dispatchBy } from './dispatch.ts'
import { checkNack, type GroupMessage, type Member, type MemberDesk, type NackAction } from './group-member.ts'
import type { CheckedGroupOptions } from './group-options.ts'

/** An event in a group's care, from when it was read until it is settled. */
export interface Charge {
  readonly event: RecordedEvent
  /** What the checkpoint counts by: a position or revision; of a replayed message, its revision in the stream of parked ones. */
  readonly place: number
  readonly isReplay: boolean
  retryCount: number
}

/** A charge that a member has. */
interface Delivery {
  readonly charge: Charge
  readonly member: Member
}

/** 'late': nobody answered in time. */
export type Answer = 'ack' | Exclude<NackAction, 'stop'> | 'late'

/** The desk at which members get messages and give their answers. What becomes of an answered charge is the group's business. */
export class HandingOut implements MemberDesk {
  readonly members: Member[] = []
  readonly #options: CheckedGroupOptions
  readonly #clock: Clock
  readonly #onAnswer: (charge: Charge, answer: Answer, reason: string) => void
  readonly #dispatch: Dispatch
  /** Those that were given out before come first, as they stand in the log. */
  readonly #again: Charge[] = []
  readonly #fresh: Charge[] = []
  /** For each charge that is to be given out only later, what cancels that. */
  readonly #later = new Set<() => void>()
  /** In the order in which they were given out. */
  readonly #outstanding = new Map<GroupMessage, Delivery>()
  /** Of what handlers have in hand, and of what comes next at each member; soonest first. */
  readonly #deadlinesMs = new Map<GroupMessage, number>()
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
    return this.#again.length + this.#fresh.length + this.#later.size
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
    for (const [message, delivery] of this.#outstanding) if (delivery.member === member) this.#giveBack(message)
    this.#giveOut()
  }

  timeBegins(message: GroupMessage): void {
    this.#deadlinesMs.delete(message)
    this.#deadlinesMs.set(message, this.#clock.monotonic() + this.#options.messageTimeoutMs)
  }

  awoke(): void {
    this.#giveOut()
  }

  add(charge: Charge): void {
    this.#fresh.push(charge)
    this.#giveOut()
  }

  /** For one that was given out before, in this life of the group or an earlier one. */
  addAgain(charge: Charge): void {
    this.#putBack(charge)
    this.#giveOut()
  }

  /** The same, after a time. */
  addLater(charge: Charge, delayMs: number): void {
    if (this.#isClosed) return
    const cancel = this.#clock.after(delayMs, () => {
      this.#later.delete(cancel)
      this.addAgain(charge)
    })
    this.#later.add(cancel)
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
    for (const cancel of this.#later) cancel()
    this.#wake()
  }

  #giveOut(): void {
    if (this.#isClosed) return
    const members = this.members.filter(member => !member.isIdle)
    const isBlocked = this.#giveOutFrom(this.#again, members)
    if (!isBlocked || this.#dispatch.passesOver) this.#giveOutFrom(this.#fresh, members)
    this.#watchDeadlines()
    this.#wake()
  }

  /** @returns whether something could not be given out. */
  #giveOutFrom(charges: Charge[], members: readonly Member[]): boolean {
    let kept = 0
    for (const [index, charge] of charges.entries()) {
      const member = this.#dispatch.pick(members, charge.event.stream)
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
      ack: () => this.#answered(message, 'ack', ''),
      nack: (action, reason = '') => {
        checkNack(action, reason)
        if (action === 'stop') this.#stopped(message)
        else this.#answered(message, action, reason)
      },
    }
    this.#outstanding.set(message, { charge, member })
    this.#dispatch.given(event.stream, member)
    member.push(message)
  }

  #answered(message: GroupMessage, answer: Answer, reason: string): void {
    // Answered before, or too late: somebody else may have it.
    if (this.#isClosed || !this.#outstanding.has(message)) return
    this.#onAnswer(this.#takeBack(message), answer, reason)
    this.#giveOut()
  }

  /** Its message goes back with all the others that the member has: none of them has failed. */
  #stopped(message: GroupMessage): void {
    this.#outstanding.get(message)?.member.end(null, false)
  }

  /** Nobody has it any more. */
  #takeBack(message: GroupMessage): Charge {
    const { charge, member } = this.#outstanding.get(message)!
    this.#outstanding.delete(message)
    this.#deadlinesMs.delete(message)
    member.release()
    this.#dispatch.settled(charge.event.stream)
    return charge
  }

  #giveBack(message: GroupMessage): void {
    this.#putBack(this.#takeBack(message))
  }

  /** Where it was: a stream stays in order when its member leaves. */
  #putBack(charge: Charge): void {
    let index = this.#again.length
    while (index > 0 && this.#again[index - 1]!.event.position > charge.event.position) index--
    this.#again.splice(index, 0, charge)
  }

  #watchDeadlines(): void {
    const [first] = this.#deadlinesMs.values()
    if (this.#cancelTimer !== null || first === undefined) return
    this.#cancelTimer = this.#clock.after(Math.max(0, first - this.#clock.monotonic()), () => {
      this.#cancelTimer = null
      this.#endLate()
      this.#giveOut()
    })
  }

  #endLate(): void {
    const nowMs = this.#clock.monotonic()
    for (const [message, deadlineMs] of this.#deadlinesMs) {
      if (deadlineMs > nowMs) return
      const { member } = this.#outstanding.get(message)!
      for (const unread of member.idle()) this.#giveBack(unread)
      // What no handler had in hand is not late.
      if (this.#outstanding.has(message)) this.#onAnswer(this.#takeBack(message), 'late', 'not settled in time')
    }
  }

  #wake(): void {
    const wakers = this.#wakers
    if (wakers.length === 0) return
    this.#wakers = []
    for (const wake of wakers) wake()
  }
}
