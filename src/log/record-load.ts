import type { LogPosition } from '../core/positions.ts'
import type { RecordPlace } from './record-batch.ts'
import type { Extent, PlaceInLog } from './record-extent.ts'

/** Gone: a scavenge has dropped it, whether it left a stub or not. */
export type FoundRecord = RecordPlace | 'gone'

/** Of the records of some places, those that are read together, and come about at once. */
export class RecordLoad {
  readonly places: readonly PlaceInLog[]
  readonly extents: readonly Extent[]
  /** Bytes at or behind it are not read. */
  readonly limit: LogPosition
  /** The index of its first place. */
  readonly first: number
  /** Behind the index of its last place. */
  readonly end: number
  /** Undefined until it has come, and of a place between two extents: its record was in memory. */
  readonly #records: (FoundRecord | undefined)[]
  #done: Promise<void> | null = null
  #isOver = false

  constructor(places: readonly PlaceInLog[], extents: readonly Extent[], limit: LogPosition) {
    this.places = places
    this.extents = extents
    this.limit = limit
    this.first = extents[0]!.first
    this.end = extents.at(-1)!.end
    this.#records = new Array(this.end - this.first)
  }

  /** @param work puts each record in its place. */
  follow(work: Promise<void>): void {
    this.#done = work
    const over = () => {
      this.#isOver = true
    }
    // Its failure is told to whoever waits for it. It may be that nobody does.
    work.then(over, over)
  }

  put(index: number, record: FoundRecord): void {
    this.#records[index - this.first] = record
  }

  recordAt(index: number): FoundRecord | undefined {
    return this.#records[index - this.first]
  }

  /** Nothing more comes: all is there, or it failed. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** @throws CorruptLogError, ReadFailedError */
  get done(): Promise<void> {
    return this.#done!
  }
}
