import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

const READ_BYTES = 4 * 2 ** 20

/**
 * Reads all files below a directory once, so that they are in the cache of the system: otherwise those that were written last would
 * be read from there, and the others from the disk.
 */
export async function bringIntoCache(directory: string): Promise<void> {
  const buffer = Buffer.allocUnsafe(READ_BYTES)
  for (const entry of await readdir(directory, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const file = await open(join(entry.parentPath, entry.name))
    try {
      while ((await file.read(buffer, 0, READ_BYTES)).bytesRead > 0);
    } finally {
      await file.close()
    }
  }
}
