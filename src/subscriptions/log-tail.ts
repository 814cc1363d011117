import { listenTo, stopListening } from '../core/abort-signal.ts'
import type { Clock } from '../core/clock.ts'
import type { LogPosition } from '../core/positions.ts'
import type { Checkpoint } from '../log/checkpoint.ts'

/** How often a store that is open for reading looks whether there is more, while someone waits. */
const LOOK_INTERVAL_MS = 10

/**
 * The end of what is published, and who waits there. It follows the checkpoint once for all of them: a reader that is busy, or
 * far behind, is not woken and costs nothing.
 */
export class LogTail {
  readonly #published: Checkpoint
  readonly #clock: Clock
  readonly #look: (() => Promise<void>) | null
  readonly #waiting = new Set<(error?: unknown) => void>()
  readonly #listening = new Map<() => void, AbortSignal>()
  readonly #unfollow: () => void
  #isLooking = false
  #isClosed = false

  /** @param look brings the checkpoint up to date, in a store that follows another process; null where it moves by itself. */
  constructor(published: Checkpoint, clock: Clock, look: (() => Promise<void>) | null) {
    this.#published = published
    this.#clock = clock
    this.#look = look
    this.#unfollow = published.follow(() => this.#wake())
  }

  get position(): LogPosition {
    return this.#published.position
  }

  /** The store is closed, or being closed: nobody waits any more. */
  get isClosed(): boolean {
    return this.#isClosed
  }

  /** Whether the position moves only when somebody looks. */
  get hasToLook(): boolean {
    return this.#look !== null
  }

  /** Brings the position up to date, where that has to be asked for. */
  async refresh(): Promise<void> {
    await this.#look?.()
  }

  /**
   * Calls `wake` once: when the position has moved, when the store is closed, or with the error that looking for more ended in.
   * @returns a function that ends the wait.
   */
  wait(wake: (error?: unknown) => void): () => void {
    this.#waiting.add(wake)
    this.#lookLater()
    return () => this.#waiting.delete(wake)
  }

  /**
   * Calls `onAbort` when the signal is aborted, unless `stopListening` came first, or the store is closed: a signal that outlives the
   * store must not hold on to those who followed it.
   */
  listenTo(signal: AbortSignal, onAbort: () => void): void {
    if (this.#isClosed) return
    listenTo(signal, onAbort)
    this.#listening.set(onAbort, signal)
  }

  stopListening(signal: AbortSignal, onAbort: () => void): void {
    stopListening(signal, onAbort)
    this.#listening.delete(onAbort)
  }

  close(): void {
    this.#isClosed = true
    this.#unfollow()
    this.#wake()
    for (const [onAbort, signal] of this.#listening) this.stopListening(signal, onAbort)
  }

  #wake(error?: unknown): void {
    if (this.#waiting.size === 0) return
    const woken = [...this.#waiting]
    this.#waiting.clear()
    for (const wake of woken) wake(error)
  }

  #lookLater(): void {
    const look = this.#look
    if (look === null || this.#isLooking || this.#isClosed) return
    this.#isLooking = true
    const done = (error?: unknown): void => {
      this.#isLooking = false
      if (error !== undefined) this.#wake(error)
      if (this.#waiting.size > 0) this.#lookLater()
    }
    this.#clock.after(LOOK_INTERVAL_MS, () => {
      if (this.#isClosed || this.#waiting.size === 0) done()
      else look().then(() => done(), done)
    })
  }
}
