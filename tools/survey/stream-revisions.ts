import { Revision } from '#engine/core/positions.ts'
import type { ByteWindow } from '#engine/format/byte-window.ts'
import { streamOffsetOf, streamSizeOf } from '#engine/format/log-record.ts'
import { NameTable } from '#engine/streams/name-table.ts'
import { hashOf } from '#engine/streams/stream-hash.ts'

/** A stream by its number, in the order in which the streams were first met. */
export type StreamNumber = number

/** The last revision of each stream that was met. No string is made for an event. */
export class StreamRevisions {
  readonly #names = new NameTable()
  readonly #revisions: Revision[] = []

  /** The stream of the prepare at `offset`. */
  ofEvent({ bytes, view }: ByteWindow, offset: number): StreamNumber {
    return this.numberOf(bytes, streamOffsetOf(view, offset), streamSizeOf(view, offset))
  }

  /** The stream whose name stands at `start`. */
  numberOf(bytes: Uint8Array, start: number, size: number): StreamNumber {
    const hash = hashOf(bytes, start, size)
    const found = this.#names.find(bytes, start, size, hash)
    if (found >= 0) return found
    this.#revisions.push(Revision.none)
    return this.#names.add(bytes, start, size, hash)
  }

  /** A stream's slot is its number. */
  get names(): NameTable {
    return this.#names
  }

  nameOf(stream: StreamNumber): string {
    const start = this.#names.offsetOf(stream)
    return Buffer.from(this.#names.bytes.subarray(start, start + this.#names.sizeOf(stream))).toString()
  }

  lastRevision(stream: StreamNumber): Revision {
    return this.#revisions[stream]!
  }

  advance(stream: StreamNumber, revision: Revision): void {
    this.#revisions[stream] = revision
  }

  /** Streams with at least one event. */
  get count(): number {
    return this.#revisions.filter(revision => revision >= 0).length
  }
}
