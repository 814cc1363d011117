import type { TailraceError } from '../core/errors.ts'
import type { LogPosition, Revision } from '../core/positions.ts'

/**
 * What becomes of an append that leaves no record. Nobody may be told something that rests on bytes that could still be lost,
 * so a verdict waits until everything that was written when it was reached has been flushed.
 */
export type Verdict =
  | { readonly kind: 'rejected'; readonly error: TailraceError }
  | {
      readonly kind: 'duplicate'
      readonly firstRevision: Revision
      readonly lastRevision: Revision
      readonly position: LogPosition
    }
  /** A check without events that holds. */
  | { readonly kind: 'checked' }
