import fs from 'node:fs'
import { createRequire } from 'node:module'
import { isDiskFull, LockUnavailableError, StoreLockedError, systemErrorCode } from '../core/errors.ts'
import { DirectWrite } from './direct-write.ts'
import { type Disk, type DiskFile, type DiskLock, joinPath, type OpenMode, readEachPiece } from './disk.ts'
import { SMALL_READ_SIZE } from './reading-thread.ts'
import { SmallReads } from './small-reads.ts'

const { O_CREAT, O_DIRECT, O_DIRECTORY, O_DSYNC, O_EXCL, O_NOFOLLOW, O_RDONLY, O_RDWR } = fs.constants
const FILE_MODE = 0o600
const DIRECTORY_MODE = 0o700

type Flock = (descriptor: number, flags: 'exnb') => void

/** Loaded with the engine, so that no open waits for it; the reason when the optional package is not there. */
const FLOCK = loadFlock()

function loadFlock(): Flock | { readonly cause: unknown } {
  try {
    return (createRequire(import.meta.url)('fs-ext') as { flockSync: Flock }).flockSync
  } catch (cause) {
    return { cause }
  }
}

type Done = (error: NodeJS.ErrnoException | null) => void

function call(start: (done: Done) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    start(error => {
      if (error) reject(error)
      else resolve()
    })
  })
}

function open(path: string, flags: number): Promise<number> {
  return new Promise((resolve, reject) => {
    fs.open(path, flags | O_NOFOLLOW, FILE_MODE, (error, descriptor) => {
      if (error) reject(error)
      else resolve(descriptor)
    })
  })
}

/** Of all stores in the process. */
const smallReads = new SmallReads()

/** Real files. Every call goes through libuv's thread pool: nothing here waits for the disk on the caller's thread. */
export class NodeDisk implements Disk {
  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (mode === 'read') return NodeFile.opened(path, await open(path, O_RDONLY), null)
    const descriptor = await open(path, mode === 'create' ? O_RDWR | O_CREAT | O_EXCL : O_RDWR)
    try {
      return NodeFile.opened(path, descriptor, await open(path, O_RDWR | O_DSYNC))
    } catch (error) {
      await call(done => fs.close(descriptor, done))
      throw error
    }
  }

  list(directory: string): Promise<string[]> {
    return new Promise((resolve, reject) => {
      fs.readdir(directory, (error, names) => {
        if (error) reject(error)
        else resolve(names.sort())
      })
    })
  }

  async makeDirectory(directory: string): Promise<void> {
    try {
      await call(done => fs.mkdir(directory, { mode: DIRECTORY_MODE }, done))
    } catch (error) {
      const code = systemErrorCode(error)
      if (code === 'EEXIST') return
      if (code !== 'ENOENT') throw error
      await this.makeDirectory(joinPath(directory, '..'))
      await this.makeDirectory(directory)
      return
    }
    await this.syncDirectory(joinPath(directory, '..'))
  }

  rename(from: string, to: string): Promise<void> {
    return call(done => fs.rename(from, to, done))
  }

  remove(path: string): Promise<void> {
    return call(done => fs.unlink(path, done))
  }

  async syncDirectory(directory: string): Promise<void> {
    const descriptor = await open(directory, O_RDONLY | O_DIRECTORY)
    try {
      await call(done => fs.fsync(descriptor, done))
    } finally {
      await call(done => fs.close(descriptor, done))
    }
  }

  async lock(path: string): Promise<DiskLock> {
    if (typeof FLOCK !== 'function') {
      throw new LockUnavailableError(
        'cannot lock the directory: the optional package fs-ext is not built; run `npm install-scripts approve fs-ext && npm rebuild fs-ext`, or open with { readOnly: true }',
        FLOCK,
      )
    }
    const descriptor = await open(path, O_RDWR | O_CREAT)
    try {
      FLOCK(descriptor, 'exnb')
    } catch (error) {
      const code = systemErrorCode(error)
      const content = Buffer.alloc(32)
      await new NodeFile(path, descriptor, null).read(content, 0)
      await call(done => fs.close(descriptor, done))
      const pid = Number.parseInt(content.toString('latin1'), 10)
      if (code !== 'EAGAIN' && code !== 'EWOULDBLOCK') throw error
      throw new StoreLockedError(path.slice(0, path.lastIndexOf('/')), Number.isInteger(pid) ? pid : null)
    }
    try {
      await call(done => fs.ftruncate(descriptor, 0, done))
      await writeAll(descriptor, Buffer.from(`${process.pid}\n`), 0)
    } catch (error) {
      // An open that fails must not keep the next one out.
      await call(done => fs.close(descriptor, done))
      throw error
    }
    // The lock belongs to the open file description: closing it, or the death of the process, frees it.
    return { release: () => call(done => fs.close(descriptor, done)) }
  }
}

class NodeFile implements DiskFile {
  readonly path: string
  readonly #descriptor: number
  /**
   * The same file opened O_DSYNC, for writes that are durable when they return; null for a file open for reading. The kernel
   * reports a writeback error once to each descriptor, so both stay open from the first write to the last sync.
   */
  readonly #durableDescriptor: number | null

  constructor(path: string, descriptor: number, durableDescriptor: number | null) {
    this.path = path
    this.#descriptor = descriptor
    this.#durableDescriptor = durableDescriptor
  }

  /** For one who will close it. */
  static opened(path: string, descriptor: number, durableDescriptor: number | null): NodeFile {
    smallReads.opened()
    return new NodeFile(path, descriptor, durableDescriptor)
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return writeAll(this.#descriptor, bytes, offset)
  }

  async writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    if (this.#durableDescriptor === null) throw new Error(`${this.path} is open for reading`)
    const progress: WriteProgress = { written: 0 }
    try {
      await writeAll(this.#durableDescriptor, bytes, offset, progress)
    } catch (error) {
      // A full disk shows itself in the write, which then took nothing more, or in the sync behind it. Only a write that was
      // taken has made the file longer.
      if (isDiskFull(error) && (await this.size()) > offset + progress.written) {
        throw Object.assign(new Error(`EIO: the sync of a write failed: ${String(error)}`, { cause: error }), { code: 'EIO' })
      }
      throw error
    }
  }

  async rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    const direct = await this.#openDirect()
    if (direct !== null) {
      try {
        const way = await DirectWrite.prepare(direct, this.#descriptor)
        if (way !== null) {
          const size = await this.size()
          await way.write(bytes, offset)
          // The last block may have made the file longer.
          if ((await this.size()) > size) await this.truncate(size)
          return
        }
      } finally {
        await call(done => fs.close(direct, done))
      }
    }
    await this.write(bytes, offset)
    await this.datasync()
  }

  /** Null where the system or the file system knows of no such thing. */
  async #openDirect(): Promise<number | null> {
    if (O_DIRECT === undefined) return null
    try {
      return await open(this.path, O_RDWR | O_DIRECT | O_DSYNC)
    } catch (error) {
      if (systemErrorCode(error) === 'EINVAL') return null
      throw error
    }
  }

  datasync(): Promise<void> {
    return call(done => fs.fdatasync(this.#descriptor, done))
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    if (target.length <= SMALL_READ_SIZE && (await smallReads.read(this.#descriptor, target, [offset], [target.length]))) {
      return target.length
    }
    return this.#readInPool(target, offset)
  }

  async readPieces(target: Uint8Array, offsets: readonly number[], sizes: readonly number[]): Promise<void> {
    if (target.length <= SMALL_READ_SIZE && (await smallReads.read(this.#descriptor, target, offsets, sizes))) return
    await readEachPiece({ read: (piece, offset) => this.#readInPool(piece, offset) }, target, offsets, sizes)
  }

  async #readInPool(target: Uint8Array, offset: number): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      const count = await new Promise<number>((resolve, reject) => {
        fs.read(this.#descriptor, target, filled, target.length - filled, offset + filled, (error, bytesRead) => {
          if (error) reject(error)
          else resolve(bytesRead)
        })
      })
      if (count === 0) break
      filled += count
    }
    return filled
  }

  size(): Promise<number> {
    return new Promise((resolve, reject) => {
      fs.fstat(this.#descriptor, (error, stats) => {
        if (error) reject(error)
        else resolve(stats.size)
      })
    })
  }

  truncate(size: number): Promise<void> {
    return call(done => fs.ftruncate(this.#descriptor, size, done))
  }

  async close(): Promise<void> {
    smallReads.closed()
    await call(done => fs.close(this.#descriptor, done))
    if (this.#durableDescriptor !== null) {
      const descriptor = this.#durableDescriptor
      await call(done => fs.close(descriptor, done))
    }
  }
}

/**
 * Writes until nothing is left. libuv hides the error behind a short write, it comes with the next call; a second write of
 * nothing is an error of its own.
 */
function writeAll(
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
interface WriteProgress {
  written: number
}
