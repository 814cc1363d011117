import { checkSignal } from '../core/abort-signal.ts'
import { InvalidArgumentError, StoreClosedError } from '../core/errors.ts'
import type { RecordedEvent } from '../core/events.ts'
import { shown } from '../core/json-text.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { EVERY_EVENT } from '../streams/event-filter.ts'
import { type FollowerDesk, notesStream } from './follower-desk.ts'
import { lastNote, writeNote } from './log-client.ts'
import type { LogTail } from './log-tail.ts'
import { MergedCursor } from './merged-cursor.ts'
import { CursorSubscription } from './subscription.ts'
import { recordOf, type TopicRecord } from './topic-record.ts'

/** The partitions of a topic, as its groups see them. */
export interface Partitions {
  readonly name: string
  readonly partitions: number
  streamOf(partition: number): string
  ends(): Promise<number[]>
  check(): Promise<unknown>
}

export interface PartitionLag {
  readonly partition: number
  /** The next offset that is not committed. */
  readonly committed: number
  /** The offset that the next record will have. */
  readonly end: number
  /** Records from the one to the other. */
  readonly lag: number
}

export interface TopicJoinOptions {
  /** Leaves the group: who waits for the next record gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const JOIN_OPTIONS: ReadonlySet<string> = new Set<keyof TopicJoinOptions>(['signal'])

/** Those who share the partitions of a topic: each partition belongs to one member at a time. Offsets are kept in the store. */
export interface TopicGroup {
  readonly name: string
  /** Partitions are shared out anew: whoever gets one begins at its committed offset. */
  join(options?: TopicJoinOptions): TopicMember
  /** How far each partition is behind. */
  lag(): Promise<PartitionLag[]>
}

/** Reads its partitions, old records and then new ones, each partition in order. Leaving the loop over it leaves the group. */
export interface TopicMember extends AsyncIterableIterator<TopicRecord> {
  /** The partitions that it has now. */
  readonly partitions: readonly number[]
  /**
   * Everything handed out so far from partitions that it still has is done with. Resolves when that is durable.
   * @throws (rejects with) what an append rejects with
   */
  commit(): Promise<void>
  return(): Promise<IteratorResult<TopicRecord, undefined>>
  [Symbol.asyncDispose](): Promise<void>
}

interface OffsetsNote {
  /** For each partition the next offset that is not committed. */
  readonly offsets: readonly number[]
}

interface Committed {
  readonly offsets: readonly number[]
  readonly revision: number | null
}

export class GroupOfTopic implements TopicGroup {
  readonly name: string
  readonly #desk: FollowerDesk
  readonly #topic: Partitions
  readonly #notes: string
  readonly #members: PartitionReader[] = []
  /** What was written here last; null when it has to be looked up. */
  #committed: Committed | null = null
  /** The end of the line of those who ask what is committed, or commit. */
  #line: Promise<unknown> = Promise.resolve()

  /** @throws InvalidArgumentError */
  constructor(desk: FollowerDesk, topic: Partitions, name: string) {
    if (typeof name !== 'string' || name === '')
      throw new InvalidArgumentError(`the name of a group must be a text, got ${shown(name)}`)
    this.name = name
    this.#desk = desk
    this.#topic = topic
    // A topic's name may hold anything: its length keeps two of them apart.
    this.#notes = notesStream('topic-group', `${topic.name.length}-${topic.name}-${name}`)
  }

  join(options: TopicJoinOptions = {}): TopicMember {
    checkOptionNames(options, JOIN_OPTIONS)
    const { signal } = options
    checkSignal(signal)
    const open = (partitions: readonly number[], done: ReadonlyMap<number, number>) => this.#open(partitions, done)
    const commit = (done: ReadonlyMap<number, number>) => this.#commit(done)
    const member = new PartitionReader(this.#topic, this.#desk.tail, signal, open, commit, left => {
      const index = this.#members.indexOf(left)
      if (index >= 0) this.#members.splice(index, 1)
      this.#shareOut()
    })
    if (signal?.aborted) return member
    this.#members.push(member)
    this.#shareOut()
    return member
  }

  async lag(): Promise<PartitionLag[]> {
    const { offsets } = await this.#progress()
    const ends = await this.#topic.ends()
    return ends.map((end, partition) => {
      const committed = offsets[partition] ?? 0
      return { partition, committed, end, lag: Math.max(0, end - committed) }
    })
  }

  #shareOut(): void {
    const shares = this.#members.map((): number[] => [])
    if (shares.length === 0) return
    for (let partition = 0; partition < this.#topic.partitions; partition++) shares[partition % shares.length]!.push(partition)
    for (const [index, member] of this.#members.entries()) member.assign(shares[index]!)
  }

  /** @param done where the member itself has come to, in partitions that it keeps. */
  async #open(partitions: readonly number[], done: ReadonlyMap<number, number>): Promise<CursorSubscription> {
    await this.#topic.check()
    const { offsets } = await this.#progress()
    const cursors = partitions.map(partition => {
      const offset = done.get(partition) ?? offsets[partition] ?? 0
      return this.#desk.streamCursor(this.#topic.streamOf(partition), EVERY_EVENT, offset, 0)
    })
    return new CursorSubscription(new MergedCursor(cursors), this.#desk.tail)
  }

  #commit(done: ReadonlyMap<number, number>): Promise<void> {
    return this.#inLine(async () => {
      const committed = await this.#lookUp()
      const offsets = Array.from({ length: this.#topic.partitions }, (_, partition) =>
        Math.max(committed.offsets[partition] ?? 0, done.get(partition) ?? 0),
      )
      if (offsets.every((offset, partition) => offset === (committed.offsets[partition] ?? 0))) return
      // Until it is known to be written: after a failure, what stands there is looked up again.
      this.#committed = null
      const { client } = this.#desk
      const revision = await writeNote(client, this.#notes, '$topic-group-committed', { offsets }, committed.revision)
      this.#committed = { offsets, revision }
    })
  }

  #progress(): Promise<Committed> {
    return this.#inLine(() => this.#lookUp())
  }

  /** One at a time: each rests on what the one before has left, also when that one failed. */
  #inLine<T>(turn: () => Promise<T>): Promise<T> {
    const result = this.#line.then(turn)
    this.#line = result.catch(() => {})
    return result
  }

  /** What was read is not kept: a store that is open for reading hears so of what is committed where it is written. */
  async #lookUp(): Promise<Committed> {
    if (this.#committed !== null) return this.#committed
    const note = await lastNote<OffsetsNote>(this.#desk.client, this.#notes)
    return { offsets: note?.value.offsets ?? [], revision: note?.revision ?? null }
  }
}

type OpenPartitions = (partitions: readonly number[], done: ReadonlyMap<number, number>) => Promise<CursorSubscription>

/** A member: reads the partitions it has, until they are shared out anew. */
class PartitionReader implements TopicMember {
  readonly #partitionOf: ReadonlyMap<string, number>
  readonly #tail: LogTail
  readonly #signal: AbortSignal | undefined
  readonly #open: OpenPartitions
  readonly #commit: (done: ReadonlyMap<number, number>) => Promise<void>
  readonly #onLeave: (member: PartitionReader) => void
  #partitions: readonly number[] = []
  /** Null when the partitions were shared out anew. */
  #reading: Promise<CursorSubscription> | null = null
  /** For each partition it has: the offset behind the last record handed out. */
  readonly #done = new Map<number, number>()
  #failedReads = 0
  #hasLeft = false

  constructor(
    topic: Partitions,
    tail: LogTail,
    signal: AbortSignal | undefined,
    open: OpenPartitions,
    commit: (done: ReadonlyMap<number, number>) => Promise<void>,
    onLeave: (member: PartitionReader) => void,
  ) {
    this.#partitionOf = new Map(
      Array.from({ length: topic.partitions }, (_, partition) => [topic.streamOf(partition), partition] as const),
    )
    this.#tail = tail
    this.#signal = signal
    this.#open = open
    this.#commit = commit
    this.#onLeave = onLeave
    if (signal?.aborted === false) tail.listenTo(signal, this.#onAbort)
  }

  get partitions(): readonly number[] {
    return this.#partitions
  }

  assign(partitions: readonly number[]): void {
    if (partitions.join() === this.#partitions.join()) return
    this.#partitions = partitions
    for (const partition of this.#done.keys()) if (!partitions.includes(partition)) this.#done.delete(partition)
    this.#stopReading()
  }

  async next(): Promise<IteratorResult<TopicRecord, undefined>> {
    for (;;) {
      this.#signal?.throwIfAborted()
      if (this.#hasLeft) return { value: undefined, done: true }
      this.#reading ??= this.#open(this.#partitionsInTurn(), new Map(this.#done))
      const reading = this.#reading
      let event: RecordedEvent | undefined
      try {
        event = (await (await reading).next()).value
      } catch (error) {
        if (reading !== this.#reading) continue
        if (error instanceof StoreClosedError) return { value: undefined, done: true }
        // Whoever asks again reads anew: what was in the way may be gone then.
        this.#failedReads++
        this.#stopReading()
        throw error
      }
      // What was on its way when the partitions were shared out anew belongs to somebody else.
      if (reading !== this.#reading) continue
      if (event === undefined) return { value: undefined, done: true }
      const partition = this.#partitionOf.get(event.stream)!
      this.#done.set(partition, event.revision + 1)
      return { value: recordOf(event, partition), done: false }
    }
  }

  /** Another one comes first behind each read that failed: a partition that can't be read must not keep the others waiting for ever. */
  #partitionsInTurn(): readonly number[] {
    const first = this.#failedReads % this.#partitions.length
    return [...this.#partitions.slice(first), ...this.#partitions.slice(0, first)]
  }

  commit(): Promise<void> {
    return this.#commit(new Map(this.#done))
  }

  async return(): Promise<IteratorResult<TopicRecord, undefined>> {
    this.#leave()
    return { value: undefined, done: true }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#leave()
  }

  [Symbol.asyncIterator](): this {
    return this
  }

  readonly #onAbort = (): void => this.#leave()

  #leave(): void {
    if (this.#hasLeft) return
    this.#hasLeft = true
    if (this.#signal !== undefined) this.#tail.stopListening(this.#signal, this.#onAbort)
    this.#partitions = []
    this.#done.clear()
    this.#stopReading()
    this.#onLeave(this)
  }

  #stopReading(): void {
    const reading = this.#reading
    this.#reading = null
    reading?.then(subscription => subscription.return()).catch(() => {})
  }
}
