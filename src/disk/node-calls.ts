import fs from 'node:fs'
import type { FileEnds } from './disk.ts'

const { O_NOFOLLOW } = fs.constants
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

/** @param flags of which O_NOFOLLOW is always one. @returns the descriptor */
export function open(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags | O_NOFOLLOW, FILE_MODE, (error, descriptor) => {
      if (error) reject(error)
      else resolve(descriptor)
    })
  })
}

type Read = (error: NodeJS.ErrnoException | null, count: number) => void

/** @returns fewer bytes at the end of the file. */
export function readInPool(descriptor: number, target: Uint8Array, offset: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fill(descriptor, target, offset, (error, count) => {
      if (error) reject(error)
      else resolve(count)
    })
  })
}

/** @param done hears of fewer bytes at the end of the file. */
function fill(descriptor: number, target: Uint8Array, offset: number, done: Read): void {
  let filled = 0
  const next = (error: NodeJS.ErrnoException | null, count: number): void => {
    filled += count
    if (error || count === 0 || filled === target.length) done(error, filled)
    else fs.read(descriptor, target, filled, target.length - filled, offset + filled, next)
  }
  fs.read(descriptor, target, 0, target.length, offset, next)
}

/** See `DiskFile.readEnds`. One promise for three calls: an open asks this of every chunk, before V8 has compiled anything. */
export function readEndsInPool(descriptor: number, headSize: number, tailSizeOf: (size: number) => number): Promise<FileEnds> {
  return new Promise((resolve, reject) => {
    fs.fstat(descriptor, (error, stats) => {
      if (error) return reject(error)
      const { size } = stats
      const head = Buffer.alloc(Math.min(headSize, size))
      const tail = Buffer.alloc(Math.min(tailSizeOf(size), size))
      fill(descriptor, head, 0, error => {
        if (error) return reject(error)
        fill(descriptor, tail, size - tail.length, error => {
          if (error) reject(error)
          else resolve({ size, head, tail })
        })
      })
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
