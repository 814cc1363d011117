import { checkSignal } from '../core/abort-signal.ts'
import { InvalidArgumentError, StoreClosedError } from '../core/errors.ts'
import type { JsonValue, NewEvent } from '../core/events.ts'
import { jsonTextOf, shown } from '../core/json-text.ts'
import { checkOptionNames } from '../core/option-names.ts'
import type { LogPosition } from '../core/positions.ts'
import { setImmediate } from '../core/timers.ts'
import { wholeOption } from '../core/whole-numbers.ts'
import { EVERY_EVENT } from '../streams/event-filter.ts'
import { type FollowerDesk, notesStream } from './follower-desk.ts'
import { LaterCursor } from './later-cursor.ts'
import { lastNote, writeNote } from './log-client.ts'
import { stableHash } from './stable-hash.ts'
import { CursorSubscription } from './subscription.ts'
import { GroupOfTopic, type TopicGroup } from './topic-group.ts'
import { checkHeaders, type NewRecord, type RecordMetadata, recordOf, type TopicRecord } from './topic-record.ts'

export interface TopicOptions {
  /** How many partitions the topic has. Fixed by the first record; 1. */
  readonly partitions?: number | undefined
}

/** Where a record went. */
export interface ProduceAck {
  readonly partition: number
  /** Its place in the partition, from 0. */
  readonly offset: number
  /** Of its event in the log. */
  readonly position: LogPosition
}

export interface TopicReadOptions {
  /** The offset to begin with, inclusive; 'start' (default), or 'end' for what is produced from now on. */
  readonly from?: number | 'start' | 'end' | undefined
  /** Ends it: who waits for the next record gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

const OPTIONS: ReadonlySet<string> = new Set<keyof TopicOptions>(['partitions'])
const READ_OPTIONS: ReadonlySet<string> = new Set<keyof TopicReadOptions>(['from', 'signal'])
/** Where groups of topics keep their notes: those of a topic must not stand among them. */
const GROUP_NOTES = /^\$topic-group-\d+-/

/**
 * Records in partitions. A partition is a stream, `topic-<name>-<partition>`, so everything that reads streams reads it; an offset
 * is a revision.
 */
export interface Topic {
  readonly name: string
  /** @throws (rejects with) InvalidArgumentError when the topic has another number of partitions; what an append rejects with */
  produce(record: NewRecord): Promise<ProduceAck>
  /** The partition that records of this key go to, for ever. */
  partitionOf(key: string): number
  /**
   * The records of one partition from an offset on, old ones and then new ones.
   * @throws InvalidArgumentError, also while iterated, when the topic has another number of partitions
   */
  read(partition: number, options?: TopicReadOptions): AsyncIterableIterator<TopicRecord>
  /** For each partition the offset that its next record will have. */
  ends(): Promise<number[]>
  /** Those who share the partitions under a name. */
  group(name: string): TopicGroup
}

interface TopicNote {
  readonly partitions: number
}

/**
 * One topic of a name: those who join its groups must find each other.
 * @throws InvalidArgumentError
 */
export function topicOf(
  known: Map<string, PartitionedTopic>,
  desk: FollowerDesk,
  name: string,
  options: TopicOptions,
): PartitionedTopic {
  checkOptionNames(options, OPTIONS)
  const topic = known.get(name)
  if (topic === undefined || topic.isRefused) {
    const made = new PartitionedTopic(desk, name, options)
    known.set(name, made)
    return made
  }
  if (options.partitions !== undefined && options.partitions !== topic.partitions)
    throw new InvalidArgumentError(`topic '${name}' is open with ${topic.partitions} partitions, not ${options.partitions}`)
  return topic
}

export class PartitionedTopic implements Topic {
  readonly name: string
  readonly partitions: number
  readonly #desk: FollowerDesk
  readonly #notes: string
  readonly #groups = new Map<string, GroupOfTopic>()
  #opening: Promise<void> | null = null
  #isOpen = false
  #isRefused = false
  #nextPartition = 0

  /** @throws InvalidArgumentError */
  constructor(desk: FollowerDesk, name: string, options: TopicOptions) {
    this.name = name
    this.#notes = notesStream('topic', name)
    if (GROUP_NOTES.test(this.#notes))
      throw new InvalidArgumentError(`the name of a topic must not begin with 'group-<number>-', got ${shown(name)}`)
    this.partitions = wholeOption('partitions', options.partitions, 1, 1)
    this.#desk = desk
  }

  /** The store has the topic with another number of partitions: this one serves nobody, and stands in nobody's way. */
  get isRefused(): boolean {
    return this.#isRefused
  }

  async produce(record: NewRecord): Promise<ProduceAck> {
    this.#refuseIfClosing()
    if (typeof record !== 'object' || record === null) throw new InvalidArgumentError('a record must be an object with a value')
    const { key, value, headers = {} } = record
    checkHeaders(headers)
    const partition = key === undefined ? this.#nextPartition++ % this.partitions : this.partitionOf(key)
    const metadata: RecordMetadata = { key: key ?? null, headers }
    let event: NewEvent = { type: 'record', data: value, metadata: { ...metadata } }
    if (!this.#isOpen) {
      // It is serialised inside the call, like everything that is appended. Bytes stay as they are.
      const data = ArrayBuffer.isView(value) ? value : jsonCopyOf(value, 'data')
      event = { type: 'record', data, metadata: jsonCopyOf(metadata, 'metadata') }
      await this.#open()
    }
    const ack = await this.#desk.client.append(this.streamOf(partition), event)
    return { partition, offset: ack.firstRevision!, position: ack.position }
  }

  partitionOf(key: string): number {
    if (typeof key !== 'string') throw new InvalidArgumentError(`key must be a text, got ${shown(key)}`)
    return stableHash(key) % this.partitions
  }

  read(partition: number, options: TopicReadOptions = {}): AsyncIterableIterator<TopicRecord> {
    checkOptionNames(options, READ_OPTIONS)
    const { from, signal } = options
    checkSignal(signal)
    this.#checkPartition(partition)
    const revision = from === 'end' ? null : wholeOption('from', from === 'start' ? undefined : from, 0, 0)
    const { tail } = this.#desk
    const begin = (end: number) => this.#desk.streamCursor(this.streamOf(partition), EVERY_EVENT, revision, end)
    const cursor = revision === null ? this.#desk.endCursor(begin) : begin(0)
    const checked = new LaterCursor(async () => {
      await this.check()
      return cursor
    })
    return recordsOf(new CursorSubscription(checked, tail, { signal }), partition)
  }

  async ends(): Promise<number[]> {
    await this.check()
    const { client } = this.#desk
    const streams = Array.from({ length: this.partitions }, (_, partition) => this.streamOf(partition))
    return Promise.all(streams.map(async stream => ((await client.lastRevision(stream)) ?? -1) + 1))
  }

  group(name: string): TopicGroup {
    this.#refuseIfClosing()
    const known = this.#groups.get(name)
    if (known !== undefined) return known
    const group = new GroupOfTopic(this.#desk, this, name)
    this.#groups.set(name, group)
    return group
  }

  streamOf(partition: number): string {
    return `topic-${this.name}-${partition}`
  }

  #refuseIfClosing(): void {
    if (this.#desk.isClosing) throw new StoreClosedError()
  }

  #checkPartition(partition: unknown): void {
    if (!Number.isSafeInteger(partition) || (partition as number) < 0 || (partition as number) >= this.partitions)
      throw new InvalidArgumentError(`partition must be from 0 to ${this.partitions - 1}, got ${shown(partition)}`)
  }

  /** @throws (rejects with) InvalidArgumentError when the topic has another number of partitions */
  async check(): Promise<boolean> {
    const note = await lastNote<TopicNote>(this.#desk.client, this.#notes)
    this.#isRefused = note !== null && note.value.partitions !== this.partitions
    if (this.#isRefused)
      throw new InvalidArgumentError(`topic '${this.name}' has ${note!.value.partitions} partitions, not ${this.partitions}`)
    return note !== null
  }

  /** The number of partitions is written down before the first record: a key must not change its partition. */
  #open(): Promise<void> {
    this.#opening ??= this.check()
      .then(async isKnown => {
        if (!isKnown) await writeNote(this.#desk.client, this.#notes, '$topic', { partitions: this.partitions }, null)
        // Those who wait come first.
        setImmediate(() => {
          this.#isOpen = true
        })
      })
      .catch((error: unknown) => {
        this.#opening = null
        throw error
      })
    return this.#opening
  }
}

function recordsOf(subscription: CursorSubscription, partition: number): AsyncIterableIterator<TopicRecord> {
  return {
    async next() {
      const { value } = await subscription.next()
      return value === undefined ? { value: undefined, done: true } : { value: recordOf(value, partition), done: false }
    },
    async return() {
      await subscription.return()
      return { value: undefined, done: true }
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

function jsonCopyOf(value: unknown, what: string): JsonValue {
  return JSON.parse(jsonTextOf(value, what)) as JsonValue
}
