import assert from 'node:assert'
import { LogPosition } from '../core/positions.ts'
import type { ActiveHint } from './active-hint.ts'
import { BlockChecksums } from './block-checksums.ts'
import type { ChunkFile } from './chunk-file.ts'
import type { RecentBytes } from './recent-bytes.ts'

/**
 * The active chunk as far as its blocks have been summed: for its footer, and for the hint that tells the next open how far it is
 * whole. Bytes are summed from memory once they are acked, so that those which are taken back never were.
 */
export class SummedTail {
  readonly #recent: RecentBytes
  readonly #hint: ActiveHint
  #active: ChunkFile
  #checksums: BlockChecksums
  /** Events of the chunk below `end`; null when that is no end of an append, or not durable. */
  #eventCount: number | null

  /** @param eventCount events of the chunk below the end of `checksums`, where an append ends and all is durable. */
  constructor(recent: RecentBytes, hint: ActiveHint, active: ChunkFile, checksums: BlockChecksums, eventCount: number) {
    this.#recent = recent
    this.#hint = hint
    this.#active = active
    this.#checksums = checksums
    this.#eventCount = eventCount
  }

  /** Memory below is not needed here any more. */
  get end(): LogPosition {
    return LogPosition.plus(this.#active.start, this.#checksums.size)
  }

  /** @param eventCount events of the chunk below `limit`, if an append ends there and is durable; otherwise null. */
  sumTo(limit: LogPosition, eventCount: number | null): void {
    for (let { end } = this; end < limit; end = this.end) {
      const slab = this.#recent.find(end)
      assert(slab !== undefined, 'bytes were released before they were summed')
      this.#checksums.add(slab.window.bytes.subarray(end - slab.start, Math.min(slab.end, limit) - slab.start))
    }
    this.#eventCount = this.end === limit ? eventCount : null
    if (this.#hint.isDue(limit)) this.#writeHint(false)
  }

  /** One for each block begun so far. */
  get checksums(): Uint32Array {
    return this.#checksums.all()
  }

  /** Goes on to a chunk that has nothing but its header. */
  startChunk(chunk: ChunkFile): void {
    this.#active = chunk
    this.#checksums = BlockChecksums.ofHeader(chunk.header)
    this.#eventCount = 0
  }

  #writeHint(isFinal: boolean): void {
    const { storeId, number } = this.#active.header
    const { end, checksums } = this
    if (this.#eventCount === null) return
    this.#hint.write({ storeId, chunk: number, end, eventCount: this.#eventCount, isFinal, blockChecksums: checksums })
  }

  /** @param isSound nothing has failed that leaves the bytes of the chunk's file in doubt. */
  async close(isSound: boolean): Promise<void> {
    if (isSound) this.#writeHint(true)
    await this.#hint.close()
  }
}
