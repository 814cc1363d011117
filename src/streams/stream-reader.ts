import { InvalidArgumentError, StreamNotFoundError } from '../core/errors.ts'
import type { RecordedEvent } from '../core/events.ts'
import { KIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { sizeOf } from '../format/log-record.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { NextBatch } from './event-reading.ts'
import { StoredEvent } from './stored-event.ts'
import type { StreamIndex } from './stream-index.ts'

export interface ReadStreamOptions {
  /** A revision, 'start' or 'end'; inclusive: the first event at or after it, in reading direction. */
  readonly from?: number | 'start' | 'end' | undefined
  /** Backwards begins at the end by default. */
  readonly direction?: 'forwards' | 'backwards' | undefined
  readonly maxCount?: number | undefined
  readonly signal?: AbortSignal | undefined
}

/** Records are copied out of shared memory in batches of about this size, which an event that is kept keeps with it. */
const BATCH_SIZE = 64 * KIB

/** Reads one stream: the index says where its events are, the log has them. */
export class StreamReader {
  readonly #index: StreamIndex
  readonly #log: LogReader
  readonly #published: Checkpoint
  readonly #storeId: Uint8Array

  constructor(index: StreamIndex, log: LogReader, published: Checkpoint, storeId: Uint8Array) {
    this.#index = index
    this.#log = log
    this.#published = published
    this.#storeId = storeId
  }

  /** @param ready awaited before the first look at the index: the end of the read is fixed then. */
  read(stream: string, options: ReadStreamOptions, ready: () => Promise<void> | null): NextBatch {
    const { signal } = options
    let revisions: Revisions | null = null
    return async () => {
      signal?.throwIfAborted()
      if (revisions === null) {
        const waiting = ready()
        if (waiting !== null) await waiting
        revisions = this.#resolve(stream, options)
      }
      const batch = await this.#readBatch(stream, revisions)
      signal?.throwIfAborted()
      return batch
    }
  }

  #resolve(stream: string, options: ReadStreamOptions): Revisions {
    const entry = this.#index.find(stream)
    if (entry === undefined) throw new StreamNotFoundError(stream)
    const backwards = options.direction === 'backwards'
    const { head } = entry
    const from = options.from ?? (backwards ? 'end' : 'start')
    const maxCount = options.maxCount ?? Number.POSITIVE_INFINITY
    let next: number
    if (from === 'start') next = 0
    else if (from === 'end') next = backwards ? head : head + 1
    else next = backwards ? Math.min(from, head) : from
    const available = backwards ? next + 1 : head + 1 - next
    return {
      positions: this.#index.positionsOf(entry),
      next,
      step: backwards ? -1 : 1,
      left: Math.max(0, Math.min(maxCount, available)),
    }
  }

  async #readBatch(stream: string, revisions: Revisions): Promise<readonly RecordedEvent[] | null> {
    if (revisions.left === 0) return null
    const limit = this.#published.position
    const events: RecordedEvent[] = []
    let window: ByteWindow | null = null
    let used = 0
    while (revisions.left > 0) {
      const position = revisions.positions[revisions.next]! as LogPosition
      const place = this.#log.recordInMemory(position) ?? (await this.#log.loadRecord(position, limit))
      if (place === null) {
        // Dropped by a scavenge since the index was asked.
        revisions.next += revisions.step
        revisions.left--
        continue
      }
      const size = sizeOf(place.window.view, place.offset)
      if (window === null) window = ByteWindow.allocate(Math.max(size, Math.min(BATCH_SIZE, size * revisions.left)))
      else if (used + size > window.size) break
      place.window.bytes.copy(window.bytes, used, place.offset, place.offset + size)
      events.push(new StoredEvent(window, used, this.#storeId, stream))
      used += size
      revisions.next += revisions.step
      revisions.left--
    }
    return events.length > 0 ? events : null
  }
}

/** What a read still has to read. */
interface Revisions {
  readonly positions: readonly number[]
  next: number
  readonly step: 1 | -1
  left: number
}

/** @throws InvalidArgumentError */
export function checkReadOptions(options: { direction?: unknown; maxCount?: unknown; from?: unknown }): void {
  const { direction, maxCount, from } = options
  if (direction !== undefined && direction !== 'forwards' && direction !== 'backwards') {
    throw new InvalidArgumentError(`direction must be 'forwards' or 'backwards', got ${JSON.stringify(direction)}`)
  }
  if (maxCount !== undefined && !(Number.isSafeInteger(maxCount) && (maxCount as number) >= 0)) {
    throw new InvalidArgumentError(`maxCount must be a whole number from 0, got ${String(maxCount)}`)
  }
  if (from !== undefined && from !== 'start' && from !== 'end' && !(Number.isSafeInteger(from) && (from as number) >= 0)) {
    throw new InvalidArgumentError(`from must be 'start', 'end' or a whole number from 0, got ${String(from)}`)
  }
}
