import { grown, grownCapacity } from './name-table.ts'

const NOTHING = new Int32Array(0)

/**
 * One stream's events in the active index, by their place in the stream. There, each event knows only the one before it: they are
 * gathered back from a last one, and each but once, however often and from wherever the stream is read.
 */
export class GatheredEvents {
  #events: Int32Array = NOTHING
  // Gathered so far.
  #from = 0
  #to = 0
  /** In front of the first that is gathered. */
  #before = 0

  get memoryBytes(): number {
    return this.#events.byteLength
  }

  /**
   * Holds the events from the place `from` up to `count`, maybe more around them.
   * @param last the one at `count - 1`.
   */
  gather(from: number, count: number, last: number, predecessors: Int32Array): Int32Array {
    if (count > this.#events.length) this.#events = grown(this.#events, this.#to === 0 ? count : grownCapacity(count))
    const events = this.#events
    if (this.#to === 0) {
      this.#from = count
      this.#to = count
      this.#before = last
    }
    if (count > this.#to) {
      for (let i = count - 1, event = last; i >= this.#to; i--) {
        events[i] = event
        event = predecessors[event]!
      }
      this.#to = count
    }
    for (; this.#from > from; this.#from--) {
      events[this.#from - 1] = this.#before
      this.#before = predecessors[this.#before]!
    }
    return events
  }
}
