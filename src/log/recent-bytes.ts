import assert from 'node:assert'
import { SLAB_SIZE } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'

/** A stretch of the log in memory: the bytes from `start` up to `end`, contiguous. An append never spans two slabs. */
export interface Slab {
  readonly window: ByteWindow
  readonly start: LogPosition
  end: LogPosition
}

/** Bytes kept behind the followers, for readers at the tail. */
const KEPT_SIZE = 8 * SLAB_SIZE
/** Slabs kept for reuse: a fresh MiB costs 256 page faults. */
const FREE_SLAB_COUNT = 8

/**
 * The newest bytes of the log. The writer encodes into the last slab, the disk takes from it, chaser and readers read from it.
 * A slab is reused once everything in it is written and followed; whoever hands bytes to a user copies them out first.
 */
export class RecentBytes {
  readonly #slabs: Slab[] = []
  readonly #free: ByteWindow[] = []
  #slabsSize = 0

  /** The slab in which `size` bytes at `position` can be encoded; a position that does not adjoin begins a new slab. */
  reserve(position: LogPosition, size: number): Slab {
    const last = this.#slabs.at(-1)
    if (last !== undefined && last.end === position && position - last.start + size <= last.window.size) return last
    const window = size > SLAB_SIZE ? ByteWindow.allocate(size) : (this.#free.pop() ?? ByteWindow.allocate(SLAB_SIZE))
    const slab: Slab = { window, start: position, end: position }
    this.#slabs.push(slab)
    this.#slabsSize += window.size
    return slab
  }

  /** Everything from here on is in memory, but for chunks that were rewritten; null when nothing is. */
  get start(): LogPosition | null {
    return this.#slabs[0]?.start ?? null
  }

  /** The slab that holds the byte at `position`, if it is still in memory. */
  find(position: LogPosition): Slab | undefined {
    // Most reads of old events end here.
    if (this.#slabs.length === 0 || position < this.#slabs[0]!.start) return undefined
    for (let i = this.#slabs.length - 1; i >= 0; i--) {
      const slab = this.#slabs[i]!
      if (position >= slab.end) return undefined
      if (position >= slab.start) return slab
    }
    return undefined
  }

  /** Everything from `position` on was not written after all. */
  forgetFrom(position: LogPosition): void {
    for (let slab = this.#slabs.at(-1); slab !== undefined && slab.end > position; slab = this.#slabs.at(-1)) {
      if (slab.start < position) {
        slab.end = position
        return
      }
      this.#recycle(this.#slabs.pop()!)
    }
  }

  /** Everything below `position` is written and followed: the oldest slabs beyond the kept ones may go. */
  release(position: LogPosition): void {
    while (this.#slabsSize > KEPT_SIZE && this.#slabs[0]!.end <= position) this.#recycle(this.#slabs.shift()!)
  }

  /**
   * What stands below `position` was rewritten on disk: from now on it is read there. Slabs end with their chunk, so those of a chunk
   * go as a whole; they are not reused, for somebody may be reading them.
   */
  forgetBelow(position: LogPosition): void {
    while (this.#slabs.length > 0 && this.#slabs[0]!.end <= position) this.#slabsSize -= this.#slabs.shift()!.window.size
  }

  /** Bytes of memory held. */
  get size(): number {
    return this.#slabsSize + this.#free.length * SLAB_SIZE
  }

  #recycle(slab: Slab): void {
    this.#slabsSize -= slab.window.size
    assert(this.#slabsSize >= 0)
    if (slab.window.size === SLAB_SIZE && this.#free.length < FREE_SLAB_COUNT) this.#free.push(slab.window)
  }
}
