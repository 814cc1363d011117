import type { Clock } from '../core/clock.ts'
import { OS_SYNC_DELAY_MS, PROOF_DELAY_MS } from '../core/limits.ts'
import type { Durability } from './durability.ts'

/** Says when to look whether the writer is idle. At most one timer runs, however many flushes there are, and none behind `end`. */
export class ProofTimer {
  readonly #clock: Clock
  readonly #delayMs: number
  readonly #onDue: () => void
  #cancel: (() => void) | null = null
  #isOver: boolean

  /** @param onDue called once for each `start` that found no timer running. */
  constructor(clock: Clock, durability: Durability, onDue: () => void) {
    this.#clock = clock
    this.#delayMs = durability === 'os' ? OS_SYNC_DELAY_MS : PROOF_DELAY_MS
    this.#onDue = onDue
    // What was acked from memory is proven by the close.
    this.#isOver = durability === 'memory'
  }

  start(): void {
    if (this.#cancel !== null || this.#isOver) return
    this.#cancel = this.#clock.after(this.#delayMs, () => {
      this.#cancel = null
      this.#onDue()
    })
  }

  /** For good: behind it the directory may be another one's. */
  end(): void {
    this.#isOver = true
    this.#cancel?.()
  }
}
