import { BLOCK_SIZE } from '../core/limits.ts'
import { checksumBytes } from '../format/checksum.ts'
import { type ChunkHeader, encodeChunkHeader } from '../format/chunk-header.ts'

/** The checksums of a growing file, block by block, fed with its bytes in order. */
export class BlockChecksums {
  readonly #done: number[] = []
  #current = 0
  #size = 0

  /** Of a chunk that has nothing but its header. */
  static ofHeader(header: ChunkHeader): BlockChecksums {
    const checksums = new BlockChecksums()
    checksums.add(encodeChunkHeader(header))
    return checksums
  }

  /** Goes on behind `size` bytes, whose blocks have these checksums. */
  static resume(checksums: Uint32Array, size: number): BlockChecksums {
    const resumed = new BlockChecksums()
    resumed.#done.push(...checksums)
    if (size % BLOCK_SIZE !== 0) resumed.#current = resumed.#done.pop()!
    resumed.#size = size
    return resumed
  }

  /** How many bytes have been fed. */
  get size(): number {
    return this.#size
  }

  add(bytes: Uint8Array): void {
    let at = 0
    while (at < bytes.length) {
      const take = Math.min(bytes.length - at, BLOCK_SIZE - (this.#size % BLOCK_SIZE))
      this.#current = checksumBytes(bytes.subarray(at, at + take), this.#current)
      at += take
      this.#size += take
      if (this.#size % BLOCK_SIZE === 0) {
        this.#done.push(this.#current)
        this.#current = 0
      }
    }
  }

  /** One checksum for each block begun so far. */
  all(): Uint32Array {
    return Uint32Array.from(this.#size % BLOCK_SIZE === 0 ? this.#done : [...this.#done, this.#current])
  }
}
