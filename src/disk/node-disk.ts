import fs from 'node:fs'
import { basename, dirname } from 'node:path'
import { StoreLockedError, systemErrorCode } from '../core/errors.ts'
import { type Disk, type DiskFile, type DiskLock, joinPath, type OpenMode } from './disk.ts'
import { DURABLE_FLAGS } from './durable-write.ts'
import { checkFlock, flock } from './flock.ts'
import { call, named, READ_FLAGS, readInPool, writeAll } from './node-calls.ts'
import { NodeFile } from './node-file.ts'
import { open, withDescriptor } from './node-open.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_RDONLY, O_RDWR } = fs.constants
const DIRECTORY_MODE = 0o700
/** In the file of a lock: it is written over, and none is longer. */
const PID_WIDTH = 10

/** Real files. Every call goes through libuv's thread pool: nothing here waits for the disk on the caller's thread. */
export class NodeDisk implements Disk {
  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (mode === 'read') return NodeFile.opened(path, await open(path, READ_FLAGS), null)
    const descriptor = await open(path, mode === 'create' ? O_RDWR | O_CREAT | O_EXCL : O_RDWR)
    try {
      return NodeFile.opened(path, descriptor, await open(path, DURABLE_FLAGS))
    } catch (error) {
      await call(done => fs.close(descriptor, done))
      // Nobody knows of it: who asked for it got nothing.
      if (mode === 'create') await this.remove(path).catch(() => {})
      throw error
    }
  }

  readPieces(
    files: readonly DiskFile[],
    target: Uint8Array,
    offsets: readonly number[],
    sizes: readonly number[],
  ): Promise<void> {
    return NodeFile.readPieces(files as readonly NodeFile[], target, offsets, sizes)
  }

  list(directory: string): Promise<string[]> {
    return withDescriptor(() => namesIn(directory))
  }

  async makeDirectory(directory: string): Promise<void> {
    const parent = dirname(directory)
    const make = () => call(done => fs.mkdir(directory, { mode: DIRECTORY_MODE }, done))
    try {
      // Not `directory/..`: that path leads nowhere as long as the directory is not there.
      await make().catch(error => {
        if (systemErrorCode(error) !== 'ENOENT' || parent === directory) throw error
        return this.makeDirectory(parent).then(make)
      })
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') return
      throw error
    }
    await this.syncDirectory(parent)
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

  realPath(path: string): Promise<string> {
    return new Promise(resolve => {
      fs.realpath.native(path, (error, real) => {
        const parent = dirname(path)
        if (!error) resolve(real)
        else resolve(parent === path ? path : this.realPath(parent).then(above => joinPath(above, basename(path))))
      })
    })
  }

  async lock(path: string): Promise<DiskLock> {
    checkFlock()
    const descriptor = await open(path, O_RDWR | O_CREAT)
    try {
      if (!(await flock(descriptor))) throw await lockedBy(descriptor, path)
      await writeAll(descriptor, Buffer.from(`${String(process.pid).padEnd(PID_WIDTH)}\n`), 0).catch((error: unknown) => {
        throw named(error, path)
      })
    } catch (error) {
      // An open that fails must not keep the next one out.
      await call(done => fs.close(descriptor, done))
      throw error
    }
    // The lock belongs to the open file description: closing it, or the death of the process, frees it.
    return { release: () => call(done => fs.close(descriptor, done)) }
  }
}

/** Sorted. */
function namesIn(directory: string): Promise<string[]> {
  return new Promise((resolve, reject) => {
    fs.readdir(directory, (error, names) => {
      if (error) reject(error)
      else resolve(names.sort())
    })
  })
}

async function lockedBy(descriptor: number, path: string): Promise<StoreLockedError> {
  const content = Buffer.alloc(32)
  await readInPool(descriptor, content, 0)
  const pid = Number.parseInt(content.toString('latin1'), 10)
  return new StoreLockedError(path.slice(0, path.lastIndexOf('/')), Number.isInteger(pid) ? pid : null)
}
