import type { TailraceError } from '../core/errors.ts'
import type { LogPosition, Revision } from '../core/positions.ts'

/**
 * What becomes of an append that leaves no record. Nobody may be told something that rests on bytes that could still be lost,
 * so a verdict waits until everything that was written when it was reached has been flushed.
 */
export type Verdict = FinalVerdict | DeferredVerdict

export type FinalVerdict =
  | { readonly kind: 'rejected'; readonly error: TailraceError }
  | DuplicateVerdict
  /** A check without events that holds. */
  | { readonly kind: 'checked' }

/** These events stand in the log already. */
export interface DuplicateVerdict {
  readonly kind: 'duplicate'
  /** Of the last event. */
  readonly position: LogPosition
  /** Where the events of each stream stand, in the order of the append's parts; null for a part without events. */
  readonly revisions: readonly (RevisionRange | null)[]
}

export interface RevisionRange {
  readonly firstRevision: Revision
  readonly lastRevision: Revision
}

/**
 * The append will not be written; which verdict it gets can only be read from the log: whether it is a retry, what stands
 * against it. The writer never reads, so that is found out when what the verdict rests on has been published.
 */
export interface DeferredVerdict {
  readonly kind: 'deferred'
  /** Asked once. A rejection becomes the append's. */
  answer(): Promise<FinalVerdict>
}
