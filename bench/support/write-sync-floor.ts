import { closeSync, fdatasync, fdatasyncSync, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import type { Appender, AppenderCounts } from './appender.ts'

const PREFILLED_BYTES = 4 * 1024 * 1024

/**
 * Floor (a): the least that a durable append can cost on this disk without blocking the event loop. The bytes go into the
 * page cache by writeSync, over zeros that are on disk already, and one awaited fdatasync makes them durable.
 */
export class WriteSyncFloor implements Appender {
  readonly #fd: number
  #offset = 0
  #appends = 0

  private constructor(fd: number) {
    this.#fd = fd
  }

  static async open(directory: string): Promise<WriteSyncFloor> {
    const fd = openSync(join(directory, 'prefilled'), 'wx')
    writeSync(fd, Buffer.alloc(PREFILLED_BYTES))
    fdatasyncSync(fd)
    return new WriteSyncFloor(fd)
  }

  append(_stream: string, data: Uint8Array): Promise<void> {
    if (this.#offset + data.length > PREFILLED_BYTES) this.#offset = 0
    writeSync(this.#fd, data, 0, data.length, this.#offset)
    this.#offset += data.length
    this.#appends++
    return new Promise((resolve, reject) => fdatasync(this.#fd, error => (error ? reject(error) : resolve())))
  }

  counts(): AppenderCounts {
    return { appends: this.#appends, flushes: this.#appends }
  }

  async close(): Promise<void> {
    closeSync(this.#fd)
  }
}
