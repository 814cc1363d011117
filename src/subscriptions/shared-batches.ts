import { KIB, MIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordBatch } from '../log/record-batch.ts'

const BATCH_SIZE = 256 * KIB
/** What is kept for readers that come a moment later, beside the newest batch, whatever its size. */
const KEPT_SIZE = 2 * MIB

/**
 * Reads of the log that subscribers share: those who stand at the same place get the same bytes, which were read or copied once.
 * At the tail that is everyone who keeps up.
 */
export class SharedBatches {
  readonly #reader: LogReader
  readonly #batches = new Map<LogPosition, Promise<RecordBatch | null>>()
  /** In the order in which they came, oldest first. */
  readonly #kept: { readonly from: LogPosition; readonly size: number }[] = []
  #keptSize = 0
  #replacedCount = 0

  constructor(reader: LogReader) {
    this.#reader = reader
  }

  /** Whole records from the record at `from` on, below a position that is published. @returns null when there is none yet. */
  read(from: LogPosition, limit: LogPosition): Promise<RecordBatch | null> {
    this.#forgetReplaced()
    const shared = this.#batches.get(from)
    if (shared !== undefined) return shared
    const reading = this.#read(from, limit)
    this.#batches.set(from, reading)
    return reading
  }

  /** Where the first record at or behind `position` stands; `limit` when there is none below it. */
  boundaryFrom(position: LogPosition, limit: LogPosition): Promise<LogPosition> {
    return this.#reader.boundaryFrom(position, limit)
  }

  async #read(from: LogPosition, limit: LogPosition): Promise<RecordBatch | null> {
    const replacedCount = this.#replacedCount
    let batch: RecordBatch | null = null
    try {
      batch = await this.#reader.readForward(from, limit, BATCH_SIZE)
    } finally {
      this.#forgetReplaced()
      if (replacedCount === this.#replacedCount) {
        if (batch === null) this.#batches.delete(from)
        else this.#keep(from, batch.window.size)
      }
    }
    return batch
  }

  /** Events that a scavenge has dropped must not be handed out to readers that come later. */
  #forgetReplaced(): void {
    const { replacedCount } = this.#reader
    if (replacedCount === this.#replacedCount) return
    this.#replacedCount = replacedCount
    this.#batches.clear()
    this.#kept.length = 0
    this.#keptSize = 0
  }

  #keep(from: LogPosition, size: number): void {
    this.#kept.push({ from, size })
    this.#keptSize += size
    while (this.#keptSize > KEPT_SIZE && this.#kept.length > 1) {
      const oldest = this.#kept.shift()!
      this.#batches.delete(oldest.from)
      this.#keptSize -= oldest.size
    }
  }
}
