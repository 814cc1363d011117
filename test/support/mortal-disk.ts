import { type Disk, type DiskFile, type DiskLock, type OpenMode, readEachPiece } from '../../src/disk/disk.ts'

/**
 * A disk as one process sees it, and which that process loses when it is killed: the system calls that it had begun end, but
 * nobody hears of them; none is begun any more; then its locks are free. The disk below, page cache and all, lives on.
 */
export class MortalDisk implements Disk {
  readonly readPieces = readEachPiece
  readonly #disk: Disk
  readonly #locks: DiskLock[] = []
  readonly #inFlight = new Set<Promise<unknown>>()
  #isDead = false

  constructor(disk: Disk) {
    this.#disk = disk
  }

  /** Kills the process that works with this disk. */
  async kill(): Promise<void> {
    this.#isDead = true
    await Promise.allSettled(this.#inFlight)
    for (const lock of this.#locks) await lock.release()
  }

  /** A system call: begun if the process lives, heard of if it still does when the call ends. */
  async call<T>(begin: () => Promise<T>): Promise<T> {
    if (this.#isDead) return neverHeard()
    const call = begin()
    this.#inFlight.add(call)
    try {
      const result = await call
      return this.#isDead ? neverHeard() : result
    } catch (error) {
      if (this.#isDead) return neverHeard()
      throw error
    } finally {
      this.#inFlight.delete(call)
    }
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    return this.call(async () => new MortalFile(this, await this.#disk.open(path, mode)))
  }

  list(directory: string): Promise<string[]> {
    return this.call(() => this.#disk.list(directory))
  }

  makeDirectory(directory: string): Promise<void> {
    return this.call(() => this.#disk.makeDirectory(directory))
  }

  rename(from: string, to: string): Promise<void> {
    return this.call(() => this.#disk.rename(from, to))
  }

  remove(path: string): Promise<void> {
    return this.call(() => this.#disk.remove(path))
  }

  syncDirectory(directory: string): Promise<void> {
    return this.call(() => this.#disk.syncDirectory(directory))
  }

  realPath(path: string): Promise<string> {
    return this.call(() => this.#disk.realPath(path))
  }

  lock(path: string): Promise<DiskLock> {
    return this.call(async () => {
      const lock = await this.#disk.lock(path)
      this.#locks.push(lock)
      return { release: () => this.call(() => lock.release()) }
    })
  }
}

class MortalFile implements DiskFile {
  readonly path: string
  readonly #disk: MortalDisk
  readonly #file: DiskFile

  constructor(disk: MortalDisk, file: DiskFile) {
    this.path = file.path
    this.#disk = disk
    this.#file = file
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#disk.call(() => this.#file.write(bytes, offset))
  }

  writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#disk.call(() => this.#file.writeDurably(bytes, offset))
  }

  rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#disk.call(() => this.#file.rewriteDurably(bytes, offset))
  }

  datasync(): Promise<void> {
    return this.#disk.call(() => this.#file.datasync())
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#disk.call(() => this.#file.read(target, offset))
  }

  readOnce(target: Uint8Array, offset: number): Promise<number> {
    return this.#disk.call(() => this.#file.readOnce(target, offset))
  }

  size(): Promise<number> {
    return this.#disk.call(() => this.#file.size())
  }

  truncate(size: number): Promise<void> {
    return this.#disk.call(() => this.#file.truncate(size))
  }

  rest(path: string): void {
    this.#file.rest(path)
  }

  keepOpen(): Promise<void> {
    return this.#file.keepOpen()
  }

  close(): Promise<void> {
    return this.#disk.call(() => this.#file.close())
  }
}

function neverHeard<T>(): Promise<T> {
  return new Promise(() => {})
}
