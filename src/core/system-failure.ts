import {
  DiskFullError,
  InvalidArgumentError,
  isDiskFull,
  ReadFailedError,
  ReadOnlyStoreError,
  systemErrorCode,
  TailraceError,
} from './errors.ts'

/** What was to be done with a directory. */
export type Attempt = 'opened' | 'read' | 'scavenged' | 'copied to' | 'written to'

const NO_FILE = 'what stands there is no file of a store; put it elsewhere'

/** What the caller can do about a path that will not do. */
const ADVICE: ReadonlyMap<string, string> = new Map([
  ['ENOTDIR', 'it is no directory, or lies in a file'],
  ['ENOENT', 'it is not there and cannot be made, or a link leads nowhere; name another one'],
  ['ENAMETOOLONG', 'name a shorter path'],
  ['ELOOP', 'links are not followed for files, nor round in a circle; put there what they should lead to'],
  ['EISDIR', NO_FILE],
  ['ESPIPE', NO_FILE],
  ['ENXIO', NO_FILE],
])

/** What an error of the system means to someone who named a directory for something. */
export function systemFailure(error: unknown, directory: string, attempt: Attempt): unknown {
  if (error instanceof TailraceError) return error
  const failure = `${directory} cannot be ${attempt}: ${String(error)}`
  if (isDiskFull(error)) return new DiskFullError(`the disk is full, ${failure}`, error)
  const code = systemErrorCode(error)
  switch (code) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      return refusal(error, directory, attempt, failure)
    case 'EIO':
    case 'EMFILE':
    case 'ENFILE':
      return new ReadFailedError(failure, error)
    default: {
      const advice = ADVICE.get(code ?? '')
      return advice === undefined ? error : new InvalidArgumentError(`${failure}; ${advice}`, { cause: error })
    }
  }
}

function refusal(error: unknown, directory: string, attempt: Attempt, failure: string): TailraceError {
  switch (attempt) {
    case 'opened':
      return new ReadOnlyStoreError(`${directory} cannot be written: ${String(error)}; open it with { readOnly: true }`, {
        cause: error,
      })
    case 'read':
      return new ReadFailedError(failure, error)
    case 'scavenged':
      return new ReadOnlyStoreError(failure, { cause: error })
    default:
      // The store is as good as ever: it is the other directory that will not do.
      return new InvalidArgumentError(`${failure}; name a directory that can be written`, { cause: error })
  }
}
