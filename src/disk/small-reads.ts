import { BATCH_COUNT, BATCH_SIZE, ReadingThread, type SmallRead } from './reading-thread.ts'

/** Two: one reader's batch is read by both at once. More would only take turns on small machines. */
const THREAD_COUNT = 2
/** Threads are started when so many pieces were read the other way: what they cost is not for one who reads a stream or two. */
const WORTH_A_START = 1024
/** Fewer reads are not divided among threads. */
const WORTH_A_THREAD = 32
/** After batches that had to wait for the disk, so many go through the thread pool at once: one, then twice as many each time. */
const MAX_BATCHES_AFTER_WAIT = 32

/**
 * Gathers the small reads of one turn of the event loop, of all files, and has them read batch by batch in threads of their own. A
 * process has one of it, whatever number of stores it has open; the threads are started when they would help, and end with the last
 * file.
 */
export class SmallReads {
  #threads: readonly ReadingThread[] = []
  #waiting: SmallRead[] = []
  /** Of those that wait. */
  #pieceCount = 0
  /** Pieces, since there were threads last. */
  #refusedCount = 0
  #isGathering = false
  /** Threads could not be started, or ended by themselves: not tried again. */
  #isBroken = false
  #fileCount = 0
  /** Batches that shall go another way. */
  #pausedFor = 0
  /** So many will, when the next batch has to wait for the disk. */
  #nextPause = 1

  /**
   * See `DiskFile.readPieces`; the target has at most SMALL_READ_SIZE bytes.
   * @param answered see `SmallRead`; called later.
   */
  read(
    descriptor: number,
    target: Uint8Array,
    offsets: readonly number[],
    sizes: readonly number[],
    answered: (isRead: boolean) => void,
  ): void {
    this.#waiting.push({ descriptor, target, offsets, sizes, answered })
    this.#pieceCount += offsets.length
    if (this.#isGathering) return
    this.#isGathering = true
    process.nextTick(this.#gathered)
  }

  opened(): void {
    this.#fileCount++
  }

  /** Nobody reads the file any more. */
  closed(): void {
    if (--this.#fileCount > 0) return
    const threads = this.#threads
    this.#threads = []
    this.#refusedCount = 0
    for (const thread of threads) void thread.end()
    this.#pausedFor = 0
    this.#nextPause = 1
  }

  readonly #gathered = (): void => {
    this.#isGathering = false
    this.#hand()
  }

  #hand(): void {
    if (this.#waiting.length === 0) return
    if (this.#threads.length === 0 && this.#refusedCount >= WORTH_A_START) this.#start()
    if (this.#pausedFor > 0) {
      this.#pausedFor--
      this.#refuse()
      return
    }
    const idle = this.#threads.filter(thread => thread.isIdle)
    if (this.#threads.some(thread => thread.isReading)) {
      // They are taken when it comes back: waking another costs more than so few reads.
      if (idle.length === 0 || this.#pieceCount < WORTH_A_THREAD) return
    } else if (idle.length === 0) {
      this.#refuse()
      return
    }
    const share = Math.min(BATCH_COUNT, Math.max(WORTH_A_THREAD, Math.ceil(this.#pieceCount / idle.length)))
    for (const thread of idle) if (this.#waiting.length > 0) thread.read(this.#take(share))
  }

  /** About `count` pieces, of one read at least. */
  #take(count: number): SmallRead[] {
    let size = 0
    let pieces = 0
    let end = 0
    for (; end < this.#waiting.length && pieces < count; end++) {
      const { target, offsets } = this.#waiting[end]!
      size += target.length
      pieces += offsets.length
      if (end > 0 && (size > BATCH_SIZE || pieces > BATCH_COUNT)) {
        pieces -= offsets.length
        break
      }
    }
    this.#pieceCount -= pieces
    return this.#waiting.splice(0, end)
  }

  #start(): void {
    if (this.#isBroken) return
    try {
      this.#threads = Array.from({ length: THREAD_COUNT }, () => new ReadingThread(isWhole => this.#answered(isWhole)))
    } catch {
      this.#isBroken = true
    }
  }

  #answered(isWhole: boolean): void {
    if (isWhole) this.#nextPause = 1
    else {
      this.#pausedFor = this.#nextPause
      this.#nextPause = Math.min(MAX_BATCHES_AFTER_WAIT, 2 * this.#nextPause)
    }
    this.#hand()
  }

  #refuse(): void {
    const waiting = this.#waiting
    this.#waiting = []
    this.#refusedCount += this.#pieceCount
    this.#pieceCount = 0
    for (const read of waiting) read.answered(false)
  }
}
