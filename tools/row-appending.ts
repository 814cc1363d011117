import type { EventStore } from 'tailrace'
import { AppendsInFlight } from './appends-in-flight.ts'
import type { RowClock } from './row-clock.ts'
import { BadRowError } from './row-cursor.ts'
import type { RowMerge } from './row-merge.ts'

/** A line that could not be imported, and why. */
export interface BadRow {
  readonly file: string
  readonly line: number
  readonly message: string
}

/** Rows of one time that are under way together at most: each is remembered until then. */
const GROUP_COUNT = 10_000

/** Appends rows in their order; those of one time together, since the clock can show only one. */
export class RowAppending {
  readonly #appends: AppendsInFlight
  readonly #clock: RowClock
  readonly #signal: AbortSignal
  /** Where the rows come from that are under way. */
  #group: { readonly file: string; readonly line: number }[] = []

  constructor(store: EventStore, clock: RowClock, signal: AbortSignal) {
    this.#appends = new AppendsInFlight(store)
    this.#clock = clock
    this.#signal = signal
  }

  /** Events that are in the store now and were not before. */
  get count(): number {
    return this.#appends.appendedCount
  }

  /** Rows with an id that a row before them in the stream has. */
  get repeatedCount(): number {
    return this.#appends.repeatedCount
  }

  /** @param onProgress told of the bytes of each row. @returns the first row that could not be imported; nothing behind it is, then. */
  async run(merge: RowMerge, onProgress: (size: number) => void): Promise<BadRow | null> {
    let bad: BadRow | null = null
    while (merge.first !== null && bad === null && this.#appends.failure === null && !this.#signal.aborted) {
      const { file, line, stream, row, rowSize } = merge.first
      const { createdMs, event } = row!
      if (createdMs !== this.#clock.ms || this.#group.length === GROUP_COUNT) {
        await this.#appends.settled()
        if (this.#appends.failure !== null) break
        this.#group = []
        this.#clock.ms = createdMs
      }
      this.#clock.note(createdMs)
      this.#group.push({ file, line })
      await this.#appends.submit(stream, event, rowSize, this.#group.length - 1)
      onProgress(rowSize + 1)
      bad = await badRowOf(merge.next())
    }
    await this.#appends.settled()
    const { failure } = this.#appends
    return failure === null ? bad : { ...this.#group[failure.number]!, message: (failure.error as Error).message }
  }
}

/** Which row is bad, if that is what `reading` fails with. */
export async function badRowOf(reading: Promise<void>): Promise<BadRow | null> {
  try {
    await reading
    return null
  } catch (error) {
    if (!(error instanceof BadRowError)) throw error
    const { file, line, message } = error
    return { file, line, message }
  }
}
