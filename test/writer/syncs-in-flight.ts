import type { DiskFile, OpenMode } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'

/** Counts the calls that are under way at once, for each file and for each of its two descriptors. */
export class SyncsInFlight extends MemoryDisk {
  /** The most at once on any one file. */
  readonly most = { datasync: 0, writeDurably: 0 }
  /** Writes into a place that another write of the same file was on its way to. */
  overlaps = 0

  override async open(path: string, mode: OpenMode): Promise<DiskFile> {
    return new CountedFile(await super.open(path, mode), this)
  }
}

class CountedFile implements DiskFile {
  readonly path: string
  readonly #file: DiskFile
  readonly #counts: SyncsInFlight
  readonly #now = { datasync: 0, writeDurably: 0 }
  readonly #ranges = new Set<{ readonly start: number; readonly end: number }>()

  constructor(file: DiskFile, counts: SyncsInFlight) {
    this.path = file.path
    this.#file = file
    this.#counts = counts
  }

  datasync(): Promise<void> {
    return this.#counted('datasync', () => this.#file.datasync())
  }

  writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#counted('writeDurably', () => this.#apart(bytes, offset, () => this.#file.writeDurably(bytes, offset)))
  }

  rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#counted('writeDurably', () => this.#apart(bytes, offset, () => this.#file.rewriteDurably(bytes, offset)))
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#apart(bytes, offset, () => this.#file.write(bytes, offset))
  }

  async #counted(op: 'datasync' | 'writeDurably', call: () => Promise<void>): Promise<void> {
    this.#now[op]++
    this.#counts.most[op] = Math.max(this.#counts.most[op], this.#now[op])
    await call()
    this.#now[op]--
  }

  /** Each write takes some turns, so that those that may meet do meet. */
  async #apart(bytes: Uint8Array, offset: number, call: () => Promise<void>): Promise<void> {
    const range = { start: offset, end: offset + bytes.length }
    for (const other of this.#ranges) if (other.start < range.end && range.start < other.end) this.#counts.overlaps++
    this.#ranges.add(range)
    for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
    await call()
    this.#ranges.delete(range)
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#file.read(target, offset)
  }

  readOnce(target: Uint8Array, offset: number): Promise<number> {
    return this.#file.readOnce(target, offset)
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  truncate(size: number): Promise<void> {
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
