import type { ActiveRun } from './active-run.ts'
import { compareNames, hashOrder } from './hash-order.ts'
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

/** Walks names in order of their hash. */
class NameCursor {
  readonly #names: NameTable
  readonly #order: Uint32Array
  #next = 0
  protected slot = -1

  constructor(names: NameTable, order: Uint32Array) {
    this.#names = names
    this.#order = order
  }

  protected advance(): boolean {
    if (this.#next === this.#order.length) return false
    this.slot = this.#order[this.#next++]!
    return true
  }

  get hash(): number {
    return this.#names.hashOf(this.slot)
  }

  get nameBytes(): Uint8Array {
    return this.#names.bytes
  }

  get nameOffset(): number {
    return this.#names.offsetOf(this.slot)
  }

  get nameSize(): number {
    return this.#names.sizeOf(this.slot)
  }
}

/** The streams that an active index has when the walk begins; what is added to them meanwhile is seen, or not. */
export class ActiveStreamCursor extends NameCursor implements StreamCursor {
  readonly #slots: StreamSlots
  #run: ActiveRun | null = null

  private constructor(slots: StreamSlots, names: NameTable, order: Uint32Array) {
    super(names, order)
    this.#slots = slots
  }

  static async begin(slots: StreamSlots, names: NameTable, slices: TimeSlices): Promise<ActiveStreamCursor> {
    return new ActiveStreamCursor(slots, names, await hashOrder(names, slices))
  }

  next(): boolean {
    this.#run = null
    while (this.advance()) if (this.eventCount > 0) return true
    return false
  }

  get firstRevision(): number {
    return this.#slots.firstRevisionAt(this.slot)
  }

  get lastRevision(): number {
    return this.#slots.lastRevisionAt(this.slot)
  }

  get eventCount(): number {
    return this.#slots.eventCountAt(this.slot)
  }

  get lastPosition(): number {
    return this.#slots.lastPositionAt(this.slot)
  }

  copyEvents(from: number, count: number, positions: Float64Array, revisions: Float64Array | null): void {
    this.#run ??= this.#slots.runAt(this.slot)
    this.#slots.copyEvents(this.#run, from, count, positions, revisions)
  }

  close(): void {}
}

/** The event types of an active index. */
export class ActiveTypeCursor extends NameCursor implements TypeCursor {
  readonly #lastPositions: Float64Array

  private constructor(lastPositions: Float64Array, names: NameTable, order: Uint32Array) {
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

/** Where a cursor finds the name at which it stands. */
type NamePlace = Pick<StreamCursor, 'hash' | 'nameBytes' | 'nameOffset' | 'nameSize'>

/** Whether two cursors stand at the same name, or which one comes first. */
export function compareCursors(one: NamePlace, other: NamePlace): number {
  if (one.hash !== other.hash) return one.hash >>> 0 < other.hash >>> 0 ? -1 : 1
  return compareNames(one.nameBytes, one.nameOffset, one.nameSize, other.nameBytes, other.nameOffset, other.nameSize)
}
