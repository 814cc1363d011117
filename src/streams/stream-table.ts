import { Revision } from '../core/positions.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import { NO_EVENT, type StreamEvents } from './event-table.ts'

/** What is known of one stream. */
export class StreamEntry implements StreamHead, StreamEvents {
  readonly name: string
  readonly nameBytes: Uint8Array
  readonly hash: number
  /** Of the last event that was written, committed or not. */
  revision: Revision = Revision.none
  /** How many events are committed. */
  eventCount = 0
  /** Of the last committed event, in the event table. */
  lastEvent = NO_EVENT
  /** Positions by revision, as far as a read has asked for them. */
  readonly positions: number[] = []
  /** Appends on their way that hold this entry. */
  holderCount = 0

  constructor(name: string, nameBytes: Uint8Array, hash: number) {
    this.name = name
    this.nameBytes = nameBytes
    this.hash = hash
  }

  /** The last committed revision. */
  get head(): Revision {
    return (this.eventCount - 1) as Revision
  }
}

/**
 * Streams by name, and by the bytes of their name as they stand in a record: the second way makes no string. Names that
 * share a hash are told apart by their bytes.
 */
export class StreamTable {
  readonly #byName = new Map<string, StreamEntry>()
  /** Open addressing with linear probing; a power of two, at most half full. Entries with committed events never leave. */
  #slots: (StreamEntry | undefined)[] = new Array<StreamEntry | undefined>(1024)
  #slotCount = 0

  get size(): number {
    return this.#byName.size
  }

  byName(name: string): StreamEntry | undefined {
    return this.#byName.get(name)
  }

  /** Makes an entry for a stream that nobody knows yet. It is found by its bytes once `index` was called. */
  add(name: string, nameBytes: Uint8Array): StreamEntry {
    const entry = new StreamEntry(name, nameBytes, hashOf(nameBytes, 0, nameBytes.length))
    this.#byName.set(name, entry)
    return entry
  }

  remove(entry: StreamEntry): void {
    this.#byName.delete(entry.name)
  }

  /** The entry whose name stands at `offset`; a stream seen for the first time gets one. */
  byBytes(bytes: Buffer, offset: number, size: number): StreamEntry {
    const hash = hashOf(bytes, offset, size)
    const mask = this.#slots.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const entry = this.#slots[slot]
      if (entry === undefined) break
      if (entry.hash === hash && isName(entry.nameBytes, bytes, offset, size)) return entry
    }
    const name = bytes.toString('utf8', offset, offset + size)
    const entry = this.#byName.get(name) ?? this.add(name, new Uint8Array(bytes.subarray(offset, offset + size)))
    this.#insert(entry)
    return entry
  }

  *entries(): IterableIterator<StreamEntry> {
    yield* this.#byName.values()
  }

  #insert(entry: StreamEntry): void {
    if (++this.#slotCount * 2 > this.#slots.length) {
      const old = this.#slots
      this.#slots = new Array<StreamEntry | undefined>(old.length * 2)
      for (const moved of old) if (moved !== undefined) this.#place(moved)
    }
    this.#place(entry)
  }

  #place(entry: StreamEntry): void {
    const mask = this.#slots.length - 1
    let slot = entry.hash & mask
    while (this.#slots[slot] !== undefined) slot = (slot + 1) & mask
    this.#slots[slot] = entry
  }
}

/** FNV-1a over the bytes, its high bits folded into the low ones that choose the slot. */
function hashOf(bytes: Uint8Array, offset: number, size: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < size; i++) hash = Math.imul(hash ^ bytes[offset + i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}

function isName(name: Uint8Array, bytes: Uint8Array, offset: number, size: number): boolean {
  if (name.length !== size) return false
  for (let i = 0; i < size; i++) if (name[i] !== bytes[offset + i]) return false
  return true
}
