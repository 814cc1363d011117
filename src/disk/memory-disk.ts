import assert from 'node:assert'
import { StoreLockedError } from '../core/errors.ts'
import { type Disk, type DiskFile, type DiskLock, type OpenMode, readEachPiece } from './disk.ts'

/** What a disk holds: bytes by path. A path that ends with '/' is a directory with nothing in it. */
export type DiskContent = ReadonlyMap<string, Uint8Array>

/**
 * The promise of `Disk` in memory: for `EventStore.inMemory()`, and for each state that a simulated crash leaves.
 *
 * A name leads to an inode, and an open file holds the inode: it works on after its name was renamed or removed. Nothing ever
 * waits; a file takes at most twice the memory of its content. The roots '.' and '/' always exist.
 */
export class MemoryDisk implements Disk {
  readonly readPieces = readEachPiece
  readonly #files = new Map<string, Inode>()
  readonly #directories = new Set(['.', '/'])
  readonly #locked = new Set<string>()

  /** Takes `content` as it is, without a copy: each file is copied when it is first written to. Its bytes must not change. */
  constructor(content: DiskContent = new Map()) {
    for (const [path, bytes] of content) {
      const directory = path.endsWith('/') ? trimPath(path) : parentOf(path)
      if (!this.#directories.has(directory)) this.#addDirectory(directory)
      if (!path.endsWith('/')) this.#files.set(path, new Inode(bytes))
    }
  }

  /** The content as it is now, without a copy; later writes leave it as it is. */
  snapshot(): Map<string, Uint8Array> {
    const content = new Map<string, Uint8Array>()
    for (const [path, inode] of this.#files) content.set(path, inode.share())
    const paths = [...this.#files.keys(), ...this.#directories]
    for (const directory of this.#directories) {
      if (!isRoot(directory) && !paths.some(path => parentOf(path) === directory)) content.set(`${directory}/`, new Uint8Array(0))
    }
    return content
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    let inode = this.#files.get(path)
    if (mode === 'create') {
      if (inode !== undefined || this.#directories.has(path)) throw systemError('EEXIST', 'open', path)
      inode = this.#create(path)
    }
    if (inode === undefined) throw systemError(this.#directories.has(path) ? 'EISDIR' : 'ENOENT', 'open', path)
    return new MemoryFile(path, inode, mode !== 'read')
  }

  async list(directory: string): Promise<string[]> {
    const parent = this.#existing(directory, 'scandir')
    const names: string[] = []
    for (const paths of [this.#files.keys(), this.#directories]) {
      for (const path of paths) if (!isRoot(path) && parentOf(path) === parent) names.push(path.slice(path.lastIndexOf('/') + 1))
    }
    return names.sort()
  }

  async makeDirectory(directory: string): Promise<void> {
    this.#addDirectory(trimPath(directory))
  }

  async rename(from: string, to: string): Promise<void> {
    const inode = this.#files.get(from)
    if (inode === undefined) throw systemError('ENOENT', 'rename', from)
    this.#existing(parentOf(to), 'rename')
    if (this.#directories.has(to)) throw systemError('EISDIR', 'rename', to)
    this.#files.delete(from)
    this.#files.set(to, inode)
  }

  async remove(path: string): Promise<void> {
    if (!this.#files.delete(path)) throw systemError(this.#directories.has(path) ? 'EISDIR' : 'ENOENT', 'unlink', path)
  }

  async syncDirectory(directory: string): Promise<void> {
    this.#existing(directory, 'open')
  }

  async realPath(path: string): Promise<string> {
    return path
  }

  async lock(path: string): Promise<DiskLock> {
    if (this.#locked.has(path)) throw new StoreLockedError(parentOf(path), process.pid)
    if (!this.#files.has(path)) this.#create(path)
    this.#locked.add(path)
    let held = true
    return {
      release: async () => {
        // A second release must not free the lock of whoever took it since.
        if (held) this.#locked.delete(path)
        held = false
      },
    }
  }

  #create(path: string): Inode {
    this.#existing(parentOf(path), 'open')
    const inode = new Inode(new Uint8Array(0))
    this.#files.set(path, inode)
    return inode
  }

  #addDirectory(directory: string): void {
    if (this.#files.has(directory)) throw systemError('EEXIST', 'mkdir', directory)
    if (this.#directories.has(directory)) return
    this.#addDirectory(parentOf(directory))
    this.#directories.add(directory)
  }

  #existing(directory: string, syscall: string): string {
    const path = trimPath(directory)
    if (!this.#directories.has(path)) throw systemError(this.#files.has(path) ? 'ENOTDIR' : 'ENOENT', syscall, directory)
    return path
  }
}

/** A file's bytes: `size` of them count, of which those past the end of `#bytes` are zeros. */
class Inode {
  size: number
  #bytes: Uint8Array
  /** Somebody else holds these bytes, too: copy before the first change. */
  #shared = true

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes
    this.size = bytes.length
  }

  share(): Uint8Array {
    if (this.#bytes.length < this.size) this.#own(this.size)
    this.#shared = true
    return this.#bytes.subarray(0, this.size)
  }

  write(bytes: Uint8Array, offset: number): void {
    assert(Number.isSafeInteger(offset))
    const end = offset + bytes.length
    if (this.#shared || end > this.#bytes.length) {
      this.#own(end <= this.#bytes.length ? this.#bytes.length : Math.max(end, 2 * this.#bytes.length))
    }
    this.#bytes.set(bytes, offset)
    if (end > this.size) this.size = end
  }

  read(target: Uint8Array, offset: number): number {
    assert(Number.isSafeInteger(offset))
    const count = Math.max(0, Math.min(target.length, this.size - offset))
    const stored = this.#bytes.subarray(offset, offset + count)
    target.set(stored)
    target.fill(0, stored.length, count)
    return count
  }

  /** Bytes past `size` are zeros at all times, so a file that grows again shows zeros. */
  truncate(size: number): void {
    assert(Number.isSafeInteger(size))
    if (size < this.size) {
      if (this.#shared || size < this.#bytes.length / 2) {
        this.#bytes = this.#bytes.slice(0, size)
        this.#shared = false
      } else this.#bytes.fill(0, size)
    }
    this.size = size
  }

  #own(capacity: number): void {
    const bytes = new Uint8Array(capacity)
    bytes.set(this.#bytes.subarray(0, Math.min(this.size, capacity)))
    this.#bytes = bytes
    this.#shared = false
  }
}

class MemoryFile implements DiskFile {
  readonly path: string
  readonly #inode: Inode
  readonly #writable: boolean
  #closed = false

  constructor(path: string, inode: Inode, writable: boolean) {
    this.path = path
    this.#inode = inode
    this.#writable = writable
  }

  async write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#use('write', true).write(bytes, offset)
  }

  writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.write(bytes, offset)
  }

  rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.write(bytes, offset)
  }

  async datasync(): Promise<void> {
    this.#use('fdatasync', false)
  }

  async read(target: Uint8Array, offset: number): Promise<number> {
    return this.#use('read', false).read(target, offset)
  }

  readOnce(target: Uint8Array, offset: number): Promise<number> {
    return this.read(target, offset)
  }

  async size(): Promise<number> {
    return this.#use('fstat', false).size
  }

  async truncate(size: number): Promise<void> {
    this.#use('ftruncate', true).truncate(size)
  }

  // A disk in memory has room for all.
  rest(): void {}

  async keepOpen(): Promise<void> {}

  async close(): Promise<void> {
    this.#closed = true
  }

  #use(syscall: string, toWrite: boolean): Inode {
    if (this.#closed || (toWrite && !this.#writable)) throw systemError('EBADF', syscall, this.path)
    return this.#inode
  }
}

/** An error as the operating system's: match on `code`. */
export function systemError(code: string, syscall: string, path: string): NodeJS.ErrnoException {
  return Object.assign(new Error(`${code}: ${syscall} '${path}'`), { code, syscall, path })
}

/** The directory that a path is in. */
export function parentOf(path: string): string {
  const slash = path.lastIndexOf('/')
  return slash > 0 ? path.slice(0, slash) : slash === 0 ? '/' : '.'
}

/** Without slashes at its end. */
export function trimPath(directory: string): string {
  return directory.length > 1 && directory.endsWith('/') ? trimPath(directory.slice(0, -1)) : directory
}

function isRoot(path: string): boolean {
  return path === '.' || path === '/'
}
