import type { Revision } from '../core/positions.ts'

/** A stream as the writer sees it: ahead of what is committed. */
export interface StreamHead {
  readonly name: string
  /** The name as UTF-8, as it is written into each prepare. */
  readonly nameBytes: Uint8Array
  /** The last revision that was written, flushed or not; Revision.none when there is none. */
  revision: Revision
  /** Belongs to whoever has appends to the stream wait in front of the queue. */
  line: object | null
}
