import { BLOCK_SIZE } from '../core/limits.ts'
import type { ByteWindow } from '../format/byte-window.ts'

/** Of the misses of a full cache, one in so many brings its block. */
const MISSES_PER_ADMISSION = 16

export interface CachedBlock {
  readonly window: ByteWindow
  /** Checked against the footer of a completed chunk; records of other blocks are checked one by one. */
  readonly verified: boolean
}

/**
 * Blocks of the log that random reads came by, the least recently used one going first. Only bytes that can't change any
 * more may be put in. A block is never handed to a user: records are copied out.
 */
export class BlockCache {
  /** By `ChunkFile.cacheKeyOf`; in the order of their last use. */
  readonly #blocks = new Map<number, CachedBlock>()
  readonly #maxCount: number
  #refusedCount = 0
  hits = 0
  misses = 0

  constructor(maxBytes: number) {
    this.#maxCount = Math.floor(maxBytes / BLOCK_SIZE)
  }

  get size(): number {
    return this.#blocks.size * BLOCK_SIZE
  }

  get(key: number): CachedBlock | undefined {
    const block = this.#blocks.get(key)
    if (block === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    this.#blocks.delete(key)
    this.#blocks.set(key, block)
    return block
  }

  /**
   * Whether the next block that is missing shall be read for the cache: each while there is room, later one in so many. What
   * is read over and over gets in by and by, and what is read once does not push it out.
   */
  admits(): boolean {
    if (this.#blocks.size < this.#maxCount) return true
    this.#refusedCount++
    return this.#refusedCount % MISSES_PER_ADMISSION === 0
  }

  put(key: number, block: CachedBlock): void {
    if (this.#maxCount === 0) return
    this.#blocks.set(key, block)
    if (this.#blocks.size > this.#maxCount) this.#blocks.delete(this.#blocks.keys().next().value as number)
  }
}
