import { readFile, stat } from 'node:fs/promises'
import { joinPath } from '#engine/disk/disk.ts'

const LOCK_FILE_NAME = 'lock'

/**
 * The process that has the store open for writing, or null. Nothing is locked to find out: a look must not keep a writer
 * out. Linux tells who holds a lock; elsewhere the process named in the lock file is taken for the holder while it lives.
 */
export async function holderOf(directory: string): Promise<number | null> {
  const path = joinPath(directory, LOCK_FILE_NAME)
  try {
    const { ino } = await stat(path)
    const locks = await readFile('/proc/locks', 'utf8').catch(() => null)
    if (locks !== null) return lockOwner(locks, ino)
    const pid = Number.parseInt(await readFile(path, 'latin1'), 10)
    return Number.isInteger(pid) && isAlive(pid) ? pid : null
  } catch {
    // No lock file, or one that we may not read: then nobody is known to hold it.
    return null
  }
}

/** A line is `1: FLOCK  ADVISORY  WRITE <pid> <major>:<minor>:<inode> <start> <end>`. */
function lockOwner(locks: string, inode: number): number | null {
  for (const line of locks.split('\n')) {
    const match = /FLOCK\s+ADVISORY\s+WRITE\s+(\d+)\s+\S+:(\d+)\s/.exec(line)
    if (match !== null && Number(match[2]) === inode) return Number(match[1])
  }
  return null
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
