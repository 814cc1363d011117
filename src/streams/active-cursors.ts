import type { ActiveRun } from './active-run.ts'
import { type HashOrder, hashOrder } from './hash-order.ts'
import type { StreamCursor, TypeCursor } from './index-part.ts'
import type { NameTable } from './name-table.ts'
import type { TimeSlices } from './time-slices.ts'

/** What the active index tells of its streams by slot. */
export interface StreamSlots {
  eventCountAt(slot: number): number
  firstRevisionAt(slot: number): number
  lastRevisionAt(slot: number): number
  lastPositionAt(slot: number): number
  runAt(slot: number): ActiveRun
  copyEvents(run: ActiveRun, from: number, count: number, positions: Float64Array, revisions: Float64Array | null): void
}

/** Walks names in order of their hash. What is known of a name is fetched once: it lies all over the memory. */
class NameCursor {
  readonly #names: NameTable
  readonly #order: HashOrder
  #next = 0
  protected slot = -1
  readonly nameBytes: Uint8Array
  hash = 0
  nameOffset = 0
  nameSize = 0

  constructor(names: NameTable, order: HashOrder) {
    this.#names = names
    this.#order = order
    this.nameBytes = names.bytes
  }

  protected advance(): boolean {
    const { slots, hashes } = this.#order
    const next = this.#next
    if (next === slots.length) return false
    const slot = slots[next]!
    this.slot = slot
    this.hash = hashes[next]!
    this.nameOffset = this.#names.offsetOf(slot)
    this.nameSize = this.#names.sizeOf(slot)
    this.#next = next + 1
    return true
  }
}

/** The streams that an active index has when the walk begins; what is added to them meanwhile is seen, or not. */
export class ActiveStreamCursor extends NameCursor implements StreamCursor {
  readonly #slots: StreamSlots
  #run: ActiveRun | null = null
  firstRevision = 0
  lastRevision = 0
  eventCount = 0
  lastPosition = 0

  private constructor(slots: StreamSlots, names: NameTable, order: HashOrder) {
    super(names, order)
    this.#slots = slots
  }

  static async begin(slots: StreamSlots, names: NameTable, slices: TimeSlices): Promise<ActiveStreamCursor> {
    return new ActiveStreamCursor(slots, names, await hashOrder(names, slices))
  }

  next(): boolean {
    this.#run = null
    while (this.advance()) {
      this.eventCount = this.#slots.eventCountAt(this.slot)
      if (this.eventCount === 0) continue
      this.firstRevision = this.#slots.firstRevisionAt(this.slot)
      this.lastRevision = this.#slots.lastRevisionAt(this.slot)
      this.lastPosition = this.#slots.lastPositionAt(this.slot)
      return true
    }
    return false
  }

  copyEvents(from: number, count: number, positions: Float64Array, revisions: Float64Array | null): void {
    if (this.eventCount === 1 && count === 1) {
      positions[0] = this.lastPosition
      if (revisions !== null) revisions[0] = this.lastRevision
      return
    }
    this.#run ??= this.#slots.runAt(this.slot)
    this.#slots.copyEvents(this.#run, from, count, positions, revisions)
  }
}

/** The event types of an active index. */
export class ActiveTypeCursor extends NameCursor implements TypeCursor {
  readonly #lastPositions: Float64Array

  private constructor(lastPositions: Float64Array, names: NameTable, order: HashOrder) {
    super(names, order)
    this.#lastPositions = lastPositions
  }

  static async begin(lastPositions: Float64Array, names: NameTable, slices: TimeSlices): Promise<ActiveTypeCursor> {
    return new ActiveTypeCursor(lastPositions, names, await hashOrder(names, slices))
  }

  next(): boolean {
    return this.advance()
  }

  get lastPosition(): number {
    return this.#lastPositions[this.slot]!
  }
}
