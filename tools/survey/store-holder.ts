import { readdir, readFile, stat } from 'node:fs/promises'
import { systemErrorCode } from '#engine/core/errors.ts'
import { joinPath } from '#engine/disk/disk.ts'

const LOCK_FILE_NAME = 'lock'

/** What tells a file from all others. */
interface FileIdentity {
  readonly dev: number
  readonly ino: number
}

/**
 * The process that has the store open for writing, or null. Nothing is locked to find out: a look must not keep a writer
 * out. Linux tells who holds a lock; elsewhere the process named in the lock file is taken for the holder while it lives.
 */
export async function holderOf(directory: string): Promise<number | null> {
  const path = joinPath(directory, LOCK_FILE_NAME)
  try {
    const file = await stat(path)
    // A pipe would be waited for.
    if (!file.isFile()) return null
    const named = Number.parseInt(await readFile(path, 'latin1'), 10)
    const locks = await readFile('/proc/locks', 'utf8').catch(() => null)
    if (locks !== null) return await holderAmong(lockOwners(locks, file.ino), named, file)
    return Number.isInteger(named) && isAlive(named) ? named : null
  } catch {
    // No lock file, or one that we may not read: then nobody is known to hold it.
    return null
  }
}

/**
 * Whose lock it is shows in who has the file open: another file system can have a file with the same inode. And the owner of a lock
 * may be gone, or hidden from a container: a store in a worker thread is locked by a child, for the process that is named in the file.
 */
async function holderAmong(owners: readonly number[], named: number, file: FileIdentity): Promise<number | null> {
  let likely: number | null = null
  for (const pid of [...owners, named]) {
    const isOpen = await hasOpen(pid, file)
    if (isOpen) return pid
    // Of a process of another user nobody tells: what can be known is that a lock is there.
    if (isOpen === null && owners.length > 0) likely ??= pid
  }
  return likely
}

/** A line is `1: FLOCK  ADVISORY  WRITE <pid> <major>:<minor>:<inode> <start> <end>`. */
function lockOwners(locks: string, inode: number): number[] {
  return [...locks.matchAll(/FLOCK\s+ADVISORY\s+WRITE\s+(\d+)\s+\S+:(\d+)\s/g)]
    .filter(match => Number(match[2]) === inode)
    .map(match => Number(match[1]))
}

/** Whether a process has a file open; null when we may not look. */
async function hasOpen(pid: number, { dev, ino }: FileIdentity): Promise<boolean | null> {
  const descriptors = `/proc/${pid}/fd`
  try {
    for (const name of await readdir(descriptors)) {
      const open = await stat(joinPath(descriptors, name)).catch(() => null)
      if (open?.dev === dev && open.ino === ino) return true
    }
    return false
  } catch (error) {
    return systemErrorCode(error) === 'ENOENT' ? false : null
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
