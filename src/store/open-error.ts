import {
  DiskFullError,
  InvalidArgumentError,
  isDiskFull,
  ReadFailedError,
  ReadOnlyStoreError,
  systemErrorCode,
  TailraceError,
} from '../core/errors.ts'

/** What an error of the system means to someone who opens a store for writing, or only for reading. */
export function openError(error: unknown, directory: string, mode: 'write' | 'read'): unknown {
  if (error instanceof TailraceError) return error
  if (isDiskFull(error)) return new DiskFullError(`the disk is full, ${directory} cannot be opened: ${String(error)}`, error)
  switch (systemErrorCode(error)) {
    case 'EACCES':
    case 'EPERM':
    case 'EROFS':
      if (mode === 'read') return new ReadFailedError(`${directory} cannot be read: ${String(error)}`, error)
      return new ReadOnlyStoreError(`${directory} cannot be written: ${String(error)}; open it with { readOnly: true }`, {
        cause: error,
      })
    case 'ENOTDIR':
      return new InvalidArgumentError(`${directory} is no directory, or lies in a file: ${String(error)}`)
    case 'EIO':
    case 'EMFILE':
    case 'ENFILE':
      return new ReadFailedError(`${directory} cannot be opened: ${String(error)}`, error)
    default:
      return error
  }
}
