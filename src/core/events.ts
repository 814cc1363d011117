import type { LogPosition, Revision } from './positions.ts'

/** What JSON can hold; a field that is undefined is left out. */
export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue | undefined }

/**
 * Bytes, or what JSON can hold. `object` is for values whose type is an interface or a class: TypeScript does not count them as
 * JsonValue. What JSON can't hold, the call refuses.
 */
export type Payload = Uint8Array | JsonValue | object

/** What an appender hands in. */
export interface NewEvent {
  /** 1 to 255 bytes of UTF-8 without control characters. */
  readonly type: string
  /** Bytes, or a JSON value that is serialised inside the call. A Uint8Array must not change until its append settled. */
  readonly data: Payload
  readonly metadata?: Payload | undefined
  /** A UUID of the caller's, for idempotent retries. Without it the event gets an id that is unique and stable for ever. */
  readonly id?: string | undefined
}

/** What events look like when nothing more is said of them. */
export type AnyEvent = { type: string; data: unknown }

/** What a read hands out; yours to keep. Of a union of events it is a union: who asks for the type knows the data. */
export type RecordedEvent<Event extends AnyEvent = AnyEvent> = Event extends AnyEvent ? Recorded<Event> : never

/**
 * What `RecordedEvent` is of one kind of events. Its fields are getters, which decode what is asked for: `{ ...event }` and a structured
 * clone have none of them; JSON.stringify takes all but `bytes`.
 */
export interface Recorded<Event extends AnyEvent> {
  readonly stream: string
  /** Its place in the stream, from 0. */
  readonly revision: Revision
  /** Names the event's record in the log. */
  readonly position: LogPosition
  /** A UUID: the appender's, or one that belongs to the event for ever. */
  readonly id: string
  readonly type: Event['type']
  /** When it was written, to the millisecond; never before the event in front of it in the log. */
  readonly created: Date
  /** 'binary': a Uint8Array was appended. */
  readonly contentType: 'json' | 'binary'
  /** Equal to what was appended; decoded on first use. Of a binary event, what is said of `bytes`. */
  readonly data: Event['data']
  /** The raw payload. Its buffer may have other events, too: transfer a copy of it, not the buffer itself. */
  readonly bytes: Uint8Array
  /** Equal to what was appended; undefined when there was none. */
  readonly metadata: unknown
}

/**
 * What the appender believes of the stream. A number: its last revision. 'no_stream': it has no event, or is deleted. 'stream_exists':
 * it has one. 'any': whatever it is at.
 */
export type ExpectedRevision = number | 'any' | 'no_stream' | 'stream_exists'

/** What an append to one stream resolves with. */
export interface AppendAck {
  readonly stream: string
  /** Revision of the append's first event; null for a check without events. */
  readonly firstRevision: Revision | null
  /** Revision of its last event; null for a check, too. */
  readonly lastRevision: Revision | null
  /** Position of the append's last event; for a check, one behind all events that it knew of and before all that came later. */
  readonly position: LogPosition
  /** True when these events were already in the log and nothing was written. */
  readonly duplicate: boolean
}

/** One stream of a commit. Without events it is only checked. */
export interface StreamCommit {
  readonly stream: string
  readonly events: NewEvent | readonly NewEvent[]
  readonly expectedRevision?: ExpectedRevision | undefined
}

/** Fails the append if an event with one of the types, in one of the streams, was committed behind `after`. */
export interface AppendCondition {
  /** At least one of both; without `types` any type counts, without `streams` any stream. */
  readonly failIf: { readonly types?: readonly string[] | undefined; readonly streams?: readonly string[] | undefined }
  /** A position, exclusive: that of the last event that was known when it was decided what to append. */
  readonly after: number
}

/** What an append to several streams at once resolves with. */
export interface CommitAnswer {
  /** Position of the last event; without events, one behind all events that it knew of and before all that came later. */
  readonly position: LogPosition
  /** True when these events were already in the log and nothing was written. */
  readonly duplicate: boolean
  /** In the order of the call; null for a stream that was only checked. */
  readonly streams: readonly {
    readonly stream: string
    readonly firstRevision: Revision | null
    readonly lastRevision: Revision | null
  }[]
}
