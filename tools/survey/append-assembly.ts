import { LogPosition } from '#engine/core/positions.ts'
import { unreachable } from '#engine/core/unreachable.ts'
import { eventCountOf, firstPrepareOf, flagsOf, PrepareFlag, RecordType, typeOf } from '#engine/format/log-record.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'

/** Where an assembly tells what it found. */
export interface AssemblyListener<Item> {
  /** All events of one append. */
  whole(items: readonly Item[]): void
  /** Events that do not count, because the rest of their append or its commit is not there. */
  cut(items: readonly Item[], position: LogPosition, what: string): void
}

/** Puts the records of a log together to appends, like recovery and the chaser do, but goes on behind what is not whole. */
export class AppendAssembly<Item> {
  /** Behind the last whole append, or the last proof. */
  end: LogPosition
  eventCount = 0
  readonly #itemOf: (record: ScannedRecord) => Item
  readonly #listener: AssemblyListener<Item>
  #pending: Item[] = []
  #first = LogPosition.start

  /** @param itemOf what to keep of a prepare until its commit. */
  constructor(start: LogPosition, itemOf: (record: ScannedRecord) => Item, listener: AssemblyListener<Item>) {
    this.end = start
    this.#itemOf = itemOf
    this.#listener = listener
  }

  get isAmidAppend(): boolean {
    return this.#pending.length > 0
  }

  record(record: ScannedRecord): void {
    const { window, offset, position } = record
    const { view } = window
    const end = LogPosition.plus(position, record.size)
    const type = typeOf(view, offset)
    switch (type) {
      case RecordType.prepare:
        if (flagsOf(view, offset) & PrepareFlag.committed) this.interrupt('has no commit record')
        if (this.#pending.length === 0) this.#first = position
        this.#pending.push(this.#itemOf(record))
        if (flagsOf(view, offset) & PrepareFlag.committed) this.#whole(end)
        break
      case RecordType.commit:
        this.#commit(eventCountOf(view, offset), firstPrepareOf(view, offset), end)
        break
      case RecordType.proof:
      case RecordType.stub:
        this.interrupt('has no commit record')
        this.end = end
        break
      default:
        unreachable(type)
    }
  }

  /** Nothing that follows belongs to the events before it. */
  interrupt(what: string): void {
    const items = this.#pending
    this.#pending = []
    if (items.length > 0) this.#listener.cut(items, this.#first, what)
  }

  #commit(eventCount: number, first: LogPosition, end: LogPosition): void {
    if (this.#pending.length === eventCount && this.#first === first) {
      this.#whole(end)
      return
    }
    const items = this.#pending
    this.#pending = []
    this.#listener.cut(items, first, `has ${items.length} of its ${eventCount} events`)
    this.end = end
  }

  #whole(end: LogPosition): void {
    const items = this.#pending
    this.#pending = []
    this.end = end
    this.eventCount += items.length
    this.#listener.whole(items)
  }
}
