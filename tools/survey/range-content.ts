import { KEPT_ID_COUNT } from '#engine/streams/index-part.ts'
import { count } from '../output.ts'

/**
 * What stands in a range of the log, or what an index file says of it, in a few numbers: two of them are equal if both speak of the
 * same events, whatever their order. Memory does not grow with the events.
 */
export class RangeContent {
  readonly #events = new Digest()
  readonly #ids = new Digest()
  /** By the number of the type. */
  readonly #lastOfTypes = new Map<number, number>()

  /** @param stream a number for its name, the same for both sides. */
  addEvent(stream: number, revision: number, position: number): void {
    this.#events.add(stream, revision, position)
  }

  /** @param type a number for its name, the same for both sides. */
  noteType(type: number, position: number): void {
    this.#lastOfTypes.set(type, Math.max(position, this.#lastOfTypes.get(type) ?? 0))
  }

  /** @param id a hash of it. */
  addId(id: number, revision: number, position: number): void {
    this.#ids.add(id, revision, position)
  }

  /** How what an index says differs from this, the log; null when it does not. */
  differenceOf(index: RangeContent): string | null {
    const { count: eventCount } = this.#events
    if (index.#events.count !== eventCount) return `it has ${count(index.#events.count, 'event')}, the log has ${eventCount}`
    if (!index.#events.equals(this.#events)) return 'it has other events, revisions or positions than the log'
    if (index.#lastOfTypes.size !== this.#lastOfTypes.size) {
      return `it has ${count(index.#lastOfTypes.size, 'event type')}, the log has ${this.#lastOfTypes.size}`
    }
    for (const [type, position] of this.#lastOfTypes) {
      if (index.#lastOfTypes.get(type) !== position) return 'the last event of a type is not where it says'
    }
    const idCount = Math.min(KEPT_ID_COUNT, this.#ids.count)
    if (index.#ids.count !== idCount) return `it has ${count(index.#ids.count, 'supplied id')}, the log has ${idCount}`
    // Of more, a file keeps the newest only.
    const areAllKept = idCount === this.#ids.count
    return areAllKept && !index.#ids.equals(this.#ids) ? 'it has other supplied ids than the log' : null
  }
}

/** A sum over triples: 64 bits, and their number. */
class Digest {
  count = 0
  #one = 0
  #other = 0

  add(what: number, revision: number, position: number): void {
    this.count++
    this.#one = (this.#one + mixed(0x243f6a88, what, revision, position)) | 0
    this.#other = (this.#other + mixed(0x13198a2e, what, revision, position)) | 0
  }

  equals(other: Digest): boolean {
    return this.count === other.count && this.#one === other.#one && this.#other === other.#other
  }
}

const TWO_POW_32 = 0x1_0000_0000

function mixed(seed: number, what: number, revision: number, position: number): number {
  const highs = Math.imul(Math.floor(revision / TWO_POW_32), 31) + Math.floor(position / TWO_POW_32)
  return mix(mix(mix(mix(seed ^ what) ^ revision) ^ position) ^ highs)
}

/** The end of MurmurHash3: every bit changes all others. */
function mix(value: number): number {
  let hash = value ^ (value >>> 16)
  hash = Math.imul(hash, 0x85ebca6b)
  hash ^= hash >>> 13
  hash = Math.imul(hash, 0xc2b2ae35)
  return hash ^ (hash >>> 16)
}
