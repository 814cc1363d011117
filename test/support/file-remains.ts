import { type HashedImage, hashWords, joinLanes, mix } from './hashed-image.ts'

/** The two lanes of a hash. */
export interface Lanes {
  readonly laneA: number
  readonly laneB: number
}

/** What became of a stretch of a file. */
export interface Stretch extends Lanes {
  /** Where it begins. */
  readonly start: number
  readonly bytes: Uint8Array
  /** The lanes are what it adds to those of the durable file; these are the same, with torn sectors as garbage. */
  readonly classes: Lanes
}

/** A file after a crash. Its hash is known before its bytes are put together, which most of the time nobody asks for. */
export class FileRemains {
  readonly size: number
  /** Equal for equal content, the size apart. */
  readonly content: Lanes
  /** The same with torn sectors as garbage: equal when every sector is of the same class. */
  readonly classes: Lanes
  readonly #durable: HashedImage
  readonly #stretches: readonly Stretch[]
  #key: number | null = null

  constructor(durable: HashedImage, size: number, content: Lanes, classes: Lanes, stretches: readonly Stretch[]) {
    this.#durable = durable
    this.size = size
    this.content = content
    this.classes = classes
    this.#stretches = stretches
  }

  /** The file as the image is. */
  static of(image: HashedImage, classes: Lanes = image): FileRemains {
    return new FileRemains(image, image.size, image, classes, [])
  }

  /** 53 bits; equal for equal content and size. */
  get key(): number {
    const { laneA, laneB } = this.content
    this.#key ??= joinLanes(mix(laneA, this.size), mix(laneB, ~this.size))
    return this.#key
  }

  /** The content; of a file without changes not a copy, so never change it. */
  bytes(): Uint8Array {
    const durable = this.#durable.bytes
    if (this.#stretches.length === 0 && durable.length === this.size) return durable
    const bytes = new Uint8Array(this.size)
    bytes.set(durable)
    for (const { start, bytes: part } of this.#stretches) bytes.set(part.subarray(0, Math.max(0, this.size - start)), start)
    return bytes
  }
}

/** What `after`, the words from `first` on, adds to the hash of `durable`. */
export function lanesOfChange(durable: HashedImage, first: number, after: Uint32Array): Lanes {
  const [beforeA, beforeB] = hashWords(durable.copyWords(first, first + after.length), first)
  const [afterA, afterB] = hashWords(after, first)
  return { laneA: (afterA - beforeA) | 0, laneB: (afterB - beforeB) | 0 }
}
