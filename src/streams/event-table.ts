/** Stands for "there is none" where an event's index is expected. */
export const NO_EVENT = -1

/** What the table keeps with a stream. */
export interface StreamEvents {
  /** How many events are committed. */
  eventCount: number
  /** Index of the last committed event. */
  lastEvent: number
  /** Positions by revision, as far as a read has asked for them. */
  readonly positions: number[]
}

const FIRST_CAPACITY = 4096

/**
 * Where all committed events are, in log order, each with the index of its predecessor in the same stream. Writing down an
 * event touches the end of two arrays, whatever its stream; a stream's positions by revision are gathered by its first read.
 */
export class EventTable {
  #positions = new Float64Array(FIRST_CAPACITY)
  #predecessors = new Int32Array(FIRST_CAPACITY)
  #count = 0

  get count(): number {
    return this.#count
  }

  /** The next event of `entry` is at `position`. */
  add(entry: StreamEvents, position: number): void {
    const index = this.#count
    if (index === this.#positions.length) this.#grow()
    this.#positions[index] = position
    this.#predecessors[index] = entry.lastEvent
    entry.lastEvent = index
    entry.eventCount++
    this.#count = index + 1
  }

  /** Positions of the stream's committed events, by revision. The array grows with later calls; it is the entry's own. */
  positionsOf(entry: StreamEvents): readonly number[] {
    const { positions } = entry
    const known = positions.length
    let index = entry.lastEvent
    for (let revision = entry.eventCount - 1; revision >= known; revision--) {
      positions.push(this.#positions[index]!)
      index = this.#predecessors[index]!
    }
    // They were found newest first.
    for (let low = known, high = positions.length - 1; low < high; low++, high--) {
      const position = positions[low]!
      positions[low] = positions[high]!
      positions[high] = position
    }
    return positions
  }

  #grow(): void {
    const positions = new Float64Array(this.#count * 2)
    positions.set(this.#positions)
    this.#positions = positions
    const predecessors = new Int32Array(this.#count * 2)
    predecessors.set(this.#predecessors)
    this.#predecessors = predecessors
  }
}
