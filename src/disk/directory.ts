import { dirname, isAbsolute, relative } from 'node:path'
import { InvalidArgumentError, systemErrorCode } from '../core/errors.ts'
import type { Disk } from './disk.ts'

/**
 * The directory that a caller names, as an absolute path. Files in it are made and opened as long as it is in use: they must stay where
 * it was when it was named, wherever the process goes meanwhile. `..` is left to the system: behind a link, it leads elsewhere than the
 * text says.
 * @throws InvalidArgumentError
 */
export function absoluteDirectory(directory: unknown): string {
  if (typeof directory !== 'string' || directory === '' || directory.includes('\0')) {
    throw new InvalidArgumentError('directory must be a path')
  }
  return isAbsolute(directory) ? directory : `${workingDirectory(directory)}/${directory}`
}

function workingDirectory(directory: string): string {
  try {
    return process.cwd()
  } catch (cause) {
    throw new InvalidArgumentError(`${directory} cannot be found from here: ${String(cause)}; name an absolute path`, { cause })
  }
}

/** Whether a path, which need not be there, is that of the directory, or leads into it. */
export async function leadsInto(disk: Disk, directory: string, path: string): Promise<boolean> {
  const way = relative(await disk.realPath(directory), await disk.realPath(path))
  return way !== '..' && !way.startsWith('../')
}

/**
 * Syncs the name of a directory that was there: who made it may have been killed before that. Who may not open its parent takes it as
 * it is.
 * @throws the system's error
 */
export async function syncName(disk: Disk, directory: string): Promise<void> {
  try {
    await disk.syncDirectory(dirname(directory))
  } catch (error) {
    const code = systemErrorCode(error)
    if (code !== 'EACCES' && code !== 'EPERM') throw error
  }
}
