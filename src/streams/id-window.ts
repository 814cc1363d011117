import { EVENT_ID_SIZE } from '../core/event-id.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import { KEPT_ID_COUNT } from './index-part.ts'

/** An event with a supplied id that goes: once it is gone, the id is free again. */
export interface DroppedId {
  readonly id: Uint8Array
  readonly stream: string
  readonly streamHash: number
  readonly revision: Revision
  readonly position: LogPosition
}

const NONE = -1
const FIRST_CAPACITY = 1024

/**
 * The ids that appenders supplied last, in log order, with the streams they were supplied for: as many as a retry with 'any'
 * may look back to, and not one more, so that its answer is the same before and after a restart. An id is looked for together
 * with its stream; the same pair may stand there several times.
 *
 * A ring: event `n` (counted from the first ever) is at `n % capacity`; all events of one bucket are chained, newest first.
 */
export class IdWindow {
  #capacity = FIRST_CAPACITY
  #ids = new Uint8Array(FIRST_CAPACITY * EVENT_ID_SIZE)
  #hashes = new Int32Array(FIRST_CAPACITY)
  #revisions = new Float64Array(FIRST_CAPACITY)
  #positions = new Float64Array(FIRST_CAPACITY)
  /** The event before in the same bucket; it may have left the ring. */
  #previous = new Float64Array(FIRST_CAPACITY)
  /** Undefined for events that were read from the index, which knows only hashes, until somebody has looked. */
  #streams: (string | undefined)[] = new Array<string | undefined>(FIRST_CAPACITY)
  #buckets = new Float64Array(FIRST_CAPACITY * 2).fill(NONE)
  /** The ring holds the events from `#oldest` up to `#next`. */
  #oldest = 0
  #next = 0
  readonly #maxCount: number

  constructor(maxCount = KEPT_ID_COUNT) {
    this.#maxCount = maxCount
  }

  get count(): number {
    return this.#next - this.#oldest
  }

  /** @param id holds it at `offset`. @param streamHash by `hashOf`. @param position only matters where the stream is unknown. */
  add(id: Uint8Array, offset: number, stream: string | undefined, streamHash: number, revision: number, position: number): void {
    if (this.count === this.#capacity && this.#capacity < this.#maxCount) this.#grow()
    if (this.count === Math.min(this.#capacity, this.#maxCount)) this.#oldest++
    const slot = this.#next % this.#capacity
    this.#ids.set(
      offset === 0 && id.length === EVENT_ID_SIZE ? id : id.subarray(offset, offset + EVENT_ID_SIZE),
      slot * EVENT_ID_SIZE,
    )
    this.#hashes[slot] = streamHash
    this.#revisions[slot] = revision
    this.#positions[slot] = position
    this.#streams[slot] = stream
    this.#chain(this.#next++)
  }

  /** Takes the newest back. What it pushed out stays out: nobody minds a window that is too short by what was undone. */
  forgetNewest(): void {
    // Of more than it holds, the first had to go for the last.
    if (this.count === 0) return
    const slot = --this.#next % this.#capacity
    this.#buckets[this.#bucketOf(this.#ids, slot * EVENT_ID_SIZE, this.#hashes[slot]!)] = this.#previous[slot]!
    this.#streams[slot] = undefined
  }

  /**
   * From which revision on the events with these ids stand one behind the other in `stream`; null when the first of them is
   * unknown there, 'mixed' when it is known, but not the others behind it.
   */
  find(ids: readonly Uint8Array[], stream: string, streamHash: number): number | 'mixed' | null {
    let isKnown = false
    const first = ids[0]!
    for (let event = this.#newest(first, streamHash); event !== NONE; event = this.#before(event, first, streamHash)) {
      if (this.#streams[event % this.#capacity] !== stream) continue
      isKnown = true
      const firstRevision = this.#revisions[event % this.#capacity]!
      if (ids.every((id, i) => this.#stands(id, firstRevision + i, stream, streamHash))) return firstRevision
    }
    return isKnown ? 'mixed' : null
  }

  /** Positions of events with this id whose stream has the hash, but is not known by name. */
  unnamed(id: Uint8Array, streamHash: number): number[] {
    const positions: number[] = []
    for (let event = this.#newest(id, streamHash); event !== NONE; event = this.#before(event, id, streamHash)) {
      const slot = event % this.#capacity
      if (this.#streams[slot] === undefined) positions.push(this.#positions[slot]!)
    }
    return positions
  }

  /** Another stream whose name has the same hash keeps its own. */
  drop({ id, stream, streamHash, revision, position }: DroppedId): void {
    for (let event = this.#newest(id, streamHash); event !== NONE; event = this.#before(event, id, streamHash)) {
      const slot = event % this.#capacity
      const known = this.#streams[slot]
      const isGone =
        known === undefined ? this.#positions[slot] === position : known === stream && this.#revisions[slot] === revision
      if (isGone) this.#streams[slot] = ''
    }
  }

  /** The event at `position`, one of those `unnamed` told, is in `stream`. */
  name(id: Uint8Array, streamHash: number, position: number, stream: string): void {
    for (let event = this.#newest(id, streamHash); event !== NONE; event = this.#before(event, id, streamHash)) {
      const slot = event % this.#capacity
      if (this.#positions[slot] === position && this.#streams[slot] === undefined) this.#streams[slot] = stream
    }
  }

  #stands(id: Uint8Array, revision: number, stream: string, streamHash: number): boolean {
    for (let event = this.#newest(id, streamHash); event !== NONE; event = this.#before(event, id, streamHash)) {
      const slot = event % this.#capacity
      if (this.#revisions[slot] === revision && this.#streams[slot] === stream) return true
    }
    return false
  }

  #newest(id: Uint8Array, streamHash: number): number {
    return this.#match(this.#buckets[this.#bucketOf(id, 0, streamHash)]!, id, streamHash)
  }

  #before(event: number, id: Uint8Array, streamHash: number): number {
    return this.#match(this.#previous[event % this.#capacity]!, id, streamHash)
  }

  /** The event `from` or the newest before it in its bucket that has id and hash. */
  #match(from: number, id: Uint8Array, streamHash: number): number {
    for (let event = from; event >= this.#oldest; event = this.#previous[event % this.#capacity]!) {
      const slot = event % this.#capacity
      if (this.#hashes[slot] === streamHash && this.#isId(id, slot * EVENT_ID_SIZE)) return event
    }
    return NONE
  }

  #isId(id: Uint8Array, at: number): boolean {
    for (let i = 0; i < EVENT_ID_SIZE; i++) if (this.#ids[at + i] !== id[i]) return false
    return true
  }

  #bucketOf(ids: Uint8Array, offset: number, streamHash: number): number {
    let hash = streamHash
    for (let i = 0; i < EVENT_ID_SIZE; i++) hash = Math.imul(hash ^ ids[offset + i]!, 0x01000193)
    return (hash ^ (hash >>> 15)) & (this.#buckets.length - 1)
  }

  #chain(event: number): void {
    const slot = event % this.#capacity
    const bucket = this.#bucketOf(this.#ids, slot * EVENT_ID_SIZE, this.#hashes[slot]!)
    this.#previous[slot] = this.#buckets[bucket]!
    this.#buckets[bucket] = event
  }

  #grow(): void {
    const { count } = this
    const from = Array.from({ length: count }, (_, i) => (this.#oldest + i) % this.#capacity)
    const ids = new Uint8Array(this.#capacity * 2 * EVENT_ID_SIZE)
    from.forEach((slot, i) => {
      ids.set(this.#ids.subarray(slot * EVENT_ID_SIZE, (slot + 1) * EVENT_ID_SIZE), i * EVENT_ID_SIZE)
    })
    this.#ids = ids
    this.#capacity *= 2
    this.#hashes = moved(new Int32Array(this.#capacity), this.#hashes, from)
    this.#revisions = moved(new Float64Array(this.#capacity), this.#revisions, from)
    this.#positions = moved(new Float64Array(this.#capacity), this.#positions, from)
    const streams = from.map(slot => this.#streams[slot])
    streams.length = this.#capacity
    this.#streams = streams
    this.#previous = new Float64Array(this.#capacity)
    this.#buckets = new Float64Array(this.#capacity * 2).fill(NONE)
    this.#oldest = 0
    this.#next = count
    for (let event = 0; event < count; event++) this.#chain(event)
  }
}

function moved<A extends Int32Array | Float64Array>(target: A, source: A, from: readonly number[]): A {
  from.forEach((slot, i) => {
    target[i] = source[slot]!
  })
  return target
}
