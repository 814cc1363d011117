import { EVENT_ID_SIZE } from '../core/event-id.ts'
import type { SuppliedIdList } from './index-part.ts'
import { grown, grownCapacity, type NameTable } from './name-table.ts'

/** The supplied ids of the active index, in log order, 32 bytes each. */
export class SuppliedIds {
  readonly #start: number
  readonly #names: NameTable
  #count = 0
  #ids = new Uint8Array(0)
  #slots = new Uint32Array(0)
  /** Relative to `start`. */
  #positions = new Uint32Array(0)
  #revisions = new Float64Array(0)

  constructor(start: number, names: NameTable) {
    this.#start = start
    this.#names = names
  }

  get count(): number {
    return this.#count
  }

  get memoryBytes(): number {
    return this.#slots.length * (EVENT_ID_SIZE + 16)
  }

  add(bytes: Uint8Array, offset: number, slot: number, revision: number, position: number): void {
    const index = this.#count
    if (index === this.#slots.length) {
      const capacity = grownCapacity(index)
      this.#ids = grown(this.#ids, capacity * EVENT_ID_SIZE)
      this.#slots = grown(this.#slots, capacity)
      this.#positions = grown(this.#positions, capacity)
      this.#revisions = grown(this.#revisions, capacity)
    }
    const ids = this.#ids
    for (let i = 0, to = index * EVENT_ID_SIZE; i < EVENT_ID_SIZE; i++) ids[to + i] = bytes[offset + i]!
    this.#slots[index] = slot
    this.#positions[index] = position - this.#start
    this.#revisions[index] = revision
    this.#count = index + 1
  }

  list(from: number, count: number): SuppliedIdList {
    const size = Math.max(0, Math.min(count, this.#count - from))
    const positions = new Float64Array(size)
    const streamHashes = new Int32Array(size)
    for (let i = 0; i < size; i++) {
      positions[i] = this.#start + this.#positions[from + i]!
      streamHashes[i] = this.#names.hashOf(this.#slots[from + i]!)
    }
    const ids = this.#ids.slice(from * EVENT_ID_SIZE, (from + size) * EVENT_ID_SIZE)
    return { ids, streamHashes, revisions: this.#revisions.slice(from, from + size), positions }
  }
}
