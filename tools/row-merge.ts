import type { RowCursor } from './row-cursor.ts'

/** The rows of many journals in the order of their times; at the same time, in that of the journals. */
export class RowMerge {
  readonly #cursors: RowCursor[] = []
  /** A heap of the cursors that have a row, by their index: its first is the next. */
  readonly #heap: number[] = []

  /** Where the next row is; null behind the last one. */
  get first(): RowCursor | null {
    return this.#heap.length === 0 ? null : this.#cursors[this.#heap[0]!]!
  }

  /** Adds a journal from the row on at which its cursor is. */
  add(cursor: RowCursor): void {
    if (cursor.row === null) return
    this.#heap.push(this.#cursors.push(cursor) - 1)
    this.#rise(this.#heap.length - 1)
  }

  /** Goes to the next row. @throws BadRowError */
  async next(): Promise<void> {
    const cursor = this.first
    if (cursor === null) return
    await cursor.next()
    if (cursor.row === null) {
      const last = this.#heap.pop()!
      if (this.#heap.length === 0) return
      this.#heap[0] = last
    }
    this.#sink()
  }

  #isBefore(one: number, other: number): boolean {
    const oneMs = this.#cursors[one]!.row!.createdMs
    const otherMs = this.#cursors[other]!.row!.createdMs
    return oneMs < otherMs || (oneMs === otherMs && one < other)
  }

  #rise(from: number): void {
    const heap = this.#heap
    for (let at = from; at > 0; ) {
      const parent = (at - 1) >> 1
      if (!this.#isBefore(heap[at]!, heap[parent]!)) return
      this.#swap(at, parent)
      at = parent
    }
  }

  #sink(): void {
    const heap = this.#heap
    for (let at = 0; ; ) {
      let least = at
      for (const child of [2 * at + 1, 2 * at + 2]) {
        if (child < heap.length && this.#isBefore(heap[child]!, heap[least]!)) least = child
      }
      if (least === at) return
      this.#swap(at, least)
      at = least
    }
  }

  #swap(one: number, other: number): void {
    const kept = this.#heap[one]!
    this.#heap[one] = this.#heap[other]!
    this.#heap[other] = kept
  }
}
