/** The public door of Tailrace. */
export type { Clock } from './core/clock.ts'
export {
  ConditionFailedError,
  CorruptLogError,
  DiskFullError,
  InvalidArgumentError,
  LockUnavailableError,
  type Outcome,
  QueueFullError,
  ReadFailedError,
  ReadOnlyStoreError,
  RecordTooLargeError,
  StoreClosedError,
  StoreLockedError,
  StreamDeletedError,
  StreamNotFoundError,
  TailraceError,
  TransactionClosedError,
  UnsupportedFormatError,
  WriterFailedError,
  WrongExpectedRevisionError,
} from './core/errors.ts'
export type {
  AnyEvent,
  AppendAck,
  AppendCondition,
  CommitAnswer,
  ExpectedRevision,
  JsonValue,
  NewEvent,
  Payload,
  Recorded,
  RecordedEvent,
  StreamCommit,
} from './core/events.ts'
export type { LogPosition, Revision } from './core/positions.ts'
export type { StreamMetadata } from './core/stream-metadata.ts'
export type { BackupProgress, BackupResult } from './log/backup.ts'
export type { ScavengeProgress, ScavengeResult } from './scavenge/scavenger.ts'
export type { AppendOptions, CommitOptions } from './store/admission.ts'
export { EventStore } from './store/event-store.ts'
export type { BackupCallOptions, ScavengeCallOptions } from './store/maintenance.ts'
export type { StoreOptions } from './store/options.ts'
export type { Recovery } from './store/rooms.ts'
export type { StoreStats } from './store/stats.ts'
export type { ChangeAck, ChangeOptions } from './store/stream-settings.ts'
export type {
  DecideAgain,
  Transaction,
  TransactionCommitOptions,
  TransactionOptions,
  TransactionResult,
} from './store/transaction.ts'
export type { EventFilter } from './streams/event-filter.ts'
export type { EventReading } from './streams/event-reading.ts'
export type { ReadAllOptions, ReadStreamOptions } from './streams/read-options.ts'
export type { StreamListOptions, StreamSummary } from './streams/stream-list.ts'
export type { Consumer, ConsumerOptions } from './subscriptions/consumer.ts'
export type { ConsumerGroup, GroupStats, ReplayOptions } from './subscriptions/consumer-group.ts'
export type { Entity, EntityOptions } from './subscriptions/entity.ts'
export type { Reducer, When } from './subscriptions/fold.ts'
export type { GroupMember, GroupMessage, JoinOptions, NackAction } from './subscriptions/group-member.ts'
export type { GroupOptions, GroupStrategy } from './subscriptions/group-options.ts'
export type { Projection, ProjectionOptions } from './subscriptions/projection.ts'
export type { SubscribeOptions } from './subscriptions/subscribe.ts'
export type { Subscription } from './subscriptions/subscription.ts'
export type { ProduceAck, Topic, TopicOptions, TopicReadOptions } from './subscriptions/topic.ts'
export type { PartitionLag, TopicGroup, TopicJoinOptions, TopicMember } from './subscriptions/topic-group.ts'
export type { NewRecord, TopicRecord } from './subscriptions/topic-record.ts'
export type { Durability } from './writer/durability.ts'
