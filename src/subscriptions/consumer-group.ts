import { checkSignal } from '../core/abort-signal.ts'
import { InvalidArgumentError, StoreClosedError, TailraceError } from '../core/errors.ts'
import type { AnyEvent } from '../core/events.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { unreachable } from '../core/unreachable.ts'
import { wholeOption } from '../core/whole-numbers.ts'
import { type FollowerDesk, notesStream } from './follower-desk.ts'
import { GroupCheckpoint, type GroupNote } from './group-checkpoint.ts'
import { type GroupMember, JOIN_OPTIONS, type JoinOptions, Member } from './group-member.ts'
import { type CheckedGroupOptions, checkGroupOptions, type GroupOptions } from './group-options.ts'
import { type Answer, type Charge, HandingOut } from './handing-out.ts'
import { lastNote, withRoom, writeNote } from './log-client.ts'
import type { LogCursor } from './log-cursor.ts'
import { Parking } from './parking.ts'
import { CursorSubscription } from './subscription.ts'

/** Counters of a group. */
export interface GroupStats {
  readonly members: number
  /** Messages in memory that nobody has. */
  readonly waiting: number
  /** Messages that members have and that are not settled. */
  readonly outstanding: number
  /** Since the group was opened. */
  readonly acked: number
  readonly skipped: number
  /** Given out again, since they were answered with 'retry' or not in time. */
  readonly retried: number
  /** Not answered in time: retried, or parked if that was too often. */
  readonly timedOut: number
  readonly parked: number
}

export interface ReplayOptions {
  /** No more than so many; all by default. */
  readonly maxCount?: number | undefined
}

const REPLAY_OPTIONS: ReadonlySet<string> = new Set<keyof ReplayOptions>(['maxCount'])

/**
 * Members that share the events of the log, or of a stream: each event is given to one of them, at least once, and again until
 * it is settled. What is settled is remembered in the store, in checkpoints. One at a time may be open under a name.
 */
export interface ConsumerGroup<Event extends AnyEvent = AnyEvent> {
  readonly name: string
  /** @throws InvalidArgumentError when the group is full, StoreClosedError when it is closed. */
  join<MemberEvent extends AnyEvent = Event>(options?: JoinOptions): GroupMember<MemberEvent>
  /**
   * Gives out what was parked up to now, or the next `maxCount` of it.
   * @returns how many.
   * @throws (rejects with) what ended the group, and what a read does
   */
  replayParked(options?: ReplayOptions): Promise<number>
  /** Parked messages that were not replayed. */
  parkedCount(): Promise<number>
  stats(): GroupStats
  /**
   * Ends all members, and writes down what was settled.
   * @throws (rejects with) what an append rejects with; what was settled since the last checkpoint is given out again then
   */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

/** Parked messages that are looked up at a time. */
const REPLAY_COUNT = 100

export class OpenGroup implements ConsumerGroup {
  readonly name: string
  readonly #desk: FollowerDesk
  readonly #notes: string
  readonly #options: CheckedGroupOptions
  readonly #handingOut: HandingOut
  readonly #parking: Parking
  readonly #leaveDesk: () => void
  readonly #ready: Promise<void>
  /** Places that are not settled, lowest first. */
  readonly #places = new Set<number>()
  readonly #replays = new Set<number>()
  readonly #parks = new Set<Promise<void>>()
  readonly #counts = { acked: 0, skipped: 0, retried: 0, timedOut: 0, parked: 0 }
  /** Where to go on; null while a group that begins at the end of a stream has had no event. */
  #from: number | null
  /** The end of the log when the group was made. */
  #behind: number
  #nextReplay = 0
  /** One at a time: each goes on where the one before came to. */
  #replaying: Promise<unknown> = Promise.resolve()
  #subscription: CursorSubscription | null = null
  #logCursor: LogCursor | null = null
  #checkpoint: GroupCheckpoint | null = null
  #hasCaughtUp = false
  #isClosed = false
  #closing: Promise<void> | null = null
  #failure: { readonly error: unknown } | null = null

  /** @throws InvalidArgumentError */
  constructor(desk: FollowerDesk, name: string, options: GroupOptions) {
    this.name = name
    this.#desk = desk
    this.#notes = notesStream('group', name)
    this.#options = checkGroupOptions(options)
    const { from, stream } = this.#options
    this.#behind = desk.tail.position
    this.#from = from !== 'end' ? from : stream === undefined ? this.#behind : null
    this.#handingOut = new HandingOut(this.#options, desk.clock, (charge, answer, reason) => {
      this.#answered(charge, answer, reason)
    })
    this.#parking = new Parking(desk.client, notesStream('parked', name))
    this.#leaveDesk = desk.enter(this.#notes, () => this.close())
    this.#ready = this.#open()
    this.#ready.then(() => this.#follow()).catch((error: unknown) => this.#fail(error))
  }

  join<MemberEvent extends AnyEvent>(options: JoinOptions = {}): GroupMember<MemberEvent> {
    checkOptionNames(options, JOIN_OPTIONS)
    const { bufferSize, signal } = options
    checkSignal(signal)
    const size = wholeOption('bufferSize', bufferSize, 10, 1)
    if (this.#isClosed) throw new StoreClosedError()
    const { maxSubscriberCount } = this.#options
    if (maxSubscriberCount > 0 && this.#handingOut.members.length >= maxSubscriberCount)
      throw new InvalidArgumentError(`the group '${this.name}' has its ${maxSubscriberCount} members`)
    const member = new Member(size, signal, this.#handingOut)
    if (this.#failure !== null) member.end(this.#failure.error, true)
    else if (signal?.aborted) member.end(signal.reason, true)
    else this.#handingOut.join(member)
    return member as GroupMember as GroupMember<MemberEvent>
  }

  async replayParked(options: ReplayOptions = {}): Promise<number> {
    checkOptionNames(options, REPLAY_OPTIONS)
    const most = wholeOption('maxCount', options.maxCount, Number.MAX_SAFE_INTEGER, 0)
    const replaying = this.#replaying.then(() => this.#replay(most))
    this.#replaying = replaying.catch(() => {})
    return replaying
  }

  async #replay(most: number): Promise<number> {
    await this.#allParked()
    const until = Math.min(await this.#parking.count(), this.#nextReplay + most)
    let count = 0
    while (this.#nextReplay < until && !this.#isClosed) {
      // Nobody would get it, and nobody makes room.
      if (this.#failure !== null) throw this.#failure.error
      const page = Math.min(REPLAY_COUNT, until - this.#nextReplay)
      for await (const { revision, event } of this.#parking.parked(this.#nextReplay, page)) {
        this.#nextReplay = revision + 1
        if (event === null) continue
        this.#replays.add(revision)
        this.#handingOut.addAgain({ event, place: revision, isReplay: true, retryCount: 0 })
        count++
      }
      await this.#room()
    }
    return count
  }

  async parkedCount(): Promise<number> {
    await this.#allParked()
    return (await this.#parking.count()) - this.#nextReplay
  }

  /** What was answered with 'park' before counts. */
  async #allParked(): Promise<void> {
    await this.#ready
    await Promise.all(this.#parks)
  }

  stats(): GroupStats {
    const { members, waitingCount, outstandingCount } = this.#handingOut
    return { members: members.length, waiting: waitingCount, outstanding: outstandingCount, ...this.#counts }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #bufferSize(): number {
    return this.#hasCaughtUp ? this.#options.liveBufferSize : this.#options.historyBufferSize
  }

  async #open(): Promise<void> {
    const { client, clock, tail } = this.#desk
    const note = await lastNote<GroupNote>(client, this.#notes)
    let revision = note?.revision ?? null
    if (note !== null) {
      this.#from = note.value.from
      this.#behind = note.value.behind
      this.#nextReplay = note.value.parkedFrom
    } else if (this.#options.from === 'end') {
      // Where that was has to be known after a restart, too.
      revision = await withRoom(client, () => writeNote(client, this.#notes, '$group-checkpoint', { ...this.#note() }, null))
    }
    const noteNow = () => this.#note()
    const goesOn = (error: unknown) => this.#checkpointFailed(error)
    this.#checkpoint = new GroupCheckpoint(client, clock, this.#notes, this.#options, revision, noteNow, goesOn)
    const { stream, selection } = this.#options
    if (stream === undefined) this.#logCursor = this.#desk.logCursor(selection, this.#from!)
    const cursor = this.#logCursor ?? this.#desk.streamCursor(stream!, selection, this.#from, this.#behind)
    const atEnd = (): void => {
      this.#hasCaughtUp = true
    }
    this.#subscription = new CursorSubscription(cursor, tail, { atEnd })
  }

  /** What is being parked is in memory, too, and may wait for room among the appends. */
  async #room(): Promise<void> {
    await this.#handingOut.room(() => this.#bufferSize)
    while (this.#parks.size >= this.#bufferSize) await Promise.race(this.#parks)
  }

  /** Reads on while there is room. */
  async #follow(): Promise<void> {
    const subscription = this.#subscription!
    while (!this.#isClosed) {
      await this.#room()
      const { value: event } = await subscription.next()
      if (event === undefined) break
      const place = this.#logCursor === null ? event.revision : event.position
      this.#places.add(place)
      this.#from = subscription.place ?? place + 1
      this.#handingOut.add({ event, place, isReplay: false, retryCount: 0 })
    }
    this.#endMembers(null, false)
  }

  #answered(charge: Charge, answer: Answer, reason: string): void {
    switch (answer) {
      case 'ack':
        this.#settle(charge, 'acked')
        break
      case 'skip':
        this.#settle(charge, 'skipped')
        break
      case 'park':
        this.#park(charge, reason)
        break
      case 'late':
        this.#counts.timedOut++
        this.#retry(charge, reason)
        break
      case 'retry':
        this.#retry(charge, reason)
        break
      default:
        unreachable(answer)
    }
  }

  #retry(charge: Charge, reason: string): void {
    if (charge.retryCount >= this.#options.maxRetryCount) {
      this.#park(charge, reason)
      return
    }
    charge.retryCount++
    this.#counts.retried++
    this.#handingOut.addAgain(charge)
  }

  /** It is settled when it stands in the stream of parked messages. */
  #park(charge: Charge, reason: string): void {
    const parking = withRoom(this.#desk.client, () => this.#parking.park(charge.event, charge.retryCount, reason))
      .then(
        () => this.#settle(charge, 'parked'),
        (error: unknown) => {
          // A full disk: given out again at once, it would go round and round.
          if (isPassing(error)) this.#handingOut.addLater(charge, this.#options.checkPointAfterMs)
          else this.#fail(error)
        },
      )
      .finally(() => this.#parks.delete(parking))
    this.#parks.add(parking)
  }

  #settle({ place, isReplay }: Charge, how: 'acked' | 'skipped' | 'parked'): void {
    this.#counts[how]++
    const places = isReplay ? this.#replays : this.#places
    places.delete(place)
    this.#checkpoint!.count()
  }

  #note(): GroupNote {
    const [lowest] = this.#places
    const [lowestReplay] = this.#replays
    return { from: lowest ?? this.#from, behind: this.#behind, parkedFrom: lowestReplay ?? this.#nextReplay }
  }

  /** @returns whether the group goes on. */
  #checkpointFailed(error: unknown): boolean {
    // A full queue or disk: the next checkpoint says the same and more.
    if (isPassing(error)) return true
    this.#fail(error)
    return false
  }

  #fail(error: unknown): void {
    if (this.#failure !== null || this.#isClosed) return
    this.#failure = { error }
    this.#handingOut.close()
    this.#subscription?.return().catch(() => {})
    this.#endMembers(error, true)
  }

  #endMembers(error: unknown, isFailure: boolean): void {
    for (const member of [...this.#handingOut.members]) member.end(error, isFailure)
  }

  async #close(): Promise<void> {
    this.#isClosed = true
    this.#handingOut.close()
    this.#endMembers(null, false)
    await this.#ready.catch(() => {})
    await this.#subscription?.return()
    await Promise.all(this.#parks)
    try {
      await this.#checkpoint?.close()
    } finally {
      this.#leaveDesk()
    }
  }
}

function isPassing(error: unknown): boolean {
  return error instanceof TailraceError && error.retryable
}
