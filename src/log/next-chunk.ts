import assert from 'node:assert'
import type { Clock } from '../core/clock.ts'
import type { Disk } from '../disk/disk.ts'
import { ChunkFile } from './chunk-file.ts'

/** The next chunk's file is made when the active one is filled to this share. */
const PREPARE_AT = 0.75

/** The chunk behind the active one: its file is there before it is needed, so that a roll-over waits for no creation. */
export class NextChunk {
  readonly #disk: Disk
  readonly #directory: string
  readonly #clock: Clock
  readonly #chunkSize: number
  #chunk: ChunkFile | null
  #preparing: Promise<void> | null = null

  /** @param chunk the one that was found at open. */
  constructor(disk: Disk, directory: string, clock: Clock, chunkSize: number, chunk: ChunkFile | null) {
    this.#disk = disk
    this.#directory = directory
    this.#clock = clock
    this.#chunkSize = chunkSize
    this.#chunk = chunk
  }

  /** Begins to make it, once `active` is filled up to `filledOffset` and that is far enough. */
  prepare(active: ChunkFile, filledOffset: number): void {
    if (this.#chunk !== null || this.#preparing !== null || filledOffset < active.header.chunkSize * PREPARE_AT) return
    // A failure shows itself at the roll-over, which tries again.
    this.#begin(active).catch(() => {})
  }

  /** Makes it, unless it is there already. A failure changes nothing. */
  async ensure(active: ChunkFile): Promise<void> {
    await this.#preparing
    if (this.#chunk === null) await this.#begin(active)
  }

  get isThere(): boolean {
    return this.#chunk !== null
  }

  /** The chunk, which is there and is the caller's from now on. */
  take(): ChunkFile {
    const chunk = this.#chunk
    assert(chunk !== null)
    this.#chunk = null
    return chunk
  }

  async close(): Promise<void> {
    await this.#preparing
    await this.#chunk?.close()
  }

  /** A close waits until it is made, or can't be. */
  #begin(active: ChunkFile): Promise<void> {
    const creating = this.#create(active)
    this.#preparing = creating
      .catch(() => {})
      .finally(() => {
        this.#preparing = null
      })
    return creating
  }

  async #create(active: ChunkFile): Promise<void> {
    this.#chunk = await ChunkFile.createBehind(this.#disk, this.#directory, active, this.#chunkSize, this.#clock.now())
  }
}
