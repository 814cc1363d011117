import assert from 'node:assert'
import fs from 'node:fs'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = fs.constants
/** Of a file that is only read. A pipe in its place would be waited for until somebody writes into it; this way its first read fails. */
export const READ_FLAGS = O_RDONLY | O_NONBLOCK
const FILE_MODE = 0o600

type Done = (error: NodeJS.ErrnoException | null) => void

/** A call of the system that answers with nothing, as a promise. */
export function call(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(error => {
      if (error) reject(error)
      else resolve()
    })
  })
}

/** A link is followed to a directory, but to no file. @returns the descriptor */
export function openOnce(path: string, flags: number): Promise<number> {
  const linkFlag = (flags & O_DIRECTORY) === 0 ? O_NOFOLLOW : 0
  return new Promise((resolve, reject) => {
    fs.open(path, flags | linkFlag, FILE_MODE, (error, descriptor) => {
      if (error) reject(error)
      else resolve(descriptor)
    })
  })
}

/** The error of a call on an open file, with the name of that, which the system leaves out. */
export function named(error: unknown, path: string): unknown {
  if (error instanceof Error) error.message += ` '${path}'`
  return error
}

/** @returns fewer bytes at the end of the file. */
export async function readInPool(descriptor: number, target: Uint8Array, offset: number): Promise<number> {
  let filled = 0
  while (filled < target.length) {
    const count = await readOnce(descriptor, target, filled, offset)
    if (count === 0) break
    filled += count
  }
  return filled
}

/** @param offset of the first byte of `target`, of which `filled` are there. @returns how many the system gave. */
export function readOnce(descriptor: number, target: Uint8Array, filled: number, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.read(descriptor, target, filled, target.length - filled, offset + filled, (error, count) => {
      if (error) reject(error)
      else resolve(count)
    })
  })
}

/**
 * Writes until nothing is left. libuv hides the error behind a short write, it comes with the next call; a second write of
 * nothing is an error of its own.
 */
export function writeAll(
  descriptor: number,
  bytes: Uint8Array,
  offset: number,
  progress: WriteProgress = { written: 0 },
): Promise<void> {
  return new Promise((resolve, reject) => {
    // Node takes any other number for none, and writes where the descriptor stands: at the beginning of the file.
    assert(Number.isSafeInteger(offset))
    let empty = false
    const next = (): void => {
      const { written } = progress
      fs.write(descriptor, bytes, written, bytes.length - written, offset + written, (error, count) => {
        if (error) return reject(error)
        progress.written += count
        if (progress.written === bytes.length) return resolve()
        if (count === 0 && empty) return reject(Object.assign(new Error('EIO: the disk takes no bytes, write'), { code: 'EIO' }))
        empty = count === 0
        next()
      })
    }
    next()
  })
}

/** How much of a write the kernel has taken. */
export interface WriteProgress {
  written: number
}
