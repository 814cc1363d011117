import type { Clock } from '../../src/core/clock.ts'

const START_MS = Date.UTC(2024, 0, 1)

/** A clock that stands still until it is told to go on: timers fire when the test says so, in the order of their times. */
export class ManualClock implements Clock {
  #ms = 0
  #timers: { readonly dueMs: number; readonly callback: () => void }[] = []

  now(): number {
    return START_MS + this.#ms
  }

  monotonic(): number {
    return this.#ms
  }

  after(delayMs: number, callback: () => void): () => void {
    const timer = { dueMs: this.#ms + delayMs, callback }
    this.#timers.push(timer)
    return () => {
      this.#timers = this.#timers.filter(other => other !== timer)
    }
  }

  /** Timers that wait. */
  get timerCount(): number {
    return this.#timers.length
  }

  advance(ms: number): void {
    this.#ms += ms
    const due = this.#timers.filter(timer => timer.dueMs <= this.#ms).sort((one, other) => one.dueMs - other.dueMs)
    this.#timers = this.#timers.filter(timer => timer.dueMs > this.#ms)
    for (const { callback } of due) callback()
  }
}

/** A clock without timers, for stores that are opened only to be looked at. */
export const stillClock: Clock = { now: () => START_MS, monotonic: () => 0, after: () => () => {} }

/** Lets everything run that needs no timer: promises, ticks, and some turns of the event loop. */
export async function settle(turns = 12): Promise<void> {
  for (let turn = 0; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
}
