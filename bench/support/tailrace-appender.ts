import { EventStore } from 'tailrace'
import type { Appender, AppenderCounts } from './appender.ts'
import type { CellSpec } from './cells.ts'

const DEFAULT_MAX_PENDING_BYTES = 64 * 1024 * 1024
/** More than a record costs beside its payload. */
const RECORD_OVERHEAD_BYTES = 512

/** The engine through its public door, with default options wherever the load allows. */
export class TailraceAppender implements Appender {
  readonly #store: EventStore

  private constructor(store: EventStore) {
    this.#store = store
  }

  static async open(spec: CellSpec): Promise<TailraceAppender> {
    const { directory, durability, inFlight, payloadBytes } = spec
    const pendingBytes = inFlight * (payloadBytes + RECORD_OVERHEAD_BYTES)
    // 4,096 clients with 16 KiB each are more than the default lets in: a measured QueueFullError would say nothing.
    const bound = pendingBytes > DEFAULT_MAX_PENDING_BYTES ? { maxPendingBytes: pendingBytes } : {}
    return new TailraceAppender(await EventStore.open(directory, { durability, ...bound }))
  }

  append(stream: string, data: Uint8Array): Promise<unknown> {
    return this.#store.append(stream, { type: 'Measured', data })
  }

  counts(): AppenderCounts {
    const { writer, flush } = this.#store.stats()
    return { appends: writer.appends, flushes: flush.count }
  }

  close(): Promise<void> {
    return this.#store.close()
  }
}
