import { type Disk, type DiskFile, type DiskLock, type OpenMode, readEachPiece } from '../../src/disk/disk.ts'
import type { MemoryDisk } from '../../src/disk/memory-disk.ts'

const MOST_READS = 20_000

/**
 * Notes which of the files that a disk had at the beginning are looked into, or changed, in the order in which that first happens. What is not
 * looked into cannot matter to the one who works on it; the names all count, since any of them may be seen in a list.
 *
 * Outside of its directory nothing may be looked for. It is impatient, too: after more reads than any small store needs, each fails.
 */
export class AskedDisk implements Disk {
  readonly readPieces = readEachPiece
  readonly #disk: MemoryDisk
  readonly #directory: string
  /** Where the files of the beginning are now, by their paths now. */
  readonly #origins: Map<string, string>
  readonly #asked = new Set<string>()
  #readsLeft = MOST_READS

  constructor(disk: MemoryDisk, directory: string, paths: Iterable<string>) {
    this.#disk = disk
    this.#directory = directory
    this.#origins = new Map()
    for (const path of paths) if (path.startsWith(`${directory}/`)) this.#origins.set(path, path)
  }

  /** Paths as they were at the beginning. */
  get asked(): ReadonlySet<string> {
    return this.#asked
  }

  /** Files of the beginning that are still there, and that nobody has looked into. */
  get untouched(): string[] {
    return [...this.#origins.values()].filter(path => !this.#asked.has(path))
  }

  async open(path: string, mode: OpenMode): Promise<DiskFile> {
    if (!path.startsWith(`${this.#directory}/`)) throw new Error(`${path} is no file of ${this.#directory}`)
    const file = await this.#disk.open(path, mode)
    return new AskedFile(this, file, this.#origins.get(path))
  }

  async list(directory: string): Promise<string[]> {
    if (directory !== this.#directory) throw new Error(`${directory} is not ${this.#directory}`)
    return this.#disk.list(directory)
  }

  makeDirectory(directory: string): Promise<void> {
    return this.#disk.makeDirectory(directory)
  }

  async rename(from: string, to: string): Promise<void> {
    await this.#disk.rename(from, to)
    const origin = this.#origins.get(from)
    this.#origins.delete(from)
    this.#origins.delete(to)
    // It lives on under another name: rare, and simplest if it counts as looked into.
    if (origin !== undefined) this.ask(origin)
  }

  async remove(path: string): Promise<void> {
    await this.#disk.remove(path)
    this.#origins.delete(path)
  }

  syncDirectory(directory: string): Promise<void> {
    return this.#disk.syncDirectory(directory)
  }

  realPath(path: string): Promise<string> {
    return this.#disk.realPath(path)
  }

  lock(path: string): Promise<DiskLock> {
    return this.#disk.lock(path)
  }

  ask(origin: string | undefined): void {
    if (origin !== undefined) this.#asked.add(origin)
  }

  countRead(path: string): void {
    if (this.#readsLeft-- <= 0) throw new Error(`${path} was read ${MOST_READS} times: this never ends`)
  }
}

class AskedFile implements DiskFile {
  readonly path: string
  readonly #disk: AskedDisk
  readonly #file: DiskFile
  readonly #origin: string | undefined

  constructor(disk: AskedDisk, file: DiskFile, origin: string | undefined) {
    this.path = file.path
    this.#disk = disk
    this.#file = file
    this.#origin = origin
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    this.#disk.ask(this.#origin)
    this.#disk.countRead(this.path)
    return this.#file.read(target, offset)
  }

  readOnce(target: Uint8Array, offset: number): Promise<number> {
    this.#disk.ask(this.#origin)
    this.#disk.countRead(this.path)
    return this.#file.readOnce(target, offset)
  }

  size(): Promise<number> {
    this.#disk.ask(this.#origin)
    return this.#file.size()
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    this.#disk.ask(this.#origin)
    return this.#file.write(bytes, offset)
  }

  writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    this.#disk.ask(this.#origin)
    return this.#file.writeDurably(bytes, offset)
  }

  rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    this.#disk.ask(this.#origin)
    return this.#file.rewriteDurably(bytes, offset)
  }

  datasync(): Promise<void> {
    return this.#file.datasync()
  }

  truncate(size: number): Promise<void> {
    this.#disk.ask(this.#origin)
    return this.#file.truncate(size)
  }

  rest(path: string): void {
    this.#file.rest(path)
  }

  keepOpen(): Promise<void> {
    return this.#file.keepOpen()
  }

  close(): Promise<void> {
    return this.#file.close()
  }
}
