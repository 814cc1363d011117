/** What a crash makes of a change that was not durable. Only bytes can be damaged; a growth can stop half-way ('torn'). */
export type Fate = 'lost' | 'kept' | 'zeros' | 'garbage' | 'torn'

export interface PendingChange {
  /** Index of the operation's entry in the log. */
  readonly operation: number
  /** The operation has returned: a sync that is called now covers it. */
  settled: boolean
  /** A sync failed over it. The kernel thinks it clean: no later sync makes it durable, though readers see it ("fsyncgate"). */
  forgotten: boolean
  /** In the crash state that is being built. */
  fate: Fate
}

/** The part of a write within one sector. */
export interface Piece extends PendingChange {
  readonly kind: 'piece'
  /** Of the file. */
  readonly path: string
  readonly start: number
  readonly bytes: Uint8Array
}

/** A write went past the end of the file. */
export interface Growth extends PendingChange {
  readonly kind: 'growth'
  /** Of the file. */
  readonly path: string
  readonly from: number
  readonly size: number
}

export interface Truncation extends PendingChange {
  readonly kind: 'truncation'
  /** Of the file. */
  readonly path: string
  readonly size: number
}

export type FileChange = Piece | Growth | Truncation

/** Where the change ends. */
export function endOf(change: FileChange): number {
  return change.kind === 'piece' ? change.start + change.bytes.length : change.size
}
