/**
 * Every error of the engine. Match on `code`: it is stable, messages are not.
 *
 * An error that settles an append also says what became of it:
 * - `outcome: 'rejected'`: it will never appear in the log;
 * - `outcome: 'unknown'`: it may or may not be found after the next open; retry with the same event ids.
 */

import { constants } from 'node:os'
import type { ExpectedRevision, RecordedEvent } from './events.ts'

/** 'rejected': the append will never appear in the log. 'unknown': it may or may not be found after the next open. */
export type Outcome = 'rejected' | 'unknown'

/** What every error of the engine has. */
export abstract class TailraceError extends Error {
  /** The name of the class in capitals, such as 'STREAM_NOT_FOUND'. */
  abstract readonly code: string
  /** What became of the append that this error settles. */
  readonly outcome: Outcome
  /** Whether the same call can succeed later without a change by the caller. */
  readonly retryable: boolean

  constructor(message: string, options: { outcome?: Outcome; retryable?: boolean; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = new.target.name
    this.outcome = options.outcome ?? 'rejected'
    this.retryable = options.retryable ?? false
  }
}

/** An argument or option is not usable; nothing was done. */
export class InvalidArgumentError extends TailraceError {
  readonly code = 'INVALID_ARGUMENT'
}

/** The stream's head is not where the appender believed it. */
export class WrongExpectedRevisionError extends TailraceError {
  readonly code = 'WRONG_EXPECTED_REVISION'
  readonly stream: string
  readonly expected: ExpectedRevision
  /** The stream's last revision, also when it is deleted; null when it was never written. */
  readonly actual: number | null

  /** @param hasIds the stream has ids of the append, but this is no retry. */
  constructor(stream: string, expected: ExpectedRevision, actual: number | null, hasIds = false) {
    super(
      hasIds
        ? `stream '${stream}' has ids of this append already, but the append is no retry: not all of its ids are known, in this order`
        : `stream '${stream}' is at ${actual === null ? 'no event' : `revision ${actual}`}, expected ${expected}`,
    )
    this.stream = stream
    this.expected = expected
    this.actual = actual
  }
}

/** The stream was never written, or has no event that may be read any more; or it lacks the one that was asked for. */
export class StreamNotFoundError extends TailraceError {
  readonly code = 'STREAM_NOT_FOUND'
  readonly stream: string

  /** @param revision when it is only this event that isn't there. */
  constructor(stream: string, revision?: number) {
    super(revision === undefined ? `stream '${stream}' does not exist` : `stream '${stream}' has no event ${revision}`)
    this.stream = stream
  }
}

/** The stream was deleted: for good, or until something is appended that does not ask for it to exist. */
export class StreamDeletedError extends TailraceError {
  readonly code = 'STREAM_DELETED'
  readonly stream: string

  constructor(stream: string) {
    super(`stream '${stream}' is deleted`)
    this.stream = stream
  }
}

/** Events were committed that the append's condition excludes. Read them, decide again, append behind them. */
export class ConditionFailedError extends TailraceError {
  readonly code = 'CONDITION_FAILED'
  /** Up to 100 of them, in log order; none when all were scavenged since. */
  readonly conflicts: readonly RecordedEvent[]
  /** There are others. */
  readonly more: boolean

  constructor(conflicts: readonly RecordedEvent[], more: boolean) {
    const { length } = conflicts
    super(
      length === 0
        ? 'events behind the position of the condition were scavenged, and may be such as it excludes'
        : `${more ? 'more than ' : ''}${length} ${length === 1 ? 'event was' : 'events were'} committed that the condition excludes`,
    )
    this.conflicts = conflicts
    this.more = more
  }
}

/** The transaction has ended: open another one. */
export class TransactionClosedError extends TailraceError {
  readonly code = 'TRANSACTION_CLOSED'
  readonly reason: 'rolled_back' | 'expired' | 'committed'

  constructor(reason: 'rolled_back' | 'expired' | 'committed') {
    super(`the transaction is over: ${reason.replace('_', ' ')}`)
    this.reason = reason
  }
}

/** Another process, or another handle in this one, has the directory open for writing. */
export class StoreLockedError extends TailraceError {
  readonly code = 'STORE_LOCKED'
  /** The process that holds the store; null when it could not be read. */
  readonly pid: number | null

  constructor(directory: string, pid: number | null) {
    super(`${directory} is open in process ${pid ?? 'unknown'}; close it there, or open with { readOnly: true }`, {
      retryable: true,
    })
    this.pid = pid
  }
}

/** This installation can't lock directories, so it can't open one for writing. */
export class LockUnavailableError extends TailraceError {
  readonly code = 'LOCK_UNAVAILABLE'
}

/** The store is closed, or is being closed: it takes no more calls. */
export class StoreClosedError extends TailraceError {
  readonly code = 'STORE_CLOSED'

  constructor() {
    super('the store is closed')
  }
}

/** The store was opened read-only, or its directory can't be written. */
export class ReadOnlyStoreError extends TailraceError {
  readonly code = 'READ_ONLY_STORE'
}

/** More is pending than `maxPendingBytes` or `maxPendingAppends` allow. Wait for acks, then retry. */
export class QueueFullError extends TailraceError {
  readonly code = 'QUEUE_FULL'

  constructor(message: string) {
    super(message, { retryable: true })
  }
}

/** The append is larger than 16 MiB or than a chunk can hold. */
export class RecordTooLargeError extends TailraceError {
  readonly code = 'RECORD_TOO_LARGE'
}

/** The disk or quota is full. The append was undone, or the work ended; it succeeds again once there is room, without a reopen. */
export class DiskFullError extends TailraceError {
  readonly code = 'DISK_FULL'

  constructor(message: string, cause: unknown) {
    super(message, { retryable: true, cause })
  }
}

/**
 * A write or sync failed, and with it the writer, for good: after a failed sync the kernel may have dropped the data and
 * marked it clean (Rebello et al., "Can Applications Recover from fsync Failures?", ATC 2020). Reads go on. Reopen to append.
 */
export class WriterFailedError extends TailraceError {
  readonly code = 'WRITER_FAILED'
}

/**
 * The operating system could not read from a file of the store (EIO, EMFILE, ...), does not let us, or gives back an index file damaged
 * that was just made again; or it failed an open, a scavenge or a backup, which can be tried again.
 */
export class ReadFailedError extends TailraceError {
  readonly code = 'READ_FAILED'

  constructor(message: string, cause: unknown) {
    super(message, { retryable: true, cause })
  }
}

/** Bytes that were acknowledged are damaged or missing. */
export class CorruptLogError extends TailraceError {
  readonly code = 'CORRUPT_LOG'
  /** The file, as opened. */
  readonly file: string
  /** The log position of the damage. */
  readonly position: number
  /** What stands there instead. */
  readonly found: string

  constructor(file: string, position: number, found: string) {
    super(`${file}: position ${position}: ${found}`)
    this.file = file
    this.position = position
    this.found = found
  }
}

/** The file was written by a version, or with a feature, that this version does not know. */
export class UnsupportedFormatError extends TailraceError {
  readonly code = 'UNSUPPORTED_FORMAT'
}

/** A directory of journals is not what its checkpoint says. It can always be removed and written anew. */
export class DamagedJournalError extends TailraceError {
  readonly code = 'DAMAGED_JOURNAL'
  readonly file: string
  /** What is wrong with it. */
  readonly found: string

  constructor(file: string, found: string) {
    super(`${file}: ${found}`)
    this.file = file
    this.found = found
  }
}

/** Another process, or another follower in this one, writes these journals. */
export class JournalsLockedError extends TailraceError {
  readonly code = 'JOURNALS_LOCKED'
  /** The process that writes them; null when it could not be read. */
  readonly pid: number | null

  constructor(directory: string, pid: number | null) {
    super(`process ${pid ?? 'unknown'} is writing the journals in ${directory}`, { retryable: true })
    this.pid = pid
  }
}

/**
 * Makes an error that is an answer and no accident: without a stack, whose capture costs more than the append that is refused,
 * and which would lead into the engine's loop.
 */
export function withoutStack<E extends TailraceError>(make: () => E): E {
  const { stackTraceLimit } = Error
  setStackTraceLimit(0)
  try {
    return make()
  } finally {
    setStackTraceLimit(stackTraceLimit)
  }
}

/** Where the embedder has frozen the intrinsics, it stays as it is, and the error has its stack: an assignment would throw. */
function setStackTraceLimit(limit: number): void {
  Reflect.set(Error, 'stackTraceLimit', limit)
}

/** libuv does not know this one: Node gives it the code 'Unknown system error -122'. */
const QUOTA_ERRNO = -constants.errno.EDQUOT

/** The errno name of a system error, or null. */
export function systemErrorCode(error: unknown): string | null {
  const { code, errno } = (error ?? {}) as { code?: unknown; errno?: unknown }
  if (errno === QUOTA_ERRNO) return 'EDQUOT'
  return typeof code === 'string' ? code : null
}

/** Errors that leave nothing behind but a lack of room. */
export function isDiskFull(error: unknown): boolean {
  const code = systemErrorCode(error)
  return code === 'ENOSPC' || code === 'EDQUOT' || code === 'EFBIG'
}
