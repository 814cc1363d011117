import type { ExpectedRevision } from '../core/events.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { StreamHead } from './stream-head.ts'

/** What an append asks for beyond the common: several streams at once, a condition. */
export interface AppendTerms {
  /** The streams of a commit, each once; empty for an append to one stream. See `AppendMessage.parts`. */
  readonly parts: readonly AppendPart[]
  readonly condition: ConditionTerms | null
}

/** What a commit does to one of its streams. */
export interface AppendPart {
  readonly head: StreamHead
  readonly expected: ExpectedRevision
  /** None: the stream is only checked. */
  readonly events: readonly EncodableEvent[]
  /** Of the first event; set when the events are written. */
  firstRevision: Revision
}

/** The append fails if an event was committed behind `after` whose type and stream are among these. */
export interface ConditionTerms {
  /** Event types as UTF-8; null means any. */
  readonly types: readonly Uint8Array[] | null
  /** Names of streams, checked; null means any. */
  readonly streams: readonly string[] | null
  readonly after: LogPosition
  /** Set before the queue: what stands up to here has been looked at. What came behind, the writer looks at. */
  checkedUpTo: LogPosition
  /** Set before the queue: something up to there stands against it. */
  isRefuted: boolean
}
