import assert from 'node:assert'
import fs from 'node:fs'
import { systemErrorCode } from '../core/errors.ts'
import { DirectWrite } from './direct-write.ts'
import { type DiskFile, readEachPiece } from './disk.ts'
import { writeDurably } from './durable-write.ts'
import { call, named, READ_FLAGS, readInPool, readOnce, writeAll } from './node-calls.ts'
import { open, openFiles } from './node-open.ts'
import type { RestingFile } from './open-files.ts'
import { SmallReads } from './small-reads.ts'

const { O_DIRECT, O_DSYNC, O_RDWR } = fs.constants

/** For a descriptor that is still to be had. */
const CLOSED = -1

/** Of all stores in the process. */
const smallReads = new SmallReads()

/** A real file. */
export class NodeFile implements DiskFile, RestingFile {
  readonly path: string
  /** Null while it is closed for now. */
  #descriptor: number | null
  /**
   * The same file opened with DURABLE_FLAGS, for writes that are durable when they return; null for a file open for reading. The kernel
   * reports a writeback error once to each descriptor, so both stay open from the first write to the last sync.
   */
  #durableDescriptor: number | null
  /** What it is opened again as; null while it must stay open. */
  #restingPath: string | null = null
  /** Calls under way. */
  #useCount = 0
  #isKeptOpen = false
  /** Whoever waits to close it. */
  #onUnused: (() => void) | null = null
  #opening: Promise<number> | null = null
  /** For good. Its descriptors may be those of other files by now. */
  #isClosed = false

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
    return this.#call(() => writeAll(this.#writable, bytes, offset))
  }

  writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#call(() => this.#writeDurably(bytes, offset))
  }

  #writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    if (this.#durableDescriptor === null) return Promise.reject(new Error(`${this.path} is open for reading`))
    return writeDurably(this.#durableDescriptor, bytes, offset, () => this.size())
  }

  rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#call(() => this.#rewriteDurably(bytes, offset))
  }

  async #rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    const direct = await this.#openDirect()
    if (direct !== null) {
      try {
        const way = await DirectWrite.prepare(direct, this.#writable)
        if (way !== null) {
          const size = await this.size()
          await way.write(bytes, offset)
          // The last block may have made the file longer.
          if ((await this.size()) > size) {
            await this.truncate(size)
            await this.datasync()
          }
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
    return this.#call(() => call(done => fs.fdatasync(this.#writable, done)))
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    const descriptor = this.#use()
    if (descriptor === null) return this.#open().then(opened => this.#read(opened, target, offset))
    return this.#read(descriptor, target, offset)
  }

  /** For one who uses it. Without an async function: index pages are read by tens of thousands a second. */
  #read(descriptor: number, target: Uint8Array, offset: number): Promise<number> {
    return new Promise((resolve, reject) => {
      const readSlowly = (): void => {
        readInPool(descriptor, target, offset)
          .finally(() => {
            this.#used()
          })
          .then(resolve, (error: unknown) => reject(named(error, this.path)))
      }
      const answered = (isRead: boolean): void => {
        if (!isRead) readSlowly()
        else {
          this.#used()
          resolve(target.length)
        }
      }
      if (!smallReads.read([descriptor], target, [offset], [target.length], answered)) readSlowly()
    })
  }

  async readOnce(target: Uint8Array, offset: number): Promise<number> {
    const descriptor = this.#use() ?? (await this.#open())
    try {
      return await readOnce(descriptor, target, 0, offset)
    } finally {
      this.#used()
    }
  }

  /** See `Disk.readPieces`. Neighbours in one file use it once. Without an async function, like `#read`, where it can be. */
  static readPieces(
    files: readonly NodeFile[],
    target: Uint8Array,
    offsets: readonly number[],
    sizes: readonly number[],
  ): Promise<void> {
    const descriptors: number[] = []
    let isOpen = true
    for (let i = 0; i < files.length; i++) {
      const descriptor = isFirst(files, i) ? (files[i]!.#use() ?? CLOSED) : descriptors[i - 1]!
      descriptors.push(descriptor)
      if (descriptor === CLOSED) isOpen = false
    }
    if (isOpen) return NodeFile.#readOpen(files, descriptors, target, offsets, sizes)
    return NodeFile.#openThoseClosed(files, descriptors).then(
      () => NodeFile.#readOpen(files, descriptors, target, offsets, sizes),
      (error: unknown) => {
        NodeFile.#letGo(files, descriptors)
        throw error
      },
    )
  }

  static #readOpen(
    files: readonly NodeFile[],
    descriptors: readonly number[],
    target: Uint8Array,
    offsets: readonly number[],
    sizes: readonly number[],
  ): Promise<void> {
    return new Promise((resolve, reject) => {
      const readSlowly = (): void => {
        const pooled = descriptors.map(descriptor => ({
          read: (piece: Uint8Array, offset: number) => readInPool(descriptor, piece, offset),
        }))
        readEachPiece(pooled, target, offsets, sizes)
          .finally(() => NodeFile.#letGo(files, descriptors))
          .then(resolve, reject)
      }
      const answered = (isRead: boolean): void => {
        if (!isRead) readSlowly()
        else {
          NodeFile.#letGo(files, descriptors)
          resolve()
        }
      }
      if (!smallReads.read(descriptors, target, offsets, sizes, answered)) readSlowly()
    })
  }

  static #letGo(files: readonly NodeFile[], descriptors: readonly number[]): void {
    for (let i = 0; i < files.length; i++) if (isFirst(files, i) && descriptors[i] !== CLOSED) files[i]!.#used()
  }

  /** Side by side. Those that can't be opened stay CLOSED, and are not used any more. */
  static async #openThoseClosed(files: readonly NodeFile[], descriptors: number[]): Promise<void> {
    const opened = await Promise.allSettled(
      files.map((file, i) => (descriptors[i] === CLOSED && isFirst(files, i) ? file.#open() : descriptors[i]!)),
    )
    for (let i = 0; i < files.length; i++) {
      const result = opened[i]!
      if (!isFirst(files, i)) descriptors[i] = descriptors[i - 1]!
      else if (result.status === 'fulfilled') descriptors[i] = result.value
    }
    for (const result of opened) if (result.status === 'rejected') throw result.reason
  }

  async size(): Promise<number> {
    const descriptor = this.#use() ?? (await this.#open())
    try {
      return await new Promise<number>((resolve, reject) => {
        fs.fstat(descriptor, (error, stats) => {
          if (error) reject(error)
          else resolve(stats.size)
        })
      })
    } finally {
      this.#used()
    }
  }

  truncate(size: number): Promise<void> {
    return this.#call(() => call(done => fs.ftruncate(this.#writable, size, done)))
  }

  rest(path: string): void {
    if (this.#restingPath !== null) return
    this.#restingPath = path
    const durable = this.#durableDescriptor
    this.#durableDescriptor = null
    if (durable !== null) void closeUnheard(durable)
    openFiles.used(this)
  }

  async keepOpen(): Promise<void> {
    if (this.#use() === null) await this.#open()
    this.#isKeptOpen = true
    this.#used()
  }

  get isIdle(): boolean {
    return this.#useCount === 0 && !this.#isKeptOpen
  }

  closeForNow(): Promise<void> {
    const descriptor = this.#descriptor!
    this.#descriptor = null
    return closeUnheard(descriptor)
  }

  /** Of a file that does not rest: it is open all the time. */
  get #writable(): number {
    assert(this.#descriptor !== null)
    return this.#descriptor
  }

  /** It is not closed while `work` runs. */
  async #call(work: () => Promise<void>): Promise<void> {
    this.#useCount++
    try {
      await work()
    } finally {
      this.#used()
    }
  }

  #used(): void {
    if (--this.#useCount === 0) this.#onUnused?.()
  }

  /** Keeps it open until the use count goes down again. @returns null when it has to be opened first. */
  #use(): number | null {
    this.#useCount++
    if (this.#restingPath !== null && this.#descriptor !== null) openFiles.used(this)
    return this.#descriptor
  }

  /** Opens it again for one who uses it, or takes the use back. */
  async #open(): Promise<number> {
    try {
      if (this.#isClosed) throw this.#closedError()
      this.#opening ??= this.#reopen().finally(() => {
        this.#opening = null
      })
      return await this.#opening
    } catch (error) {
      this.#used()
      throw error
    }
  }

  async #reopen(): Promise<number> {
    assert(this.#restingPath !== null)
    const descriptor = await open(this.#restingPath, READ_FLAGS)
    if (this.#isClosed) {
      void closeUnheard(descriptor)
      throw this.#closedError()
    }
    this.#descriptor = descriptor
    openFiles.used(this)
    return descriptor
  }

  #closedError(): Error {
    return Object.assign(new Error(`EBADF: ${this.path} was closed, read`), { code: 'EBADF' })
  }

  async close(): Promise<void> {
    smallReads.closed()
    openFiles.closed(this)
    const descriptors = [this.#descriptor, this.#durableDescriptor]
    this.#isClosed = true
    this.#descriptor = null
    this.#durableDescriptor = null
    if (this.#useCount > 0) {
      await new Promise<void>(resolve => {
        this.#onUnused = resolve
      })
    }
    for (const descriptor of descriptors) {
      if (descriptor !== null) await call(done => fs.close(descriptor, done))
    }
  }
}

/** Of neighbours in one file. */
function isFirst(files: readonly NodeFile[], index: number): boolean {
  return index === 0 || files[index] !== files[index - 1]
}

/** Of a file that is not written any more: an error of that concerns nobody. */
function closeUnheard(descriptor: number): Promise<void> {
  return new Promise(resolve => {
    fs.close(descriptor, () => resolve())
  })
}
