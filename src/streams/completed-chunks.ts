import { LogPosition } from '../core/positions.ts'
import type { IndexCoverage } from '../format/index-layout.ts'

/** A chunk that will never get another record. */
export interface CompletedChunk {
  readonly number: number
  readonly start: LogPosition
  /** Where the next chunk starts. */
  readonly end: LogPosition
}

/** The log that the index files must fit. */
export interface IndexedLog {
  readonly storeId: Uint8Array
  /** In order, without a gap. */
  readonly completedChunks: readonly CompletedChunk[]
  /** Behind the last record that is durable. */
  readonly logEnd: LogPosition
  /** Another value when the chunks are not those that a file was written from; of an unfinished chunk the same for ever. */
  fingerprintOf(firstChunk: number, lastChunk: number): number
}

/** The completed chunks as they become more, and what a file of some of them says that it covers. */
export class CompletedChunks {
  readonly #log: IndexedLog
  readonly #all: CompletedChunk[]

  constructor(log: IndexedLog) {
    this.#log = log
    this.#all = [...log.completedChunks]
  }

  /** In order, without a gap. */
  get all(): readonly CompletedChunk[] {
    return this.#all
  }

  get start(): LogPosition {
    return this.#all[0]?.start ?? LogPosition.start
  }

  /** Where the unfinished chunk starts. */
  get end(): LogPosition {
    return this.#all.at(-1)?.end ?? LogPosition.start
  }

  /** The unfinished chunk is completed, and ends at `end`. @returns of its file, as long as nobody rewrites it */
  add(end: LogPosition): IndexCoverage {
    const number = this.#unfinished
    this.#all.push({ number, start: this.end, end })
    return this.coverageOf(number, number)
  }

  /** Of the file of these chunks. */
  coverageOf(firstChunk: number, lastChunk: number): IndexCoverage {
    const first = this.#all[0]!.number
    const { start } = this.#all[firstChunk - first]!
    return this.#coverage(firstChunk, lastChunk, start, this.#all[lastChunk - first]!.end)
  }

  /** Of the file of the unfinished chunk's beginning, up to `end`. */
  partialCoverage(end: LogPosition): IndexCoverage {
    const number = this.#unfinished
    return { ...this.#coverage(number, number, this.end, end), isPartial: true }
  }

  get #unfinished(): number {
    return (this.#all.at(-1)?.number ?? -1) + 1
  }

  #coverage(firstChunk: number, lastChunk: number, start: LogPosition, end: LogPosition): IndexCoverage {
    const { storeId } = this.#log
    const fingerprint = this.#log.fingerprintOf(firstChunk, lastChunk)
    return { storeId, firstChunk, lastChunk, isPartial: false, start, end, fingerprint }
  }
}
