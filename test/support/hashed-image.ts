/**
 * The bytes of a file with a hash of them that is kept up to date at the cost of what changes.
 *
 * The hash is a sum over the words that are not zero, each mixed with its place: so zeros cost nothing and don't count, and equal
 * content has an equal hash however it came about. Two lanes of 32 bits make chance collisions negligible at 10^7 states.
 */
export class HashedImage {
  size: number
  /** The hash, two lanes. Call `seal` before use. */
  laneA: number
  laneB: number
  readonly #bytes: Uint8Array
  readonly #words: Uint32Array

  private constructor(capacity: number, size: number, laneA: number, laneB: number) {
    this.#words = new Uint32Array(Math.ceil(capacity / 4))
    this.#bytes = new Uint8Array(this.#words.buffer)
    this.size = size
    this.laneA = laneA
    this.laneB = laneB
  }

  static of(bytes: Uint8Array): HashedImage {
    const image = new HashedImage(bytes.length, bytes.length, 0, 0)
    image.put(bytes, 0)
    return image
  }

  copy(capacity: number): HashedImage {
    const image = new HashedImage(Math.max(capacity, this.#bytes.length), this.size, this.laneA, this.laneB)
    image.#words.set(this.#words)
    return image
  }

  /** The words of a range of the file, as a copy; zeros where it has none. */
  copyWords(first: number, end: number): Uint32Array {
    const words = new Uint32Array(end - first)
    words.set(this.#words.subarray(first, end))
    return words
  }

  /** The content, without a copy. */
  get bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.size)
  }

  at(offset: number): number {
    return this.#bytes[offset] ?? 0
  }

  put(bytes: Uint8Array, offset: number): void {
    const end = offset + bytes.length
    this.#count(offset, end, -1)
    this.#bytes.set(bytes, offset)
    this.#count(offset, end, 1)
  }

  zeroFrom(offset: number): void {
    if (offset >= this.#bytes.length) return
    this.#count(offset, this.#bytes.length, -1)
    const word = offset >>> 2
    this.#bytes.fill(0, offset)
    this.#count(offset, Math.min((word + 1) * 4, this.#bytes.length), 1)
  }

  /** Drops what lies past the size: a file system shows nothing of it, later growth shows zeros. */
  seal(): this {
    this.zeroFrom(this.size)
    return this
  }

  #count(from: number, to: number, sign: 1 | -1): void {
    const first = from >>> 2
    const [laneA, laneB] = hashWords(this.#words.subarray(first, (to + 3) >>> 2), first)
    this.laneA = (this.laneA + sign * laneA) | 0
    this.laneB = (this.laneB + sign * laneB) | 0
  }
}

/** The two lanes of words that stand at `first` and behind, as a part of their file's hash: those of the parts add up. */
export function hashWords(words: Uint32Array, first: number): [laneA: number, laneB: number] {
  let laneA = 0
  let laneB = 0
  for (let index = 0; index < words.length; index++) {
    const word = words[index] as number
    if (word === 0) continue
    const place = first + index + 1
    laneA = (laneA + mix(word, Math.imul(place, 0x9e3779b1))) | 0
    laneB = (laneB + mix(word, Math.imul(place, 0x7feb352d) ^ 0x5bd1e995)) | 0
  }
  return [laneA, laneB]
}

/** A 32-bit mix of two numbers. */
export function mix(value: number, salt: number): number {
  let mixed = Math.imul(value ^ salt, 0x85ebca6b)
  mixed = Math.imul(mixed ^ (mixed >>> 15) ^ salt, 0xc2b2ae35)
  return mixed ^ (mixed >>> 13)
}

/** 53 bits of two lanes. */
export function joinLanes(laneA: number, laneB: number): number {
  return (laneA >>> 0) * 0x20_0000 + (laneB >>> 11)
}
