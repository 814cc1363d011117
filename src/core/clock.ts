import { performance } from 'node:perf_hooks'
import { clearTimeout, setTimeout } from './timers.ts'

/** The seam to time. No room reads the clock of the process by itself. */
export interface Clock {
  /** Milliseconds since 1970; may jump. Only for what users see. */
  now(): number
  /** Milliseconds from some fixed point; never goes back. For durations. */
  monotonic(): number
  /**
   * Calls `callback` once after about `delayMs`; must not keep the process alive. More than 2^31 - 1 ms it need not wait: whoever
   * must not be called earlier looks at the time and asks again. Returns a function that cancels it.
   */
  after(delayMs: number, callback: () => void): () => void
}

/** Node takes a longer delay for one of 1 ms. */
const MAX_DELAY_MS = 2 ** 31 - 1

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, Math.min(delayMs, MAX_DELAY_MS))
    timer.unref()
    return () => clearTimeout(timer)
  },
}
