import type { Clock } from '../core/clock.ts'
import { DiskFullError, isDiskFull, type TailraceError } from '../core/errors.ts'
import { MAX_CREATED_MS, MAX_UNWRITTEN_SIZE, PROOF_DELAY_MS, SLICE_SIZE, WRITE_AHEAD_SIZE } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { nextTick, setImmediate } from '../core/timers.ts'
import { unreachable } from '../core/unreachable.ts'
import { Checkpoint } from '../log/checkpoint.ts'
import type { ChunkLog } from '../log/chunk-log.ts'
import { StageQueue } from '../queue/stage-queue.ts'
import type { AppendCheck } from './append-check.ts'
import { encodeAppend } from './append-encoding.ts'
import type { Durability } from './durability.ts'
import { FlushPolicy, type FlushTrigger } from './flush-policy.ts'
import { FlushStatistics } from './flush-statistics.ts'
import type { AppendMessage, WorkMessage, WriterMessage } from './messages.ts'
import { nextChunkRefusal } from './next-chunk-refusal.ts'
import { ProofTimer } from './proof-timer.ts'
import { tooLarge } from './too-large.ts'
import type { Verdict } from './verdict.ts'
import type { WriterListener } from './writer-listener.ts'

/**
 * Stage 1: puts events in order and makes them durable. It takes what waits, in slices; checks, encodes and counts; and has
 * one flush under way while it encodes the next group. It never reads the disk.
 */
export class StorageWriter {
  readonly queue: StageQueue<WriterMessage>
  /** Everything below may be read and acknowledged: flushed, in the sense of the durability mode. */
  readonly flushed: Checkpoint
  readonly policy: FlushPolicy
  readonly statistics = new FlushStatistics()
  appendCount = 0
  eventCount = 0
  byteCount = 0
  readonly #log: ChunkLog
  readonly #check: AppendCheck
  readonly #listener: WriterListener
  readonly #clock: Clock
  readonly #durability: Durability
  #isScheduled = false
  /** Roll-overs, undos and proofs that hold the loop; it is called again when the last of them is done. */
  readonly #holds = new Set<Promise<void>>()
  /** The flush under way; null when there is none. */
  #flushing: Promise<void> | null = null
  #failure: { readonly cause: unknown } | null = null
  readonly #proofTimer: ProofTimer
  /** In 'os': what was acked when a second was over. As long as it is not durable, the next flush is a sync. */
  #syncDueBelow = LogPosition.start
  #lastFlushMs = 0
  /** Time of the newest event: it never goes back, whatever the clock does. */
  #lastCreatedMs = 0
  /** Events of the active chunk below the flushed position. */
  #flushedEventCount: number

  constructor(
    log: ChunkLog,
    check: AppendCheck,
    listener: WriterListener,
    clock: Clock,
    durability: Durability,
    flushDelayMs: number,
  ) {
    this.#log = log
    this.#check = check
    this.#listener = listener
    this.#clock = clock
    this.#durability = durability
    this.#flushedEventCount = log.eventCount
    this.flushed = new Checkpoint(log.end)
    this.policy = new FlushPolicy(clock, flushDelayMs)
    this.#proofTimer = new ProofTimer(clock, durability, () => this.#proofDue())
    this.queue = new StageQueue(() => this.#schedule())
  }

  /** Why the writer is finished; undefined while it is not. */
  get failure(): { readonly cause: unknown } | undefined {
    return this.#failure ?? undefined
  }

  /** Whether everything below `flushed` survives a power cut: always in the mode 'fsync'. */
  get isProven(): boolean {
    return this.flushed.position <= this.#log.proven
  }

  /** Events get no earlier time than this: that of the last event found at open. */
  continueFrom(createdMs: number): void {
    this.#lastCreatedMs = Math.max(this.#lastCreatedMs, createdMs)
  }

  /** Finishes what waits, proves the log, and resolves; if the writer has failed, when all that is under way has come back. */
  stop(): Promise<void> {
    if (this.#failure !== null) return this.#landed()
    return new Promise(stopped => this.queue.push({ kind: 'stop', size: 0, isFlushable: false, stopped }))
  }

  /** The next tick comes when all promises settled by now have run: everyone who was just acked joins the same group. */
  #schedule(later?: (run: () => void) => unknown): void {
    if (this.#isScheduled || this.#holds.size > 0) return
    this.#isScheduled = true
    ;(later ?? nextTick)(this.#run)
  }

  readonly #run = (): void => {
    this.#isScheduled = false
    if (this.#holds.size > 0 || this.#failure !== null) return
    this.#takeSlice()
    const trigger = this.policy.due(this.queue.flushableCount)
    if (trigger !== null) this.#commit(trigger)
    if (this.queue.length > 0) this.#schedule(setImmediate)
  }

  #takeSlice(): void {
    const nowMs = this.#clock.now()
    if (nowMs > this.#lastCreatedMs && nowMs <= MAX_CREATED_MS) this.#lastCreatedMs = nowMs
    this.#log.stamp.createdMs = this.#lastCreatedMs
    let takenSize = 0
    for (let message = this.queue.peek(); message !== undefined && takenSize < SLICE_SIZE; message = this.queue.peek()) {
      switch (message.kind) {
        case 'append':
          if (message.isAborted) this.#listener.decided(message)
          else if (!this.#take(message)) return
          break
        case 'complete':
        case 'sync':
        case 'stop':
          this.queue.shift()
          void this.#hold(() => (message.kind === 'stop' ? this.#stop(message.stopped) : this.#work(message)))
          return
        default:
          unreachable(message)
      }
      takenSize += message.size
      this.queue.shift()
    }
  }

  /** @returns false when the append must stay in the queue, because there is no room for it yet. */
  #take(append: AppendMessage): boolean {
    const verdict = this.#check.decide(append)
    if (verdict !== null) this.#decide(append, verdict)
    else if (append.size > this.#log.capacity)
      this.#decide(append, { kind: 'rejected', error: tooLarge(append.size, this.#log.capacity) })
    else if (!this.#log.fits(append.size)) {
      void this.#hold(() => this.#rollOver(error => this.#refuse(append, error)))
      return false
    } else if (this.#durability === 'memory' && this.#log.end - this.#log.written > MAX_UNWRITTEN_SIZE) {
      void this.#hold(() => this.#drainWrites())
      return false
    } else this.#encode(append)
    return true
  }

  #decide(append: AppendMessage, verdict: Verdict): void {
    append.verdict = verdict
    append.settlesAt = this.#log.end
    this.#listener.decided(append)
  }

  #encode(append: AppendMessage): void {
    const refusal = encodeAppend(this.#log, append)
    if (refusal !== null) {
      this.#decide(append, { kind: 'rejected', error: refusal })
      return
    }
    this.#check.note(append)
    this.policy.wrote()
    this.appendCount++
    this.eventCount += append.eventCount
    this.byteCount += append.size
  }

  #commit(trigger: FlushTrigger): void {
    if (this.#durability === 'memory') this.flushed.advance(this.#log.end)
    if (this.#flushing === null) this.#startFlush(trigger)
    else if (this.#log.canWriteAhead(WRITE_AHEAD_SIZE)) this.#log.writeAhead()
  }

  #startFlush(trigger: FlushTrigger): void {
    this.policy.began(trigger)
    const startedMs = this.#clock.monotonic()
    const { end, eventCount } = this.#log
    const isSync = this.#durability === 'fsync' || this.#log.proven < this.#syncDueBelow
    const done = isSync ? this.#log.flush() : this.#log.write()
    this.#flushing = done.then(
      () => this.#flushCameBack(end, eventCount, startedMs),
      (error: unknown) => this.#flushFailed(error),
    )
  }

  #flushCameBack(end: LogPosition, eventCount: number, startedMs: number): void {
    this.#flushing = null
    this.#lastFlushMs = this.#clock.monotonic()
    this.statistics.record(this.#lastFlushMs - startedMs)
    this.#flushedEventCount = eventCount
    if (this.#failure !== null) return
    // The disk gets its next group before anyone is told of this one.
    const trigger = this.policy.due(this.queue.flushableCount)
    if (trigger !== null) this.#startFlush(trigger)
    if (end > this.flushed.position) this.flushed.advance(end)
    this.#log.keepAhead(end, eventCount)
    this.#proofTimer.start()
  }

  async #flushFailed(error: unknown): Promise<void> {
    this.#flushing = null
    if (!this.#canUndo(error)) return this.fail(error)
    await this.#hold(() => this.#undo(error))
  }

  /** A full disk is no failure of the writer, as long as nobody was acked and no sync has left its bytes in doubt. */
  #canUndo(error: unknown): boolean {
    return isDiskFull(error) && !this.#log.isInDoubt && this.#durability !== 'memory'
  }

  async #undo(cause: unknown): Promise<void> {
    const position = this.flushed.position
    try {
      await this.#log.undo(position, this.#flushedEventCount)
    } catch (error) {
      return this.fail(error)
    }
    this.policy.undone()
    this.#listener.undone(position, new DiskFullError(`the disk is full, nothing was appended: ${String(cause)}`, cause))
  }

  async #hold(work: () => Promise<void>): Promise<void> {
    const held = work()
    this.#holds.add(held)
    try {
      await held
    } catch (error) {
      this.fail(error)
    }
    this.#holds.delete(held)
    if (this.queue.length > 0) this.#schedule()
  }

  /** Flushes everything encoded, whatever the durability mode. Only while the loop is held. */
  async #drain(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing
    if (this.#failure !== null || this.#log.proven === this.#log.end) return
    this.policy.began('drained')
    try {
      await this.#log.flush()
    } catch (error) {
      if (this.#canUndo(error)) return this.#undo(error)
      return this.fail(error)
    }
    this.#allFlushed()
  }

  async #drainWrites(): Promise<void> {
    while (this.#flushing !== null) await this.#flushing
    if (this.#failure !== null) return
    // As a flush like any other: in the turn that holds the loop one may be due, and the bytes go to the file once.
    this.#startFlush('delay')
    await this.#flushing
  }

  /** Only for a writer that has failed: nothing begins any more. In others a flush may begin before whoever awaits this goes on. */
  async #landed(): Promise<void> {
    while (this.#flushing !== null || this.#holds.size > 0) await (this.#flushing ?? Promise.allSettled(this.#holds))
  }

  async #work({ kind, done }: WorkMessage): Promise<void> {
    let refusal: unknown = null
    if (kind === 'sync') await this.#drain()
    else if (!this.#log.isEmpty) await this.#rollOver(error => (refusal = error))
    done(this.#failure?.cause ?? refusal)
  }

  /** Goes to the next chunk, or says why it can't and stays in this one. */
  async #rollOver(refuse: (error: TailraceError) => void): Promise<void> {
    await this.#drain()
    if (this.#failure !== null) return
    try {
      await this.#log.ensureNext()
    } catch (error) {
      return refuse(nextChunkRefusal(error))
    }
    try {
      await this.#log.rollOver()
    } catch (error) {
      if (!this.#canUndo(error)) return this.fail(error)
      await this.#undo(error)
      return refuse(new DiskFullError(`the disk is full, the chunk cannot be completed: ${String(error)}`, error))
    }
    this.#allFlushed()
  }

  #allFlushed(): void {
    if (this.#failure !== null) return
    this.#flushedEventCount = this.#log.eventCount
    this.flushed.advance(this.#log.end)
    this.#log.keepAhead(this.#log.end, this.#log.eventCount)
  }

  /** Of the append in front, for which there is no room: the loop is held. */
  #refuse(append: AppendMessage, error: TailraceError): void {
    this.queue.shift()
    if (append.isAborted) this.#listener.decided(append)
    else this.#decide(append, { kind: 'rejected', error })
  }

  /** Once the writer is idle it proves what it wrote last. */
  #proofDue(): void {
    const isIdle = this.#holds.size === 0 && this.#flushing === null && this.queue.length === 0
    const isQuiet = this.#clock.monotonic() - this.#lastFlushMs >= PROOF_DELAY_MS / 2
    if (isIdle && (isQuiet || this.#durability === 'os')) return void this.#hold(() => this.#proveIdle(isQuiet))
    if (this.#durability === 'os') this.#syncDueBelow = this.flushed.position
    this.#proofTimer.start()
  }

  async #proveIdle(isQuiet: boolean): Promise<void> {
    await this.#prove()
    if (!isQuiet || this.#failure !== null || this.queue.length > 0) return
    if (this.#log.proven === this.#log.end) this.#listener.rested()
  }

  async #prove(): Promise<void> {
    await this.#drain()
    if (this.#failure !== null) return
    try {
      await this.#log.prove()
    } catch (error) {
      if (this.#log.isInDoubt) return this.fail(error)
      // The log stays as it was, unproven: the next append proves it.
      return this.#undo(error)
    }
    this.#allFlushed()
  }

  async #stop(stopped: () => void): Promise<void> {
    this.#proofTimer.end()
    await this.#prove()
    stopped()
  }

  /** For good: after a failed write or sync nobody knows what is on the disk, and a retry could be told that all is well. */
  fail(cause: unknown): void {
    if (this.#failure !== null) return
    this.#failure = { cause }
    this.#proofTimer.end()
    this.#listener.failed(this.flushed.position, cause)
    for (let message = this.queue.shift(); message !== undefined; message = this.queue.shift()) {
      if (message.kind === 'stop') void this.#landed().then(message.stopped)
      else if (message.kind !== 'append') message.done(cause)
    }
  }
}
