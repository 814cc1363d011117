/** Calls to which it is an answer that something is not there. Any other error of the system is thrown as it is. */
import { systemErrorCode } from '../core/errors.ts'
import type { Disk, DiskFile } from './disk.ts'

/** @returns null when there is no such file. */
export function openIfThere(disk: Disk, path: string, mode: 'read' | 'write'): Promise<DiskFile | null> {
  return ifThere(disk.open(path, mode), null)
}

/** To read and write; makes the file if there is none. */
export async function openOrCreate(disk: Disk, path: string): Promise<DiskFile> {
  return (await openIfThere(disk, path, 'write')) ?? disk.open(path, 'create')
}

/** @returns whether it was there. */
export function removeIfThere(disk: Disk, path: string): Promise<boolean> {
  return ifThere(
    disk.remove(path).then(() => true),
    false,
  )
}

/** Names in a directory, sorted; none when there is no such directory. */
export function listIfThere(disk: Disk, directory: string): Promise<string[]> {
  return ifThere(disk.list(directory), [])
}

async function ifThere<Found, Otherwise>(looking: Promise<Found>, otherwise: Otherwise): Promise<Found | Otherwise> {
  try {
    return await looking
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return otherwise
    throw error
  }
}
