import type { LogPosition } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'

/** Whole, verified records in memory of their own: the holder may keep them and hand them on. */
export interface RecordBatch {
  readonly window: ByteWindow
  /** Where the records begin in the window, in reading order. */
  readonly offsets: readonly number[]
  /** Where to read on: behind the last record forwards, at the last record backwards. */
  readonly next: LogPosition
}

/** A verified record inside memory that others use, too: copy it before anything is awaited. */
export interface RecordPlace {
  readonly window: ByteWindow
  readonly offset: number
}
