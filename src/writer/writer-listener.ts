import type { TailraceError } from '../core/errors.ts'
import type { LogPosition } from '../core/positions.ts'
import type { AppendMessage } from './messages.ts'

/** Where the writer tells what becomes of appends that it can't or couldn't write. */
export interface WriterListener {
  /** The append will not be written: `verdict` and `settlesAt` are set, or it was called back. */
  decided(append: AppendMessage): void
  /** Nothing that was taken and stands or rests behind `position` will ever appear; the writer goes on. */
  undone(position: LogPosition, error: TailraceError): void
  /** Everything that was taken is proven, and nothing has come for some milliseconds. Not told with durability 'memory'. */
  rested(): void
  /** The writer is finished. What stands behind `position` may or may not appear; what still waits never will. */
  failed(position: LogPosition, cause: unknown): void
}
