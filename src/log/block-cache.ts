import { BLOCK_SIZE } from '../core/limits.ts'
import type { ByteWindow } from '../format/byte-window.ts'

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

  put(key: number, block: CachedBlock): void {
    if (this.#maxCount === 0) return
    this.#blocks.set(key, block)
    if (this.#blocks.size > this.#maxCount) {
      const oldest = this.#blocks.keys().next()
      if (!oldest.done) this.#blocks.delete(oldest.value)
    }
  }
}
