import type { LogReader } from './log-reader.ts'
import type { PlaceInLog } from './record-extent.ts'
import type { FoundRecord, RecordLoad } from './record-load.ts'
import type { ScatteredReader } from './scattered-reader.ts'

/** Records that are read side by side. */
const SCATTERED_COUNT = 128

/** The records of places that lie all over the log, one after the other. While one is taken, those behind it are being read. */
export class ScatteredRecords {
  readonly #log: LogReader
  readonly #reader: ScatteredReader
  #places: readonly PlaceInLog[] = []
  /** Of the place whose turn it is. */
  #index = 0
  /** In the order of the places; those that have only places whose turn has passed are dropped. They are over in any order. */
  #loads: RecordLoad[] = []

  constructor(log: LogReader, reader: ScatteredReader) {
    this.#log = log
    this.#reader = reader
  }

  /** @param places go up or go down. */
  begin(places: readonly PlaceInLog[]): void {
    this.#places = places
    this.#index = 0
    this.#loads = []
  }

  /** Places whose turn has not passed. */
  get left(): number {
    return this.#places.length - this.#index
  }

  /** Whether some of those behind are still being read. */
  get isLoading(): boolean {
    return this.#loads.length > 0 && !this.#loads.at(-1)!.isOver
  }

  /**
   * The record whose turn it is, until `next` is called. Of a load, `done` is to be awaited, then this is to be called again.
   * @param wanted so many, with those behind it, are read at most.
   */
  current(wanted: number): FoundRecord | RecordLoad {
    const load = this.#loadInTurn()
    if (load !== undefined) {
      const record = load.recordAt(this.#index)
      if (record !== undefined) return record
      if (!load.isOver) return load
    }
    // It was not asked for yet, or was in memory then, or its load failed while nobody waited for it.
    return this.#log.recordInMemory(this.#places[this.#index]!.position) ?? this.#load(wanted)
  }

  next(): void {
    this.#index++
  }

  /** The load that the current place belongs to. */
  #loadInTurn(): RecordLoad | undefined {
    const loads = this.#loads
    while (loads.length > 0 && loads[0]!.end <= this.#index) loads.shift()
    const load = loads[0]
    return load !== undefined && load.first <= this.#index ? load : undefined
  }

  #load(wanted: number): RecordLoad {
    const end = this.#index + Math.min(this.left, wanted, SCATTERED_COUNT)
    this.#loads = this.#reader.load(this.#places, this.#index, end)
    return this.#loads[0]!
  }
}
