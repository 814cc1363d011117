import { BLOCK_SIZE } from '../core/limits.ts'
import type { ByteWindow } from '../format/byte-window.ts'

/** Of the misses of a full cache, one in so many brings its block: it costs as much as thirty records that are read alone. */
const MISSES_PER_ADMISSION = 1024

export interface CachedBlock {
  readonly window: ByteWindow
  /** Checked against the footer of a completed chunk; records of other blocks are checked one by one. */
  readonly verified: boolean
}

interface Entry {
  readonly block: CachedBlock
  /** Since it was put in, or passed over. */
  isUsed: boolean
}

/**
 * Blocks of the log that random reads came by. The oldest one goes first, unless it was used meanwhile: then it gets another round.
 * Only bytes that can't change any more may be put in. A block is never handed to a user: records are copied out.
 */
export class BlockCache {
  /** By `ChunkFile.cacheKeyOf`; in the order in which they were put in, or passed over. */
  readonly #blocks = new Map<number, Entry>()
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

  /** Neither counts nor is a use. */
  has(key: number): boolean {
    return this.#blocks.has(key)
  }

  get(key: number): CachedBlock | undefined {
    const entry = this.#blocks.get(key)
    if (entry === undefined) {
      this.misses++
      return undefined
    }
    this.hits++
    entry.isUsed = true
    return entry.block
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
    if (!this.#blocks.has(key) && this.#blocks.size === this.#maxCount) this.#evict()
    this.#blocks.set(key, { block, isUsed: false })
  }

  #evict(): void {
    for (const [key, entry] of this.#blocks) {
      this.#blocks.delete(key)
      if (!entry.isUsed) return
      entry.isUsed = false
      this.#blocks.set(key, entry)
    }
  }
}
