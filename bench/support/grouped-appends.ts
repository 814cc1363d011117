import type { AppenderCounts } from './appender.ts'

interface Waiter<Item> {
  readonly item: Item
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

/**
 * The microbatcher that a skilled user puts before a database: what is appended within one turn of the event loop, or while
 * a group is being written, becomes one transaction. Each append gets its promise.
 */
export class GroupedAppends<Item> {
  readonly #writeGroup: (items: readonly Item[]) => unknown
  #waiting: Waiter<Item>[] = []
  #isBusy = false
  #appends = 0
  #groups = 0

  constructor(writeGroup: (items: readonly Item[]) => unknown) {
    this.#writeGroup = writeGroup
  }

  add(item: Item): Promise<void> {
    this.#appends++
    return new Promise((resolve, reject) => {
      this.#waiting.push({ item, resolve, reject })
      if (this.#isBusy) return
      this.#isBusy = true
      setImmediate(() => void this.#writeAll())
    })
  }

  counts(): AppenderCounts {
    return { appends: this.#appends, flushes: this.#groups }
  }

  async #writeAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      const group = this.#waiting
      this.#waiting = []
      this.#groups++
      try {
        // What blocks has no promise; the others are awaited.
        await this.#writeGroup(group.map(waiter => waiter.item))
        for (const waiter of group) waiter.resolve()
      } catch (error) {
        for (const waiter of group) waiter.reject(error)
      }
      // Whoever was acked appends again; those belong into the next group.
      await new Promise(resolve => setImmediate(resolve))
    }
    this.#isBusy = false
  }
}
