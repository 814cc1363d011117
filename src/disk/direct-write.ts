import fs from 'node:fs'
import { MIB } from '../core/limits.ts'
import { readInPool, readOnce } from './node-calls.ts'

/** Multiple of every sector that disks have. */
const BLOCK_SIZE = 4096
/** So are all large buffers placed, whatever page they begin in. */
const PLACEMENT = 16
const PIECE_SIZE = MIB

/**
 * Writes bytes into a file past the kernel's cache (O_DIRECT), durably, and drops what the cache has of them. Whole blocks are
 * written: what stands around the bytes in theirs is written again as it is.
 */
export class DirectWrite {
  readonly #descriptor: number
  /** Reads through the cache. */
  readonly #cached: number
  readonly #buffer: Buffer

  private constructor(descriptor: number, cached: number, buffer: Buffer) {
    this.#descriptor = descriptor
    this.#cached = cached
    this.#buffer = buffer
  }

  /**
   * @param descriptor opened with O_DIRECT, to read and write.
   * @param cached the same file, opened without.
   * @returns null where the file system or its disk can't do it.
   */
  static async prepare(descriptor: number, cached: number): Promise<DirectWrite | null> {
    const memory = Buffer.allocUnsafeSlow(PIECE_SIZE + 2 * BLOCK_SIZE)
    // The disk wants its memory aligned, and no one tells where a buffer is: the kernel refuses all places but the right ones.
    for (let shift = BLOCK_SIZE - PLACEMENT; shift >= 0; shift -= PLACEMENT) {
      const buffer = memory.subarray(shift, shift + PIECE_SIZE + BLOCK_SIZE)
      if (await canRead(descriptor, buffer.subarray(0, BLOCK_SIZE))) return new DirectWrite(descriptor, cached, buffer)
    }
    return null
  }

  /** All of `bytes` must have been read before: with the first blocks, the cache may drop what it has of the next ones. */
  async write(bytes: Uint8Array, offset: number): Promise<void> {
    const start = offset - (offset % BLOCK_SIZE)
    const end = Math.ceil((offset + bytes.length) / BLOCK_SIZE) * BLOCK_SIZE
    const before = await this.#around(start, offset)
    const behind = await this.#around(offset + bytes.length, end)
    for (let at = start; at < end; ) {
      const blocks = this.#buffer.subarray(0, Math.min(PIECE_SIZE, end - at))
      if (at === start) blocks.set(before)
      if (at + blocks.length === end) blocks.set(behind, blocks.length - behind.length)
      const from = Math.max(at, offset)
      blocks.set(bytes.subarray(from - offset, at + blocks.length - offset), from - at)
      await writeWhole(this.#descriptor, blocks, at)
      at += blocks.length
    }
  }

  /** What the file has there; zeros behind its end. */
  async #around(from: number, to: number): Promise<Buffer> {
    const bytes = Buffer.alloc(to - from)
    await readInPool(this.#cached, bytes, from)
    return bytes
  }
}

async function canRead(descriptor: number, target: Buffer): Promise<boolean> {
  try {
    await readOnce(descriptor, target, 0, 0)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EINVAL') return false
    throw error
  }
}

/** A part of a block can't be written: what is short of the whole is an error. */
function writeWhole(descriptor: number, blocks: Buffer, offset: number): Promise<void> {
  return new Promise((resolve, reject) => {
    fs.write(descriptor, blocks, 0, blocks.length, offset, (error, count) => {
      if (error) reject(error)
      else if (count < blocks.length)
        reject(Object.assign(new Error(`EIO: ${count} of ${blocks.length} bytes taken, write`), { code: 'EIO' }))
      else resolve()
    })
  })
}
