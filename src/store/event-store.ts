import { ReadOnlyStoreError, StoreClosedError } from '../core/errors.ts'
import type { AnyEvent, AppendAck, CommitAnswer, NewEvent, StreamCommit } from '../core/events.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import type { StreamMetadata } from '../core/stream-metadata.ts'
import { absoluteDirectory } from '../disk/directory.ts'
import type { Disk } from '../disk/disk.ts'
import { MemoryDisk } from '../disk/memory-disk.ts'
import { NodeDisk } from '../disk/node-disk.ts'
import type { BackupResult } from '../log/backup.ts'
import type { ScavengeResult } from '../scavenge/scavenger.ts'
import { AllReader } from '../streams/all-reader.ts'
import { EventSelection } from '../streams/event-filter.ts'
import { type EventReading, eventReading, type NextBatch } from '../streams/event-reading.ts'
import { checkReadAll, checkReadStream, type ReadAllOptions, type ReadStreamOptions } from '../streams/read-options.ts'
import { StreamList, type StreamListOptions, type StreamSummary } from '../streams/stream-list.ts'
import type { StreamReader } from '../streams/stream-reader.ts'
import { type Consumer, type ConsumerOptions, NamedConsumer } from '../subscriptions/consumer.ts'
import { type ConsumerGroup, OpenGroup } from '../subscriptions/consumer-group.ts'
import { type Entity, type EntityOptions, FoldedEntity } from '../subscriptions/entity.ts'
import type { When } from '../subscriptions/fold.ts'
import { FollowerDesk } from '../subscriptions/follower-desk.ts'
import type { GroupOptions } from '../subscriptions/group-options.ts'
import { OpenProjection, type Projection, type ProjectionOptions } from '../subscriptions/projection.ts'
import { type SubscribeOptions, subscribe } from '../subscriptions/subscribe.ts'
import type { Subscription } from '../subscriptions/subscription.ts'
import { type PartitionedTopic, type Topic, type TopicOptions, topicOf } from '../subscriptions/topic.ts'
import type { AppendOptions, CommitOptions } from './admission.ts'
import { CallsUnderWay } from './calls-under-way.ts'
import { followedStore } from './followed-store.ts'
import type { BackupCallOptions, ScavengeCallOptions } from './maintenance.ts'
import { openForReading } from './open-for-reading.ts'
import { openForWriting } from './open-for-writing.ts'
import { type CheckedOptions, checkOptions, type StoreOptions } from './options.ts'
import type { Resolve } from './pending-appends.ts'
import type { Recovery, Rooms, Writing } from './rooms.ts'
import { type StoreStats, statsOf } from './stats.ts'
import { type ChangeAck, type ChangeOptions, checkName, StreamSettings } from './stream-settings.ts'
import { OpenTransaction, type Transaction, type TransactionDesk, type TransactionOptions } from './transaction.ts'

let resolveTaken: Resolve
let rejectTaken: (error: unknown) => void

/** One executor for all appends, called by the promise's constructor: a closure per append costs as much as the promise. */
function takeSettlers(resolve: (ack: AppendAck) => void, reject: (error: unknown) => void): void {
  // An append is answered with an ack, as its admission says; the type of the line is wider, because commits share it.
  resolveTaken = resolve as Resolve
  rejectTaken = reject
}

/**
 * An event store in a directory, or in memory. Appends are acknowledged when they are durable; what was acknowledged is
 * readable by everyone, in order, and survives every crash.
 */
export class EventStore {
  /** What opening did: whether the last close was clean, events found, bytes scanned and truncated, how long it took. */
  readonly recovery: Recovery
  /** @internal Tells it from every other store; a backup has the same. */
  readonly storeId: Uint8Array
  readonly #rooms: Rooms
  readonly #streams: StreamReader
  readonly #all: AllReader
  readonly #list: StreamList
  readonly #settings: StreamSettings
  readonly #transactions: TransactionDesk
  readonly #followers: FollowerDesk
  readonly #topics = new Map<string, PartitionedTopic>()
  #closing: Promise<void> | null = null
  readonly #calls = new CallsUnderWay()

  private constructor(rooms: Rooms, options: CheckedOptions) {
    this.#rooms = rooms
    this.recovery = rooms.recovery
    const { index, loader, reader, chaser, storeId } = rooms
    this.storeId = storeId
    this.#streams = rooms.streams
    this.#all = new AllReader(reader, chaser.published, storeId)
    this.#list = new StreamList(index, loader, options.clock)
    this.#settings = new StreamSettings(rooms, this.#streams)
    this.#transactions = {
      clock: options.clock,
      lastPosition: () => index.lastPosition,
      read: (stream, options, upTo) => this.#batches(this.#streams.read(stream, options, rooms.beforeRead, upTo)),
      append: (stream, events, options) => this.append(stream, events, options),
    }
    this.#followers = new FollowerDesk(
      followedStore(rooms, this.#streams, options, {
        extent: stream => this.#lookUp(() => this.#streams.extent(stream)),
        lastRevision: stream => this.#lookUp(() => this.#streams.lastRevision(stream)),
        readStream: (stream, options) => this.readStream(stream, options),
      }),
    )
  }

  /**
   * Opens the store in `directory`; creates it if there is none, recovers it after a crash. One opener at a time may write.
   * @throws StoreLockedError, CorruptLogError, UnsupportedFormatError, ReadOnlyStoreError, LockUnavailableError,
   *   InvalidArgumentError, DiskFullError, ReadFailedError
   */
  static open(directory: string, options?: StoreOptions): Promise<EventStore> {
    return EventStore.openOn(new NodeDisk(), directory, options)
  }

  /** The same engine on a disk in memory: nothing survives `close`. */
  static inMemory(options?: StoreOptions): Promise<EventStore> {
    return EventStore.openOn(new MemoryDisk(), '/memory', options)
  }

  /** @internal */
  static async openOn(disk: Disk, directory: string, options?: StoreOptions): Promise<EventStore> {
    const place = absoluteDirectory(directory)
    const checked: CheckedOptions = checkOptions(options)
    return new EventStore(await (checked.readOnly ? openForReading : openForWriting)(disk, place, checked), checked)
  }

  /**
   * Appends one event or several, all or none, to the end of a stream. Resolves when they are durable and readable.
   * @throws (rejects with) WrongExpectedRevisionError, QueueFullError, RecordTooLargeError, DiskFullError, WriterFailedError,
   *   StoreClosedError, ReadOnlyStoreError, InvalidArgumentError, or the signal's reason; each has `outcome` and `retryable`.
   */
  append(stream: string, events: NewEvent | readonly NewEvent[], options?: AppendOptions): Promise<AppendAck> {
    if (this.#closing !== null) return Promise.reject(new StoreClosedError())
    const promise = new Promise<AppendAck>(takeSettlers)
    this.#rooms.admit(stream, events, options, resolveTaken, rejectTaken)
    return promise
  }

  /**
   * Appends to several streams at once, all or nothing, in one place of the log. A stream without events is only checked.
   * @throws (rejects with) what `append` does
   */
  commit(streams: readonly StreamCommit[], options?: CommitOptions): Promise<CommitAnswer> {
    return new Promise((resolve, reject) => {
      this.#refuseIfClosed()
      this.#rooms.admitCommit(streams, options, resolve as Resolve, reject)
    })
  }

  /**
   * Reads and then appends to one stream, unless something of the same types was appended to it meanwhile. It begins now.
   * @throws InvalidArgumentError, StoreClosedError, ReadOnlyStoreError
   */
  transaction<Event extends AnyEvent = AnyEvent>(stream: string, options: TransactionOptions = {}): Transaction<Event> {
    this.#writing()
    checkName(stream)
    return new OpenTransaction<Event>(this.#transactions, stream, options)
  }

  /** The events of one stream. @throws what `readAll` does; while iterated, also StreamNotFoundError, StreamDeletedError */
  readStream<Event extends AnyEvent = AnyEvent>(stream: string, options: ReadStreamOptions = {}): EventReading<Event> {
    const checked = checkReadStream(options)
    return eventReading<Event>(() => this.#batches(this.#streams.read(stream, checked, this.#rooms.beforeRead)), checked.signal)
  }

  /**
   * The events of the whole log, in the order of their positions.
   * @throws InvalidArgumentError; (while iterated) StoreClosedError, ReadFailedError, CorruptLogError, the signal's reason
   */
  readAll<Event extends AnyEvent = AnyEvent>(options: ReadAllOptions = {}): EventReading<Event> {
    const checked = checkReadAll(options)
    const selection = new EventSelection(options.filter, options.includeSystem)
    return eventReading<Event>(() => this.#batches(this.#all.read(checked, selection, this.#rooms.beforeRead)), checked.signal)
  }

  /**
   * The events of the log, or of one stream, from some place on and then as they are committed: no gap, no event twice, in order.
   * Where it begins is fixed now. It ends when the loop over it is left, when its signal is aborted, or with the store.
   * @throws InvalidArgumentError, StoreClosedError; iterating throws the signal's reason, ReadFailedError, CorruptLogError
   */
  subscribe<Event extends AnyEvent = AnyEvent>(options: SubscribeOptions = {}): Subscription<Event> {
    this.#refuseIfClosed()
    return subscribe(this.#followers, options) as Subscription<Event>
  }

  /**
   * A subscription that remembers in the store how far it came, and goes on there after a restart. One at a time has the name.
   * @throws InvalidArgumentError, StoreClosedError
   */
  consumer<Event extends AnyEvent = AnyEvent>(name: string, options: ConsumerOptions = {}): Consumer<Event> {
    this.#refuseIfClosed()
    return new NamedConsumer(this.#followers, name, options) as Consumer<Event>
  }

  /**
   * Members that share the work: each event goes to one of them, until it is settled. One at a time may be open under a name.
   * @throws InvalidArgumentError, StoreClosedError, ReadOnlyStoreError
   */
  group<Event extends AnyEvent = AnyEvent>(name: string, options: GroupOptions = {}): ConsumerGroup<Event> {
    this.#writing()
    return new OpenGroup(this.#followers, name, options)
  }

  /**
   * Folds events into a state that follows the log and is saved in the store. One at a time may be open under a name.
   * @throws InvalidArgumentError, StoreClosedError
   */
  project<State, Event extends AnyEvent = AnyEvent>(options: ProjectionOptions<State, Event>): Projection<State> {
    this.#refuseIfClosed()
    return new OpenProjection(this.#followers, options as ProjectionOptions<State>)
  }

  /**
   * The state of one stream: each `get` folds only what is new, from a snapshot if there is one.
   * @throws InvalidArgumentError, StoreClosedError
   */
  entity<State, Event extends AnyEvent = AnyEvent>(
    stream: string,
    when: When<State, Event>,
    options: EntityOptions<State> = {},
  ): Entity<State> {
    this.#refuseIfClosed()
    return new FoldedEntity(this.#followers.client, stream, when as When<State>, options)
  }

  /** Records in partitions: by key, with offsets, and groups that share them. @throws InvalidArgumentError, StoreClosedError */
  topic(name: string, options: TopicOptions = {}): Topic {
    this.#refuseIfClosed()
    return topicOf(this.#topics, this.#followers, name, options)
  }

  /** The stream's last revision; null when there is none, or it is deleted. @throws (rejects with) what a read does */
  async head(stream: string): Promise<Revision | null> {
    return (await this.#lookUp(() => this.#streams.extent(stream)))?.lastRevision ?? null
  }

  #lookUp<Answer>(look: () => Promise<Answer>): Promise<Answer> {
    return this.#whileOpen(async () => {
      await this.#rooms.beforeRead()
      return look()
    })
  }

  /** Whether there is such a stream, and it is not deleted. @throws what `head` does */
  async exists(stream: string): Promise<boolean> {
    return (await this.head(stream)) !== null
  }

  /**
   * Every stream with something to read, once, in no order that means anything; not the store's own (`$`). It shows those that are
   * there when it is first asked, as they are when it comes by them. `maxAge` is not regarded: a read may find less, or nothing.
   * @throws InvalidArgumentError; (while iterated) StoreClosedError, CorruptLogError, ReadFailedError
   */
  streams(options: StreamListOptions = {}): AsyncIterable<StreamSummary> {
    return this.#list.streams(options, this.#rooms.beforeRead, call => this.#whileOpen(call))
  }

  /** What was set for the stream last; `{}` when nothing was. @throws StreamDeletedError when it is deleted for good */
  async metadata(stream: string): Promise<StreamMetadata> {
    return this.#whileOpen(() => this.#settings.metadata(stream))
  }

  /**
   * Says what is kept of the stream, as a whole: what is not named does not hold any more. Holds for every read from now on;
   * readAll shows what is not kept until it is scavenged.
   * @param options `expectedRevision`: of the stream `$$stream`, where the metadata stands.
   * @throws (rejects with) InvalidArgumentError, StreamDeletedError when it is deleted for good, and what `append` does
   */
  async setMetadata(stream: string, metadata: StreamMetadata, options: ChangeOptions = {}): Promise<ChangeAck> {
    return this.#whileOpen(() => this.#settings.setMetadata(stream, metadata, options))
  }

  /**
   * Deletes what stands in the stream, if anything does. Whoever appends to it later begins it anew; revisions go on, metadata stays.
   * @throws (rejects with) StreamDeletedError when it is deleted for good, and what `append` does
   */
  async delete(stream: string, options: ChangeOptions = {}): Promise<ChangeAck> {
    return this.#whileOpen(() => this.#settings.delete(stream, options))
  }

  /**
   * Deletes the stream for good, whether it was ever written or not: it can't be read or appended to any more.
   * @throws (rejects with) StreamDeletedError when it is so already, and what `append` does
   */
  async tombstone(stream: string, options: ChangeOptions = {}): Promise<ChangeAck> {
    return this.#whileOpen(() => this.#settings.tombstone(stream, options))
  }

  /**
   * Empties one event for good, at the next scavenge. Until then it can be read.
   * @throws (rejects with) StreamNotFoundError when there is no such event, StreamDeletedError, and what `append` does
   */
  async erase(stream: string, revision: number): Promise<ChangeAck> {
    this.#writing()
    return this.#whileOpen(() => this.#settings.erase(stream, revision))
  }

  /** Position of the last event that was acknowledged; 0 while there is none. */
  get lastPosition(): LogPosition {
    return this.#rooms.index.lastPosition
  }

  /**
   * Rewrites chunks without the events that retention, deletion and erasure have given up, while the store is in use. Positions stay.
   * @throws (rejects with) ReadOnlyStoreError, InvalidArgumentError when one is running, CorruptLogError, ReadFailedError,
   *   DiskFullError, WriterFailedError, the signal's reason; chunks that were rewritten by then stay so
   */
  async scavenge(options: ScavengeCallOptions = {}): Promise<ScavengeResult> {
    return this.#writing().maintenance.scavenge(options)
  }

  /**
   * Copies everything that is acknowledged by now into a directory of its own, which opens like a store after a crash.
   * @throws (rejects with) ReadOnlyStoreError, InvalidArgumentError when the directory is not empty or no place for it, or the store in
   *   memory, CorruptLogError, ReadFailedError, DiskFullError, WriterFailedError, the signal's reason
   */
  async backup(directory: string, options: BackupCallOptions = {}): Promise<BackupResult> {
    return this.#writing().maintenance.backup(directory, options)
  }

  #writing(): Writing {
    this.#refuseIfClosed()
    if (this.#rooms.writing === null) throw new ReadOnlyStoreError('the store is open for reading')
    return this.#rooms.writing
  }

  /** Counters of every stage, as a plain object. */
  stats(): StoreStats {
    return statsOf(this.#rooms)
  }

  /**
   * Takes no more calls, answers those it took, proves the log and lets go of the directory. A read ends with what it is reading just
   * now. May be called again.
   */
  close(): Promise<void> {
    this.#closing ??= this.#followers.close()?.then(() => this.#closeRooms()) ?? this.#closeRooms()
    return this.#closing
  }

  #closeRooms(): Promise<void> {
    return this.#calls.answered()?.then(() => this.#rooms.close()) ?? this.#rooms.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #refuseIfClosed(): void {
    if (this.#closing !== null) throw new StoreClosedError()
  }

  /** The store stays open until the call is answered. For those whose own errors are told by a promise. @throws StoreClosedError */
  #whileOpen<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    this.#refuseIfClosed()
    return this.#calls.run(call)
  }

  #batches(nextBatch: NextBatch): NextBatch {
    return () => (this.#closing === null ? this.#calls.run(nextBatch) : Promise.reject(new StoreClosedError()))
  }
}
