import { EventStore } from 'tailrace'
import type { AppenderCounts } from './appender.ts'
import type { OpenSpec, Subject, Take } from './subject.ts'

const DEFAULT_MAX_PENDING_BYTES = 64 * 1024 * 1024
const DEFAULT_CHUNK_BYTES = 64 * 1024 * 1024
/** More than a record costs beside its payload. */
const RECORD_OVERHEAD_BYTES = 512

/** The engine through its public door, with default options wherever the load allows. */
export class TailraceSubject implements Subject {
  readonly #store: EventStore

  private constructor(store: EventStore) {
    this.#store = store
  }

  static async open({ directory, durability, inFlight, payloadBytes, cacheBytes }: OpenSpec): Promise<TailraceSubject> {
    const pendingBytes = inFlight * (payloadBytes + RECORD_OVERHEAD_BYTES)
    // 4,096 clients with 16 KiB each are more than the default lets in: a measured QueueFullError would say nothing.
    const bound = pendingBytes > DEFAULT_MAX_PENDING_BYTES ? { maxPendingBytes: pendingBytes } : {}
    return new TailraceSubject(await EventStore.open(directory, { durability, cacheBytes, ...bound }))
  }

  append(stream: string, data: Uint8Array): Promise<unknown> {
    return this.#store.append(stream, { type: 'Measured', data })
  }

  appendBatch(stream: string, batch: readonly Uint8Array[]): Promise<unknown> {
    return this.#store.append(
      stream,
      batch.map(data => ({ type: 'Measured', data })),
    )
  }

  scan(take: Take, limit: number): Promise<number> {
    return deliver(this.#store.readAll({ maxCount: limit }), take)
  }

  readStream(stream: string, take: Take): Promise<number> {
    return deliver(this.#store.readStream(stream), take)
  }

  activeFill(): number {
    return (this.#store.lastPosition % DEFAULT_CHUNK_BYTES) / DEFAULT_CHUNK_BYTES
  }

  counts(): AppenderCounts {
    const { writer, flush } = this.#store.stats()
    return { appends: writer.appends, flushes: flush.count }
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}

async function deliver(reading: ReturnType<EventStore['readAll']>, take: Take): Promise<number> {
  let count = 0
  for await (const batch of reading.batches()) {
    for (const event of batch) take(event.stream, event.revision, event.bytes)
    count += batch.length
  }
  return count
}
