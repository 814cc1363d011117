import type { LogPosition, Revision } from '../core/positions.ts'
import type { CachedHead } from './cached-head.ts'
import { grown, grownCapacity } from './name-table.ts'
import type { Retention } from './retention.ts'

/**
 * Where streams end that nobody appends to just now: three numbers and a name each, a fifth of what a head takes, and nothing that
 * the garbage collector has to follow. The hand goes round and drops those that nobody came back to.
 */
export class PackedHeads {
  readonly #maxCount: number
  readonly #slots = new Map<string, number>()
  /** By slot, like the arrays below. */
  readonly #names: string[] = []
  #revisions = new Float64Array(0)
  #positions = new Float64Array(0)
  #isUsed = new Uint8Array(0)
  /** Of the few streams of which something was said. */
  readonly #retentions = new Map<string, Retention>()
  #hand = 0

  constructor(maxCount: number) {
    this.#maxCount = maxCount
  }

  /** Remembers a head that no append holds, so that what is written of it is committed. */
  put({ name, committedRevision, committedPosition, committedRetention }: CachedHead): void {
    if (this.#maxCount === 0) return
    let slot = this.#slots.get(name)
    if (slot === undefined) {
      slot = this.#freeSlot()
      this.#names[slot] = name
      this.#slots.set(name, slot)
      this.#isUsed[slot] = 0
    }
    this.#revisions[slot] = committedRevision
    this.#positions[slot] = committedPosition
    if (committedRetention !== null) this.#retentions.set(name, committedRetention)
    else if (this.#retentions.size > 0) this.#retentions.delete(name)
  }

  /** Makes the head known as it was put here; false when it is not here. */
  restore(head: CachedHead): boolean {
    const slot = this.#slots.get(head.name)
    if (slot === undefined) return false
    this.#isUsed[slot] = 1
    head.revision = this.#revisions[slot]! as Revision
    head.committedRevision = head.revision
    head.committedPosition = this.#positions[slot]! as LogPosition
    head.retention = this.#retentions.get(head.name) ?? null
    head.committedRetention = head.retention
    head.isKnown = true
    return true
  }

  #freeSlot(): number {
    const { length } = this.#names
    if (length < this.#maxCount) {
      if (length === this.#revisions.length) this.#grow(Math.min(this.#maxCount, grownCapacity(length)))
      return length
    }
    for (; this.#isUsed[this.#hand] === 1; this.#step()) this.#isUsed[this.#hand] = 0
    const slot = this.#hand
    const name = this.#names[slot]!
    this.#slots.delete(name)
    this.#retentions.delete(name)
    this.#step()
    return slot
  }

  #step(): void {
    this.#hand = (this.#hand + 1) % this.#names.length
  }

  #grow(capacity: number): void {
    this.#revisions = grown(this.#revisions, capacity)
    this.#positions = grown(this.#positions, capacity)
    this.#isUsed = grown(this.#isUsed, capacity)
  }
}
