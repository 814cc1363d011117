import type { Lookup } from './lookup.ts'
import type { AppendMessage } from './messages.ts'
import type { StreamHead } from './stream-head.ts'
import type { Verdict } from './verdict.ts'

/**
 * What the writer must know of streams, asked by the writer and answered by the room that keeps the index. The index is fed
 * from behind the chaser while the writer is ahead of it, so the answer joins what is committed with what was noted since.
 */
export interface AppendCheck {
  /**
   * Before the queue; never reads. The head stays until it is released.
   * @throws InvalidArgumentError for a name that is none.
   */
  hold(stream: string): StreamHead
  /**
   * Before the queue; may read. Makes everything known that `decide` needs: heads, ids that were supplied lately, whether
   * anything committed by now stands against the condition.
   * @returns null when it is known already. Fails with ReadFailedError, CorruptLogError.
   */
  prefetch(append: AppendMessage): Lookup | null
  /** In the writer, in order; never reads. @returns null when the append is to be written. */
  decide(append: AppendMessage): Verdict | null
  /** In the writer: this append was just written behind the heads of its streams. Moves them. */
  note(append: AppendMessage): void
  /** It was not, after all: called for the newest first. */
  forget(append: AppendMessage): void
  /** The append has settled; what it held may go. */
  release(append: AppendMessage): void
}
