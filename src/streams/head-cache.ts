import { encodeStreamName } from '../core/names.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import type { ActiveIndex } from './active-index.ts'
import type { Retention } from './retention.ts'
import { hashOf } from './stream-hash.ts'

/** How many heads are kept beside those that appends hold. */
export const KEPT_HEAD_COUNT = 100_000
/** Heads that are looked at for each that leaves: the ones used meanwhile get another round. */
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

  constructor(name: string, nameBytes: Uint8Array) {
    this.name = name
    this.nameBytes = nameBytes
    this.hash = hashOf(nameBytes, 0, nameBytes.length)
  }
}

/** The heads of streams that are appended to: those that an append holds, and a bounded number of the others. */
export class HeadCache {
  readonly #heads = new Map<string, CachedHead>()
  readonly #keptCount: number
  #heldCount = 0
  /**
   * A clock hand: the map keeps the order of insertion. It is kept, because a new one would have to pass over all that was deleted
   * since the map was last laid out anew, which is as many as there are heads.
   */
  #hand: Iterator<CachedHead, undefined> = this.#heads.values()

  constructor(keptCount = KEPT_HEAD_COUNT) {
    this.#keptCount = keptCount
  }

  get size(): number {
    return this.#heads.size
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
    }
    if (head.holderCount++ === 0) this.#heldCount++
    head.isUsed = true
    return head
  }

  release(head: CachedHead): void {
    if (--head.holderCount > 0) return
    this.#heldCount--
    // A stream without events costs nothing to ask for again: a million refused appends leave nothing behind.
    if (!head.isKnown || (head.revision === Revision.none && head.retention === null)) this.#heads.delete(head.name)
    else if (this.#heads.size - this.#heldCount > this.#keptCount) this.#evict()
  }

  #evict(): void {
    for (let round = 0; round < ROUNDS_PER_RELEASE; round++) {
      const head = this.#underHand()
      if (head === undefined) return
      this.#heads.delete(head.name)
      if (head.holderCount === 0 && !head.isUsed) return
      head.isUsed = false
      this.#heads.set(head.name, head)
    }
  }

  #underHand(): CachedHead | undefined {
    let { value } = this.#hand.next()
    if (value === undefined) {
      this.#hand = this.#heads.values()
      value = this.#hand.next().value
    }
    return value
  }
}
