import { close, fdatasync, openSync, write } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { crc32 } from 'node:zlib'
import type { Appender, AppenderCounts } from './appender.ts'
import type { Durability } from './cells.ts'

const HEADER_BYTES = 8
/** In 'memory' mode: as long as less than this waits to be written, acks do not wait for the disk. */
const MEMORY_BOUND_BYTES = 64 * 1024 * 1024

/**
 * Floor (b): the group-commit appender that one would write in an afternoon. One buffer fills while the other is written
 * and synced, a length and a checksum stand before each event, one promise is given for each. No streams, queue, chaser,
 * index or recovery: what the engine costs beyond this is what those cost.
 *
 * It makes the promise of the mode it is compared in: 'os' leaves out the fdatasync, 'memory' acks before the write.
 */
export class GroupCommitFloor implements Appender {
  readonly #fd: number
  readonly #durability: Durability
  #filling = Buffer.allocUnsafe(1024 * 1024)
  #spare = Buffer.allocUnsafe(1024 * 1024)
  #size = 0
  #fileSize = 0
  #waiting: (() => void)[] = []
  #scheduled = false
  #writing = false
  #appends = 0
  #groups = 0

  private constructor(fd: number, durability: Durability) {
    this.#fd = fd
    this.#durability = durability
  }

  static async open(directory: string, durability: Durability): Promise<GroupCommitFloor> {
    return new GroupCommitFloor(openSync(join(directory, 'log'), 'wx'), durability)
  }

  append(_stream: string, data: Uint8Array): Promise<void> {
    this.#encode(data)
    return this.#settled()
  }

  /** One promise for all; a frame and a checksum for each. */
  appendBatch(_stream: string, batch: readonly Uint8Array[]): Promise<void> {
    for (const data of batch) this.#encode(data)
    return this.#settled()
  }

  counts(): AppenderCounts {
    return { appends: this.#appends, flushes: this.#groups }
  }

  /** Waits for a group that is still being written: in 'memory' mode acks run ahead of the disk. */
  async close(): Promise<void> {
    while (this.#writing || this.#scheduled) await new Promise(resolve => setImmediate(resolve))
    await promisify(fdatasync)(this.#fd)
    await promisify(close)(this.#fd)
  }

  #encode(data: Uint8Array): void {
    const start = this.#size
    const end = start + HEADER_BYTES + data.length
    if (end > this.#filling.length) this.#grow(end)
    this.#filling.writeUInt32LE(data.length, start)
    this.#filling.writeUInt32LE(crc32(data), start + 4)
    this.#filling.set(data, start + HEADER_BYTES)
    this.#size = end
  }

  #settled(): Promise<void> {
    this.#appends++
    this.#schedule()
    return new Promise(resolve => {
      this.#waiting.push(resolve)
    })
  }

  #grow(atLeast: number): void {
    const larger = Buffer.allocUnsafe(Math.max(atLeast, this.#filling.length * 2))
    larger.set(this.#filling.subarray(0, this.#size))
    this.#filling = larger
  }

  /** One turn of the event loop gathers what is appended in it; a running group gathers until it is done. */
  #schedule(): void {
    if (this.#scheduled || (this.#writing && this.#durability !== 'memory')) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      if (this.#durability === 'memory' && this.#size < MEMORY_BOUND_BYTES) this.#settle(this.#takeWaiting())
      if (!this.#writing) this.#writeGroup()
    })
  }

  #writeGroup(): void {
    const bytes = this.#filling.subarray(0, this.#size)
    const group = this.#takeWaiting()
    ;[this.#filling, this.#spare] = [this.#spare, this.#filling]
    this.#size = 0
    this.#writing = true
    this.#groups++
    this.#writeFrom(bytes, 0, () => {
      if (this.#durability !== 'fsync') return this.#groupDone(group)
      fdatasync(this.#fd, error => {
        if (error) throw error
        this.#groupDone(group)
      })
    })
  }

  /** A write may take less than it was given. An error ends the process: there is nobody here to survive it. */
  #writeFrom(bytes: Buffer, from: number, done: () => void): void {
    write(this.#fd, bytes, from, bytes.length - from, this.#fileSize, (error, written) => {
      if (error) throw error
      this.#fileSize += written
      if (from + written < bytes.length) this.#writeFrom(bytes, from + written, done)
      else done()
    })
  }

  #groupDone(group: (() => void)[]): void {
    this.#writing = false
    this.#settle(group)
    if (this.#size > 0) this.#schedule()
  }

  #takeWaiting(): (() => void)[] {
    const taken = this.#waiting
    this.#waiting = []
    return taken
  }

  #settle(group: (() => void)[]): void {
    for (const resolve of group) resolve()
  }
}
