const FIRST_CAPACITY = 16
const SIZE_BYTES = 2

/** The next capacity: twice the last, or half as much again when that would be a lot. */
export function grownCapacity(capacity: number): number {
  return capacity < 32_768 ? Math.max(FIRST_CAPACITY, capacity * 2) : Math.ceil(capacity * 1.5)
}

/** A copy of `array` with room for `capacity` elements. */
export function grown<A extends Int32Array | Uint32Array | Float64Array | Uint8Array>(array: A, capacity: number): A {
  const larger = new (array.constructor as new (capacity: number) => A)(capacity)
  larger.set(array)
  return larger
}

/**
 * Names by their bytes, each with a number, its slot, in the order in which they came. They lie one behind the other in one
 * stretch of memory: a name costs its bytes and 18 more, and adding one allocates nothing. Names that share a hash are told
 * apart by their bytes.
 */
export class NameTable {
  /** Each name is preceded by its size. */
  #arena = new Uint8Array(0)
  #used = 0
  #offsets = new Uint32Array(0)
  #hashes = new Int32Array(0)
  #count = 0
  /** Slot + 1 by hash, 0 where nothing is: open addressing with linear probing, a power of two, at most half full. */
  #places = new Int32Array(FIRST_CAPACITY)

  get count(): number {
    return this.#count
  }

  /** For how many names there is room; arrays beside this one grow with it. */
  get capacity(): number {
    return this.#offsets.length
  }

  get memoryBytes(): number {
    return this.#arena.length + this.#offsets.length * 8 + this.#places.length * 4
  }

  /** Where all names are. Another one after each `add`. */
  get bytes(): Uint8Array {
    return this.#arena
  }

  offsetOf(slot: number): number {
    return this.#offsets[slot]! + SIZE_BYTES
  }

  sizeOf(slot: number): number {
    const at = this.#offsets[slot]!
    return this.#arena[at]! | (this.#arena[at + 1]! << 8)
  }

  hashOf(slot: number): number {
    return this.#hashes[slot]!
  }

  /** @returns the slot, or -1. */
  find(bytes: Uint8Array, offset: number, size: number, hash: number): number {
    const places = this.#places
    const mask = places.length - 1
    for (let place = hash & mask; ; place = (place + 1) & mask) {
      const slot = places[place]! - 1
      if (slot < 0 || (this.#hashes[slot] === hash && this.is(slot, bytes, offset, size))) return slot
    }
  }

  /** Whether the name of `slot` stands at `offset`. */
  is(slot: number, bytes: Uint8Array, offset: number, size: number): boolean {
    if (this.sizeOf(slot) !== size) return false
    const arena = this.#arena
    const start = this.#offsets[slot]! + SIZE_BYTES
    for (let i = 0; i < size; i++) if (arena[start + i] !== bytes[offset + i]) return false
    return true
  }

  /** @param size at most 65,535. @returns the slot of a name that is not there yet. */
  add(bytes: Uint8Array, offset: number, size: number, hash: number): number {
    const slot = this.#count
    if (slot === this.#offsets.length) {
      const capacity = grownCapacity(slot)
      this.#offsets = grown(this.#offsets, capacity)
      this.#hashes = grown(this.#hashes, capacity)
    }
    if ((slot + 1) * 2 > this.#places.length) this.#rehash()
    const start = this.#used
    const end = start + SIZE_BYTES + size
    if (end > this.#arena.length) this.#arena = grown(this.#arena, Math.max(end, grownCapacity(this.#arena.length)))
    const arena = this.#arena
    arena[start] = size
    arena[start + 1] = size >> 8
    for (let i = 0, to = start + SIZE_BYTES; i < size; i++) arena[to + i] = bytes[offset + i]!
    this.#used = end
    this.#offsets[slot] = start
    this.#hashes[slot] = hash
    this.#count = slot + 1
    this.#place(slot)
    return slot
  }

  #place(slot: number): void {
    const places = this.#places
    const mask = places.length - 1
    let place = this.#hashes[slot]! & mask
    while (places[place] !== 0) place = (place + 1) & mask
    places[place] = slot + 1
  }

  #rehash(): void {
    this.#places = new Int32Array(this.#places.length * 2)
    for (let slot = 0; slot < this.#count; slot++) this.#place(slot)
  }
}
