import type { LogPosition, Revision } from '../core/positions.ts'
import type { CachedHead } from './cached-head.ts'
import { grown, grownCapacity } from './name-table.ts'
import type { Retention } from './retention.ts'

const FIRST_PLACE_COUNT = 32

/**
 * Where streams end that nobody appends to just now: some numbers and a name each, a fifth of what a head takes, and nothing but the
 * name that the garbage collector has to follow. The hand goes round and drops those that nobody came back to. A map of the language
 * would be made anew again and again, since each that comes in makes another go: megabytes of garbage each time.
 */
export class PackedHeads {
  readonly #maxCount: number
  /** Slot + 1 by hash, 0 where nothing is: open addressing with linear probing, a power of two, at most half full. */
  #places = new Int32Array(FIRST_PLACE_COUNT)
  /** By slot, like the arrays below. */
  readonly #names: string[] = []
  #hashes = new Int32Array(0)
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
  put({ name, hash, committedRevision, committedPosition, committedRetention }: CachedHead): void {
    if (this.#maxCount === 0) return
    let slot = this.#places[this.#placeOf(name, hash)]! - 1
    if (slot < 0) {
      slot = this.#freeSlot()
      this.#names[slot] = name
      this.#hashes[slot] = hash
      this.#places[this.#placeOf(name, hash)] = slot + 1
      this.#isUsed[slot] = 0
    }
    this.#revisions[slot] = committedRevision
    this.#positions[slot] = committedPosition
    if (committedRetention !== null) this.#retentions.set(name, committedRetention)
    else if (this.#retentions.size > 0) this.#retentions.delete(name)
  }

  /** Makes the head known as it was put here; false when it is not here. */
  restore(head: CachedHead): boolean {
    const slot = this.#places[this.#placeOf(head.name, head.hash)]! - 1
    if (slot < 0) return false
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
    this.#clear(this.#placeOf(name, this.#hashes[slot]!))
    if (this.#retentions.size > 0) this.#retentions.delete(name)
    this.#step()
    return slot
  }

  /** Where the name's slot stands, or would stand. */
  #placeOf(name: string, hash: number): number {
    const mask = this.#places.length - 1
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = this.#places[place]! - 1
      if (slot < 0 || (this.#hashes[slot] === hash && this.#names[slot] === name)) return place
    }
  }

  /** Those behind it that would not be found across a gap move up. */
  #clear(cleared: number): void {
    const places = this.#places
    const mask = places.length - 1
    let gap = cleared
    for (let place = (gap + 1) & mask; places[place] !== 0; place = (place + 1) & mask) {
      const home = this.#hashes[places[place]! - 1]! & mask
      if (((place - home) & mask) < ((place - gap) & mask)) continue
      places[gap] = places[place]!
      gap = place
    }
    places[gap] = 0
  }

  #step(): void {
    this.#hand = (this.#hand + 1) % this.#names.length
  }

  #grow(capacity: number): void {
    this.#revisions = grown(this.#revisions, capacity)
    this.#positions = grown(this.#positions, capacity)
    this.#isUsed = grown(this.#isUsed, capacity)
    this.#hashes = grown(this.#hashes, capacity)
    let placeCount = this.#places.length
    while (placeCount < 2 * capacity) placeCount *= 2
    this.#places = new Int32Array(placeCount)
    for (const [slot, name] of this.#names.entries()) this.#places[this.#placeOf(name, this.#hashes[slot]!)] = slot + 1
  }
}
