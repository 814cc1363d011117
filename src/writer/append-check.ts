import type { AppendMessage } from './messages.ts'
import type { StreamHead } from './stream-head.ts'
import type { Verdict } from './verdict.ts'

/**
 * What the writer must know of streams, asked by the writer and answered by the room that keeps the index. The index is fed
 * from behind the chaser while the writer is ahead of it, so the answer joins what is committed with what was noted since.
 */
export interface AppendCheck {
  /**
   * Before the queue; may read. Makes the head known and keeps it until `release`, so that `decide` need not read.
   * @throws InvalidArgumentError for a name that is none.
   */
  prefetch(stream: string): StreamHead
  /** In the writer, in order; never reads. @returns null when the append is to be written. */
  decide(append: AppendMessage): Verdict | null
  /** In the writer: this append was just written behind `append.head.revision`. Moves the head. */
  note(append: AppendMessage): void
  /** It was not, after all: called for the newest first. */
  forget(append: AppendMessage): void
  /** The append has settled; its head may go. */
  release(head: StreamHead): void
}
