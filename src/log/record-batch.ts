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

/** A verified record. */
export interface RecordPlace {
  readonly window: ByteWindow
  readonly offset: number
  /**
   * The memory belongs to whoever asked, who may keep it and hand it on. Otherwise others use it, too: the record is to be copied
   * before anything is awaited.
   */
  readonly isOwn: boolean
}
