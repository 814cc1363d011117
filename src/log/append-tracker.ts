import { LogPosition } from '../core/positions.ts'
import { unreachable } from '../core/unreachable.ts'
import { eventCountOf, firstPrepareOf, flagsOf, PrepareFlag, provenBy, RecordType, typeOf } from '../format/log-record.ts'
import type { CheckedStart } from './active-hint.ts'
import type { ScannedRecord } from './chunk-scan.ts'

/** Follows the records of a chunk and knows where the last whole append ends. */
export class AppendTracker {
  /** Behind it. */
  end: LogPosition
  /** The furthest position that a record proves durable. */
  proven = LogPosition.start
  endsWithProof: boolean
  /** Of the chunk, below `end`. */
  eventCount: number
  /** Prepares behind `end`. */
  #pendingCount = 0

  constructor(start: LogPosition, checked: CheckedStart | null) {
    this.end = start
    this.endsWithProof = checked?.endsWithProof ?? true
    this.eventCount = checked?.eventCount ?? 0
  }

  visit({ window: { view }, offset, position, size }: ScannedRecord): void {
    this.proven = Math.max(this.proven, provenBy(view, offset)) as LogPosition
    const end = LogPosition.plus(position, size)
    const type = typeOf(view, offset)
    switch (type) {
      case RecordType.prepare:
        this.#pendingCount++
        if (flagsOf(view, offset) & PrepareFlag.committed) this.#whole(end, false)
        break
      case RecordType.commit:
        if (firstPrepareOf(view, offset) === this.end && eventCountOf(view, offset) === this.#pendingCount)
          this.#whole(end, false)
        break
      case RecordType.proof:
        if (this.#pendingCount === 0) this.#whole(end, true)
        break
      case RecordType.stub:
        // Stands only in compact chunks, which are complete.
        break
      default:
        unreachable(type)
    }
  }

  #whole(end: LogPosition, isProof: boolean): void {
    this.end = end
    this.endsWithProof = isProof
    this.eventCount += this.#pendingCount
    this.#pendingCount = 0
  }
}
