/**
 * Random numbers from a seed (sfc32): the same seed gives the same numbers on every machine, for ever.
 *
 * `fork(label)` gives an independent generator that depends only on the seed and the label, not on how many numbers were drawn:
 * parts of a test draw from forks, so that one more draw in one part leaves the others as they were.
 */
export class Random {
  readonly seed: string
  #a: number
  #b: number
  #c: number
  #counter = 1

  constructor(seed: number | string) {
    this.seed = String(seed)
    let hash = 0x811c9dc5
    for (let index = 0; index < this.seed.length; index++) {
      hash = Math.imul(hash ^ this.seed.charCodeAt(index), 0x01000193)
    }
    this.#a = hash
    this.#b = Math.imul(hash ^ (hash >>> 15), 0x85ebca6b)
    this.#c = this.seed.length
    // Similar seeds give similar first states; twelve rounds spread them.
    for (let round = 0; round < 12; round++) this.next()
  }

  /** An integer from 0 to 2^32 - 1. */
  next(): number {
    const sum = (this.#a + this.#b + this.#counter) | 0
    this.#counter = (this.#counter + 1) | 0
    this.#a = this.#b ^ (this.#b >>> 9)
    this.#b = (this.#c + (this.#c << 3)) | 0
    this.#c = (((this.#c << 21) | (this.#c >>> 11)) + sum) | 0
    return sum >>> 0
  }

  /** An integer from 0 to `count` - 1. */
  int(count: number): number {
    return Math.floor((this.next() / 0x1_0000_0000) * count)
  }

  chance(probability: number): boolean {
    return this.next() < probability * 0x1_0000_0000
  }

  pick<T>(items: readonly T[]): T {
    if (items.length === 0) throw new RangeError('nothing to pick from')
    return items[this.int(items.length)] as T
  }

  bytes(size: number): Uint8Array {
    const bytes = new Uint8Array(size)
    let drawn = 0
    for (let index = 0; index < size; index++) {
      drawn = index % 4 === 0 ? this.next() : drawn >>> 8
      bytes[index] = drawn
    }
    return bytes
  }

  /** A copy in another order. */
  shuffle<T>(items: readonly T[]): T[] {
    const shuffled = [...items]
    for (let last = shuffled.length - 1; last > 0; last--) {
      const other = this.int(last + 1)
      const item = shuffled[last] as T
      shuffled[last] = shuffled[other] as T
      shuffled[other] = item
    }
    return shuffled
  }

  fork(label: number | string): Random {
    return new Random(`${this.seed}/${label}`)
  }
}
