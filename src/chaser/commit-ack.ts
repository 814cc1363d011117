import { LogPosition } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'

/**
 * "This append is durable and in order." One object serves all acks of a chaser: it and the bytes it points to are valid
 * during the call only.
 */
export class CommitAck {
  /** Where the records stand in memory: `eventCount` prepares, one behind the other, the first at `offset`. */
  window: ByteWindow
  offset = 0
  eventCount = 0
  /** Of the first prepare. */
  position: LogPosition = LogPosition.start
  /** Behind the last record of the append. */
  end: LogPosition = LogPosition.start

  constructor(window: ByteWindow) {
    this.window = window
  }
}

export interface CommitListener {
  /** Called for each append, in log order, exactly once, before anyone waiting for it is told. */
  committed(ack: CommitAck): void
  /**
   * Called in log order with the commits, for each stub: of what stood there, a chunk that was rewritten remembers no more. The
   * bytes are valid during the call only.
   */
  stubbed(window: ByteWindow, offset: number): void
}
