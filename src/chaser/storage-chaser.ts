import { ACK_SLICE_COUNT, ACK_SLICE_SIZE, MIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { setImmediate } from '../core/timers.ts'
import { unreachable } from '../core/unreachable.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { flagsOf, PrepareFlag, positionOf, RecordType, sizeOf, typeOf } from '../format/log-record.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordBatch } from '../log/record-batch.ts'
import { CommitAck, type CommitListener } from './commit-ack.ts'

const READ_SIZE = MIB

/**
 * Stage 2: follows the flushed position, finds commits, and says so. It alone acks. From recent bytes it works in the turn in
 * which the flush came back; from files (at open, or when it has fallen behind) it waits for reads.
 */
export class StorageChaser {
  /** Everything below has been published. Readers and whoever waits for acks follow it; the chaser alone advances it. */
  readonly published: Checkpoint
  readonly #reader: LogReader
  readonly #flushed: Checkpoint
  readonly #listeners: readonly CommitListener[]
  readonly #onFailure: (error: unknown) => void
  readonly #ack = new CommitAck(ByteWindow.allocate(0))
  #position: LogPosition
  #isRunning = false
  #isStopped = false
  #unfollow: () => void = () => {}
  readonly #waiting: { readonly target: LogPosition; readonly resolve: () => void }[] = []
  // The prepares gathered since the last commit.
  #pendingCount = 0
  #pendingOffset = 0
  #pendingPosition = LogPosition.start
  ackCount = 0
  eventCount = 0

  /** @param published where the chaser begins: everything below is known to the listeners. */
  constructor(
    reader: LogReader,
    flushed: Checkpoint,
    published: Checkpoint,
    listeners: readonly CommitListener[],
    onFailure: (error: unknown) => void,
  ) {
    this.#reader = reader
    this.#flushed = flushed
    this.#position = published.position
    this.published = published
    this.#listeners = listeners
    this.#onFailure = onFailure
  }

  /** Follows from now on. Resolves when everything that is flushed now has been published. */
  async start(): Promise<void> {
    await this.#chaseFiles(this.#flushed.position)
    this.#unfollow = this.#flushed.follow(this.#wake)
    this.#wake()
  }

  /** Behind a failure that need not last: goes on where it stood. Resolves as `start` does. @throws what the failed read does again */
  resume(): Promise<void> {
    this.#isStopped = false
    this.#isRunning = false
    return this.start()
  }

  /** How far behind the flushed position, in bytes. */
  get lag(): number {
    return this.#flushed.position - this.published.position
  }

  /** Resolves when everything that is flushed now has been published, or when that will not happen any more. */
  settled(): Promise<void> {
    const target = this.#flushed.position
    if (this.published.position >= target || this.#isStopped) return Promise.resolve()
    return new Promise(resolve => {
      this.#waiting.push({ target, resolve })
    })
  }

  stop(): void {
    this.#isStopped = true
    this.#unfollow()
    this.#release(Number.POSITIVE_INFINITY)
  }

  #release(position: number): void {
    while (this.#waiting.length > 0 && this.#waiting[0]!.target <= position) this.#waiting.shift()!.resolve()
  }

  #fail(error: unknown): void {
    this.stop()
    this.#onFailure(error)
  }

  readonly #wake = (): void => {
    if (!this.#isRunning) this.#run()
  }

  /**
   * One slice: at most ACK_SLICE_COUNT acks, and none behind ACK_SLICE_SIZE, so that a burst of them leaves the event loop its
   * turns.
   */
  readonly #run = (): void => {
    this.#isRunning = false
    if (this.#isStopped) return
    try {
      this.#chaseSlice(this.ackCount + ACK_SLICE_COUNT, this.#position + ACK_SLICE_SIZE)
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#published()
    if (this.#position >= this.#flushed.position) return
    this.#isRunning = true
    if (this.#reader.recentSlab(this.#position) !== undefined) setImmediate(this.#run)
    else this.#chaseFiles(this.#flushed.position).then(this.#run, (error: unknown) => this.#fail(error))
  }

  #published(): void {
    this.published.advance(this.#position)
    if (this.#waiting.length > 0) this.#release(this.#position)
  }

  #chaseSlice(until: number, sliceEnd: number): void {
    // An append lies in one slab: none is pending here.
    while (this.#position < this.#flushed.position && this.ackCount < until && this.#position < sliceEnd) {
      const slab = this.#reader.recentSlab(this.#position)
      if (slab !== undefined) {
        const end = Math.min(slab.end, this.#flushed.position) as LogPosition
        this.#follow(slab.window, LogPosition.minus(this.#position, slab.start), end, until, sliceEnd)
      } else {
        const next = this.#reader.skipGap(this.#position)
        if (next === this.#position) return
        this.#position = next
      }
    }
  }

  async #chaseFiles(limit: LogPosition): Promise<void> {
    let ahead: Promise<RecordBatch | null> | null = null
    while (this.#position < limit && !this.#isStopped) {
      const batch: RecordBatch | null = await (ahead ?? this.#reader.readForward(this.#position, limit, READ_SIZE))
      ahead = null
      if (batch === null) this.#position = limit
      else {
        if (batch.next < limit) ahead = this.#readAhead(batch.next, limit)
        // A batch may end amid an append, whose prepares must stand one behind the other: such an append is read again.
        this.#followBatch(batch)
        if (this.#pendingCount > 0) {
          // The index knows what came before: readers may, too.
          this.published.advance(this.#pendingPosition)
          await this.#chaseAppend(limit)
          ahead = null
        }
      }
      this.#published()
    }
  }

  /** What is to be gone through next comes from the disk meanwhile. Its failure is heard by whoever waits for it, or by nobody. */
  #readAhead(from: LogPosition, limit: LogPosition): Promise<RecordBatch | null> {
    const reading = this.#reader.readForward(from, limit, READ_SIZE)
    reading.catch(() => {})
    return reading
  }

  /** Reads the append that begins at the first pending prepare as a whole. */
  async #chaseAppend(limit: LogPosition): Promise<void> {
    for (let size = 2 * READ_SIZE; this.#pendingCount > 0; size *= 2) {
      const start = this.#pendingPosition
      this.#pendingCount = 0
      this.#position = start
      const batch = await this.#reader.readForward(start, limit, size)
      // In a follower: its chunk was rewritten meanwhile, and nothing stands there any more, or only some of it.
      if (batch === null) return
      this.#followBatch(batch)
      if (this.#pendingCount > 0 && batch.next >= limit) throw new Error(`the append at ${start} has no commit below ${limit}`)
    }
  }

  /**
   * Goes through the records from `offset` of the window up to the position `end`, until `until` acks are published, or to the end
   * of the append at `sliceEnd`.
   */
  #follow(
    window: ByteWindow,
    offset: number,
    end: LogPosition,
    until = Number.POSITIVE_INFINITY,
    sliceEnd = Number.POSITIVE_INFINITY,
  ): void {
    const { view } = window
    let position: number = this.#position
    let at = offset
    while (position < end && this.ackCount < until && (position < sliceEnd || this.#pendingCount > 0)) {
      const size = sizeOf(view, at)
      const type = typeOf(view, at)
      switch (type) {
        case RecordType.prepare:
          if (this.#pendingCount++ === 0) {
            this.#pendingOffset = at
            this.#pendingPosition = position as LogPosition
          }
          if (flagsOf(view, at) & PrepareFlag.committed) this.#publish(window, (position + size) as LogPosition)
          break
        case RecordType.commit:
          this.#publish(window, (position + size) as LogPosition)
          break
        case RecordType.stub:
          for (const listener of this.#listeners) listener.stubbed(window, at)
          break
        case RecordType.proof:
          break
        default:
          unreachable(type)
      }
      at += size
      position += size
    }
    this.#position = position as LogPosition
  }

  #followBatch(batch: RecordBatch): void {
    const { window, offsets, next } = batch
    if (!hasGaps(batch)) {
      this.#position = positionOf(window.view, offsets[0]!)
      this.#follow(window, offsets[0]!, next)
      return
    }
    // Records of a compact chunk: each prepare is its own commit.
    for (const offset of offsets) {
      this.#position = positionOf(window.view, offset)
      this.#follow(window, offset, LogPosition.plus(this.#position, sizeOf(window.view, offset)))
    }
  }

  #publish(window: ByteWindow, end: LogPosition): void {
    const ack = this.#ack
    ack.window = window
    ack.offset = this.#pendingOffset
    ack.eventCount = this.#pendingCount
    ack.position = this.#pendingPosition
    ack.end = end
    this.ackCount++
    this.eventCount += this.#pendingCount
    this.#pendingCount = 0
    for (const listener of this.#listeners) listener.committed(ack)
  }
}

/** Whether the records' positions are not one behind the other. */
function hasGaps({ window: { view }, offsets }: RecordBatch): boolean {
  const first = offsets[0]!
  const last = offsets.at(-1)!
  return positionOf(view, last) - positionOf(view, first) !== last - first
}
