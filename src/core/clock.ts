/** The seam to time. No room reads the clock of the process by itself. */
export interface Clock {
  /** Milliseconds since 1970; may jump. Only for what users see. */
  now(): number
  /** Milliseconds from some fixed point; never goes back. For durations. */
  monotonic(): number
  /** Calls `callback` once after about `delayMs`; must not keep the process alive. Returns a function that cancels it. */
  after(delayMs: number, callback: () => void): () => void
}

export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  after(delayMs, callback) {
    const timer = setTimeout(callback, delayMs)
    timer.unref()
    return () => clearTimeout(timer)
  },
}
