import { DiskFullError, isDiskFull, type TailraceError, WriterFailedError } from '../core/errors.ts'

/** What an append is told when there is no room for it in the active chunk, and `cause` keeps the next one from being made. */
export function nextChunkRefusal(cause: unknown): TailraceError {
  return isDiskFull(cause)
    ? new DiskFullError(`the disk is full, the next chunk cannot be made: ${String(cause)}`, cause)
    : new WriterFailedError(`the next chunk cannot be made: ${String(cause)}`, { retryable: true, cause })
}
