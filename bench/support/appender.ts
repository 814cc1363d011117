/** What the closed loop drives: the engine and the floors look the same to it, so that their numbers may be compared. */
export interface Appender {
  /** Resolves when the event is as safe as the cell's durability asks. */
  append(stream: string, data: Uint8Array): Promise<unknown>
  /** Since it was opened: appends that were taken, and flushes (writes, where the mode does not sync). */
  counts(): AppenderCounts
  close(): Promise<void>
  /** Processes that work for it: their processor time counts as its own. */
  readonly serverPids?: readonly number[]
}

export interface AppenderCounts {
  readonly appends: number
  readonly flushes: number
}
