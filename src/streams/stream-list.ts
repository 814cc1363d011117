import type { Clock } from '../core/clock.ts'
import type { Revision } from '../core/positions.ts'
import { compareCursors } from './active-cursors.ts'
import type { HeadLoader } from './head-loader.ts'
import type { StreamCursor } from './index-part.ts'
import type { StreamIndex } from './stream-index.ts'
import { TimeSlices } from './time-slices.ts'

/** A stream with something to read. */
export interface StreamSummary {
  readonly stream: string
  /** Of the first event that is kept, whatever its age. */
  readonly firstRevision: Revision
  readonly lastRevision: Revision
}

const DOLLAR = 0x24

/**
 * Every stream there is, once. The parts of the index are walked side by side, each in the order of hash and name, so that
 * memory does not grow with the number of streams, but for the order of those whose part is in memory.
 */
export class StreamList {
  readonly #index: StreamIndex
  readonly #loader: HeadLoader
  readonly #clock: Clock

  constructor(index: StreamIndex, loader: HeadLoader, clock: Clock) {
    this.#index = index
    this.#loader = loader
    this.#clock = clock
  }

  /**
   * The streams that were there when the walk began, as they are when it comes by, in no order that means anything. Streams of
   * the store's own and deleted ones are left out.
   * @param prefix as UTF-8.
   * @throws (while iterated) CorruptLogError, ReadFailedError
   */
  async *walk(prefix: Uint8Array): AsyncGenerator<StreamSummary, void, undefined> {
    const slices = new TimeSlices(this.#clock)
    const opened = await Promise.allSettled(this.#index.parts().map(part => part.streams(slices)))
    const cursors = opened.flatMap(result => (result.status === 'fulfilled' ? [result.value] : []))
    try {
      for (const result of opened) if (result.status === 'rejected') throw result.reason
      const hasRetention = await this.#loader.knowsOfAny()
      for await (const found of merged(cursors)) {
        if (slices.isOver) await slices.pause()
        if (!isListed(found, prefix)) continue
        const stream = Buffer.from(found.nameBytes).toString('utf8', found.nameOffset, found.nameOffset + found.nameSize)
        const summary = await this.#summary(stream, found, hasRetention)
        if (summary !== null) yield summary
      }
    } finally {
      for (const cursor of cursors) cursor.close()
    }
  }

  async #summary(stream: string, { firstRevision, lastRevision }: Found, hasRetention: boolean): Promise<StreamSummary | null> {
    const retention = hasRetention ? await this.#loader.retentionOf(stream) : null
    if (retention?.isEmptyAt(lastRevision)) return null
    const first = Math.max(firstRevision, retention?.firstRevision(lastRevision) ?? 0)
    return { stream, firstRevision: first as Revision, lastRevision: lastRevision as Revision }
  }
}

/** One stream over all parts. Speaks of it until the next one is asked for. */
interface Found {
  readonly nameBytes: Uint8Array
  readonly nameOffset: number
  readonly nameSize: number
  readonly firstRevision: number
  readonly lastRevision: number
}

/** Streams by hash and name, each once: what the parts say of one stream is put together. */
async function* merged(cursors: readonly StreamCursor[]): AsyncGenerator<Found, void, undefined> {
  /** A binary heap: the cursor that comes first at the root. */
  const heap: StreamCursor[] = []
  for (const cursor of cursors) if (await cursor.next()) heap.push(cursor)
  for (let at = heap.length >> 1; at >= 0; at--) siftDown(heap, at)
  while (heap.length > 0) {
    const { nameBytes, nameOffset, nameSize, hash } = heap[0]!
    const name = nameBytes.slice(nameOffset, nameOffset + nameSize)
    const found = { hash, nameBytes: name, nameOffset: 0, nameSize, firstRevision: Number.POSITIVE_INFINITY, lastRevision: -1 }
    while (heap.length > 0 && compareCursors(heap[0]!, found) === 0) {
      const cursor = heap[0]!
      found.firstRevision = Math.min(found.firstRevision, cursor.firstRevision)
      found.lastRevision = Math.max(found.lastRevision, cursor.lastRevision)
      if (!(await cursor.next())) {
        const last = heap.pop()!
        if (heap.length > 0) heap[0] = last
      }
      siftDown(heap, 0)
    }
    yield found
  }
}

function siftDown(heap: StreamCursor[], from: number): void {
  for (let at = from; ; ) {
    let least = at
    for (const child of [2 * at + 1, 2 * at + 2]) {
      if (child < heap.length && compareCursors(heap[child]!, heap[least]!) < 0) least = child
    }
    if (least === at) return
    const cursor = heap[at]!
    heap[at] = heap[least]!
    heap[least] = cursor
    at = least
  }
}

function isListed({ nameBytes, nameOffset, nameSize }: Found, prefix: Uint8Array): boolean {
  if (nameBytes[nameOffset] === DOLLAR || nameSize < prefix.length) return false
  return prefix.every((byte, i) => nameBytes[nameOffset + i] === byte)
}
