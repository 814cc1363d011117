import { encodeStreamName } from '../core/names.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import type { ActiveIndex } from './active-index.ts'
import type { Retention } from './retention.ts'
import { hashOf } from './stream-hash.ts'

/** How many heads are kept beside those that appends hold. */
export const KEPT_HEAD_COUNT = 100_000
/** Heads that are looked at for each release: the ones used meanwhile get another round. */
const ROUNDS_PER_RELEASE = 4

/** What is known of one stream's end: as written, which is what the next append goes by, and as committed. */
export class CachedHead implements StreamHead {
  readonly name: string
  readonly nameBytes: Uint8Array
  readonly hash: number
  /** Of the last event that was written, committed or not. */
  revision: Revision = Revision.none
  /** As the last append of metadata says, committed or not. */
  retention: Retention | null = null
  committedRevision: Revision = Revision.none
  committedPosition: LogPosition = LogPosition.start
  committedRetention: Retention | null = null
  /** Appends on their way that hold this head. */
  holderCount = 0
  /** False until the index was asked. */
  isKnown = false
  /** The asking. */
  loading: Promise<void> | null = null
  /** The stream's slot in `slotOwner`. */
  slot = 0
  slotOwner: ActiveIndex | null = null
  /** Used since the cache last came by. */
  isUsed = false
  /** Where it stands in the cache. */
  place = 0

  constructor(name: string, nameBytes: Uint8Array) {
    this.name = name
    this.nameBytes = nameBytes
    this.hash = hashOf(nameBytes, 0, nameBytes.length)
  }
}

/** The heads of streams that are appended to: those that an append holds, and a bounded number of the others. */
export class HeadCache {
  readonly #heads = new Map<string, CachedHead>()
  /** The same, for the hand that goes round. */
  readonly #ring: CachedHead[] = []
  readonly #keptCount: number
  #heldCount = 0
  #hand = 0

  constructor(keptCount = KEPT_HEAD_COUNT) {
    this.#keptCount = keptCount
  }

  get size(): number {
    return this.#ring.length
  }

  find(stream: string): CachedHead | undefined {
    return this.#heads.get(stream)
  }

  /** @throws InvalidArgumentError for a name that is none. */
  hold(stream: string): CachedHead {
    let head = this.#heads.get(stream)
    if (head === undefined) {
      head = new CachedHead(stream, encodeStreamName(stream))
      this.#heads.set(stream, head)
      head.place = this.#ring.push(head) - 1
    }
    if (head.holderCount++ === 0) this.#heldCount++
    head.isUsed = true
    return head
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
        continue
      }
      head.isUsed = false
      this.#hand++
    }
  }

  /** The last one takes its place. */
  #remove(head: CachedHead): void {
    this.#heads.delete(head.name)
    const last = this.#ring.pop()!
    if (last === head) return
    this.#ring[head.place] = last
    last.place = head.place
  }

  get #isOver(): boolean {
    return this.#ring.length - this.#heldCount > this.#keptCount
  }
}
