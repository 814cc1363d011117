import { MAX_PIECE_COUNT, MAX_READ_SIZE, ReadingThread, type SmallRead } from './reading-thread.ts'

/** The thread is started when so many pieces were read the other way: what it costs is not for one who reads a stream or two. */
const WORTH_A_START = 1024
/** When reads had to wait for the disk, so many pieces go through the thread pool first: then twice as many each time. */
const MIN_PAUSE_COUNT = 256
const MAX_PAUSE_COUNT = 8192
/** So many in a row that did not have to, and it is the least again. */
const SMOOTH_COUNT = 512

/**
 * Has the small reads of all files made in a thread of their own. A process has one of it, whatever number of stores it has open; the
 * thread is started when it would help, and ends with the last file.
 */
export class SmallReads {
  #thread: ReadingThread | null = null
  /** For room in the thread. */
  #waiting: SmallRead[] = []
  /** Pieces, since there was no thread. */
  #refusedCount = 0
  /** It could not be started: not tried again. */
  #isBroken = false
  #fileCount = 0
  /** Pieces that shall go another way, and that will the next time. */
  #pausedFor = 0
  #nextPause = MIN_PAUSE_COUNT
  #smoothCount = 0

  /**
   * See `Disk.readPieces`.
   * @param answered see `SmallRead`; called later.
   * @returns false when it is to be read another way, and will not be answered. So is what is not small.
   */
  read(
    descriptors: readonly number[],
    target: Uint8Array,
    offsets: readonly number[],
    sizes: readonly number[],
    answered: (isRead: boolean) => void,
  ): boolean {
    const isSmall = target.length <= MAX_READ_SIZE && offsets.length <= MAX_PIECE_COUNT
    const thread = isSmall ? this.#threadFor(offsets.length) : null
    if (thread === null) return false
    const read = { descriptors, target, offsets, sizes, answered, from: 0, end: 0, next: null }
    if (this.#waiting.length > 0 || !thread.ask(read)) this.#waiting.push(read)
    return true
  }

  /** Null when so many pieces shall go another way. */
  #threadFor(count: number): ReadingThread | null {
    if (this.#thread === null) {
      this.#refusedCount += count
      if (this.#refusedCount >= WORTH_A_START) this.#start()
    } else if (this.#thread.isRunning) {
      if (this.#pausedFor === 0) {
        this.#smoothCount += count
        return this.#thread
      }
      this.#pausedFor = Math.max(0, this.#pausedFor - count)
    }
    return null
  }

  opened(): void {
    this.#fileCount++
  }

  /** Nobody reads the file any more. */
  closed(): void {
    if (--this.#fileCount > 0) return
    const thread = this.#thread
    this.#thread = null
    this.#refusedCount = 0
    void thread?.end()
    this.#pausedFor = 0
    this.#nextPause = MIN_PAUSE_COUNT
  }

  #start(): void {
    if (this.#isBroken) return
    try {
      this.#thread = new ReadingThread(isSmooth => this.#answered(isSmooth))
    } catch {
      this.#isBroken = true
    }
  }

  #answered(isSmooth: boolean): void {
    if (isSmooth) {
      if (this.#smoothCount >= SMOOTH_COUNT) this.#nextPause = MIN_PAUSE_COUNT
      this.#askForWaiting()
      return
    }
    this.#smoothCount = 0
    // What was refused together may be told by and by.
    if (this.#pausedFor === 0) {
      this.#pausedFor = this.#nextPause
      this.#nextPause = Math.min(MAX_PAUSE_COUNT, 2 * this.#nextPause)
    }
    const waiting = this.#waiting
    this.#waiting = []
    for (const read of waiting) read.answered(false)
  }

  #askForWaiting(): void {
    let asked = 0
    while (asked < this.#waiting.length && this.#thread!.ask(this.#waiting[asked]!)) asked++
    if (asked > 0) this.#waiting.splice(0, asked)
  }
}
