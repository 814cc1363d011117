import { KIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { sizeOf } from '../format/log-record.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { EventSelection } from './event-filter.ts'
import type { NextBatch } from './event-reading.ts'
import { courseOf, type ReadStreamOptions } from './read-options.ts'
import { eventsOf } from './stored-event.ts'

const BATCH_SIZE = 256 * KIB

/** Reads the whole log in order of position. Below the published position every prepare has its commit. */
export class AllReader {
  readonly #log: LogReader
  readonly #published: Checkpoint
  readonly #storeId: Uint8Array

  constructor(log: LogReader, published: Checkpoint, storeId: Uint8Array) {
    this.#log = log
    this.#published = published
    this.#storeId = storeId
  }

  /** @param ready awaited before the end of the read is fixed. */
  read(options: ReadStreamOptions, selection: EventSelection, ready: () => Promise<void> | null): NextBatch {
    const { signal } = options
    const { from, backwards, maxCount } = courseOf(options)
    let left = maxCount
    let limit: LogPosition | null = null
    let next = LogPosition.start
    return async () => {
      signal?.throwIfAborted()
      if (limit === null) {
        const waiting = ready()
        if (waiting !== null) await waiting
        limit = this.#published.position
        next = await this.#start(from, backwards, limit)
      }
      if (left === 0) return null
      const batch = backwards
        ? await this.#log.readBackward(next, BATCH_SIZE)
        : await this.#log.readForward(next, limit, BATCH_SIZE)
      signal?.throwIfAborted()
      if (batch === null) return null
      next = batch.next
      const events = eventsOf(batch, this.#storeId, selection, left, false)
      left -= events.length
      return events
    }
  }

  async #start(from: number | 'start' | 'end', backwards: boolean, limit: LogPosition): Promise<LogPosition> {
    if (from === 'end') return limit
    const position = from === 'start' ? LogPosition.start : LogPosition.of(from)
    const boundary = await this.#log.boundaryFrom(position, limit)
    if (!backwards || boundary > position || boundary >= limit) return boundary
    const batch = await this.#log.readForward(boundary, limit, 1)
    return batch === null ? boundary : LogPosition.plus(boundary, sizeOf(batch.window.view, batch.offsets[0]!))
  }
}
