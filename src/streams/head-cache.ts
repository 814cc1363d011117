import { encodeStreamNameInto } from '../core/names.ts'
import { Revision } from '../core/positions.ts'
import { CachedHead } from './cached-head.ts'
import { PackedHeads } from './packed-heads.ts'

/** How many heads are kept as they are, beside those that appends hold; more would grow old one by one, and be garbage then. */
const RECENT_HEAD_COUNT = 1024
/** How many more are kept packed. */
const PACKED_HEAD_COUNT = 100_000
/** Heads that are looked at for each release: the ones used meanwhile get another round. */
const ROUNDS_PER_RELEASE = 4

/** Names up to this size are written over those of heads that went. */
const SPARE_NAME_SIZE = 64
/** So many of each size are kept for that. */
const SPARE_NAME_COUNT = 1024

/** The heads of streams that are appended to: those that an append holds, some that were held lately, and many more, packed. */
export class HeadCache {
  readonly #heads = new Map<string, CachedHead>()
  /** The same, for the hand that goes round. */
  readonly #ring: CachedHead[] = []
  readonly #recentCount: number
  readonly #packed: PackedHeads
  #heldCount = 0
  #hand = 0
  /** By size. A typed array takes more to make, and to carry from one generation to the next, than the few bytes in it. */
  readonly #spareNames: Uint8Array[][] = Array.from({ length: SPARE_NAME_SIZE + 1 }, () => [])

  constructor(recentCount = RECENT_HEAD_COUNT, packedCount = PACKED_HEAD_COUNT) {
    this.#recentCount = recentCount
    this.#packed = new PackedHeads(packedCount)
  }

  /** Heads that are not packed. */
  get size(): number {
    return this.#ring.length
  }

  /** A head that is not packed. */
  find(stream: string): CachedHead | undefined {
    return this.#heads.get(stream)
  }

  /** @throws InvalidArgumentError for a name that is none. */
  hold(stream: string): CachedHead {
    let head = this.#heads.get(stream)
    if (head === undefined) {
      head = new CachedHead(stream, encodeStreamNameInto(stream, this.#spareFor(stream)))
      this.#packed.restore(head)
      this.#heads.set(stream, head)
      head.place = this.#ring.push(head) - 1
    }
    if (head.holderCount++ === 0) this.#heldCount++
    head.isUsed = true
    return head
  }

  /** @param stream not checked yet: callers without types may pass anything. */
  #spareFor(stream: unknown): Uint8Array | undefined {
    return typeof stream === 'string' ? this.#spareNames[stream.length]?.pop() : undefined
  }

  release(head: CachedHead): void {
    if (--head.holderCount > 0) return
    this.#heldCount--
    // A stream without events costs nothing to ask for again: a million refused appends leave nothing behind.
    if (!head.isKnown || (head.revision === Revision.none && head.retention === null)) this.#remove(head)
    else this.#evict()
  }

  /**
   * Each head that comes is looked at twice, once for another round and once to go. Looking at more than two for each that comes
   * brings their number down again, whatever it grew to while all were in use.
   */
  #evict(): void {
    for (let round = 0; round < ROUNDS_PER_RELEASE && this.#isOver; round++) {
      if (this.#hand >= this.#ring.length) this.#hand = 0
      const head = this.#ring[this.#hand]!
      if (head.holderCount === 0 && !head.isUsed) {
        this.#remove(head)
        this.#packed.put(head)
        continue
      }
      head.isUsed = false
      this.#hand++
    }
  }

  /** The last one takes its place. */
  #remove(head: CachedHead): void {
    this.#heads.delete(head.name)
    // Nobody holds it: its name is written and noted wherever it is needed. But who had another look-up fail may have left this one.
    const spare = head.loading === null ? this.#spareNames[head.nameBytes.length] : undefined
    if (spare !== undefined && spare.length < SPARE_NAME_COUNT) spare.push(head.nameBytes)
    const last = this.#ring.pop()!
    if (last === head) return
    this.#ring[head.place] = last
    last.place = head.place
  }

  get #isOver(): boolean {
    return this.#ring.length - this.#heldCount > this.#recentCount
  }
}
