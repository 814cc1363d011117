import type { RecordedEvent } from '../core/events.ts'
import { KIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { RecordType, sizeOf, streamOffsetOf, typeOf } from '../format/log-record.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordBatch } from '../log/record-batch.ts'
import type { NextBatch } from './event-reading.ts'
import { StoredEvent } from './stored-event.ts'

export interface ReadAllOptions {
  /** A position, 'start' or 'end'; inclusive: the first event at or after it, in reading direction. */
  readonly from?: number | 'start' | 'end' | undefined
  /** Backwards begins at the end by default. */
  readonly direction?: 'forwards' | 'backwards' | undefined
  readonly maxCount?: number | undefined
  /** Streams whose name begins with `$` are left out unless this is true. */
  readonly includeSystem?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

const BATCH_SIZE = 256 * KIB
const DOLLAR = 0x24

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
  read(options: ReadAllOptions, ready: () => Promise<void> | null): NextBatch {
    const { signal, includeSystem = false } = options
    const backwards = options.direction === 'backwards'
    let left = options.maxCount ?? Number.POSITIVE_INFINITY
    let limit: LogPosition | null = null
    let next = LogPosition.start
    return async () => {
      signal?.throwIfAborted()
      if (limit === null) {
        const waiting = ready()
        if (waiting !== null) await waiting
        limit = this.#published.position
        next = await this.#start(options.from ?? (backwards ? 'end' : 'start'), backwards, limit)
      }
      while (left > 0) {
        const batch = backwards
          ? await this.#log.readBackward(next, BATCH_SIZE)
          : await this.#log.readForward(next, limit, BATCH_SIZE)
        signal?.throwIfAborted()
        if (batch === null) return null
        next = batch.next
        const events = this.#eventsOf(batch, includeSystem, left)
        left -= events.length
        if (events.length > 0) return events
      }
      return null
    }
  }

  async #start(from: number | 'start' | 'end', backwards: boolean, limit: LogPosition): Promise<LogPosition> {
    if (from === 'end') return limit
    const position = from === 'start' ? LogPosition.start : LogPosition.of(from)
    const boundary = await this.#log.boundaryFrom(position, limit)
    if (!backwards || boundary >= limit || (boundary > position && from !== 'start')) return boundary
    const batch = await this.#log.readForward(boundary, limit, 1)
    return batch === null ? boundary : LogPosition.plus(boundary, sizeOf(batch.window.view, batch.offsets[0]!))
  }

  #eventsOf(batch: RecordBatch, includeSystem: boolean, maxCount: number): RecordedEvent[] {
    const { window, offsets } = batch
    const events: RecordedEvent[] = []
    for (const offset of offsets) {
      if (typeOf(window.view, offset) !== RecordType.prepare) continue
      if (!includeSystem && isSystemEvent(window, offset)) continue
      if (events.length === maxCount) break
      events.push(new StoredEvent(window, offset, this.#storeId))
    }
    return events
  }
}

function isSystemEvent(window: ByteWindow, offset: number): boolean {
  return window.bytes[streamOffsetOf(window.view, offset)] === DOLLAR
}
