import type { Clock } from '../core/clock.ts'
import type { CheckedGroupOptions } from './group-options.ts'
import { type LogClient, withRoom, writeNote } from './log-client.ts'

/** What a group writes down. What stands below was settled; what it names and what stands behind is given out again. */
export interface GroupNote {
  /** A position; of a group over one stream, a revision; null when it is the first revision behind the position `behind`. */
  readonly from: number | null
  readonly behind: number
  /** A revision in the stream of parked messages: those from here on were not replayed. */
  readonly parkedFrom: number
}

/** Writes a group's checkpoints: not for each message, and one at a time. */
export class GroupCheckpoint {
  readonly #client: LogClient
  readonly #clock: Clock
  readonly #stream: string
  readonly #options: CheckedGroupOptions
  readonly #noteNow: () => GroupNote
  readonly #goesOn: (error: unknown) => boolean
  #revision: number | null
  /** Settled since the last checkpoint. */
  #count = 0
  #cancelTimer: (() => void) | null = null
  #writing: Promise<void> = Promise.resolve()
  #isWriting = false
  #isClosed = false

  /**
   * @param revision of the last note; null when there is none.
   * @param noteNow what is to be written.
   * @param goesOn told when it could not be written; says whether to try again.
   */
  constructor(
    client: LogClient,
    clock: Clock,
    stream: string,
    options: CheckedGroupOptions,
    revision: number | null,
    noteNow: () => GroupNote,
    goesOn: (error: unknown) => boolean,
  ) {
    this.#client = client
    this.#clock = clock
    this.#stream = stream
    this.#options = options
    this.#revision = revision
    this.#noteNow = noteNow
    this.#goesOn = goesOn
  }

  /** A message was settled. */
  count(): void {
    this.#count++
    this.#writeWhenDue()
  }

  #writeWhenDue(): void {
    if (this.#count >= this.#options.maxCheckPointCount) this.#write()
    else this.#writeLater()
  }

  /** Writes what is left. @throws (rejects with) what an append rejects with, but waits for room */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#cancelTimer?.()
    await this.#writing
    if (this.#count > 0) await withRoom(this.#client, () => this.#writeNote())
  }

  #writeLater(): void {
    if (this.#cancelTimer !== null || this.#count < this.#options.minCheckPointCount) return
    this.#cancelTimer = this.#clock.after(this.#options.checkPointAfterMs, () => {
      this.#cancelTimer = null
      this.#write()
    })
  }

  #write(): void {
    if (this.#isWriting || this.#count === 0) return
    this.#isWriting = true
    this.#writing = this.#writeNote().then(
      () => {
        this.#isWriting = false
        // What was settled meanwhile found the pen in use.
        if (!this.#isClosed) this.#writeWhenDue()
      },
      error => {
        this.#isWriting = false
        if (this.#goesOn(error) && !this.#isClosed) this.#writeLater()
      },
    )
  }

  async #writeNote(): Promise<void> {
    const counted = this.#count
    this.#count = 0
    try {
      this.#revision = await writeNote(this.#client, this.#stream, '$group-checkpoint', { ...this.#noteNow() }, this.#revision)
    } catch (error) {
      this.#count += counted
      throw error
    }
  }
}
