import { monitorEventLoopDelay } from 'node:perf_hooks'
import { memoryMiB } from '../support/process-usage.ts'

const SAMPLE_MS = 50

/** How much memory this process takes beyond what it had, and how long its event loop was held. */
export class ProcessWatch {
  readonly #before = memoryMiB()
  readonly #delays = monitorEventLoopDelay({ resolution: 1 })
  readonly #timer: NodeJS.Timeout
  #peak = 0

  constructor() {
    this.#delays.enable()
    this.#timer = setInterval(() => this.#sample(), SAMPLE_MS)
    this.#timer.unref()
  }

  /** Begins the delays anew; the memory counts from the beginning. */
  resetDelays(): void {
    this.#delays.reset()
  }

  /** So far. The delay is what a timer of 1 ms came too late, in milliseconds. */
  figures() {
    this.#sample()
    return {
      memoryMiB: this.#peak - this.#before,
      delayP99Ms: this.#delays.percentile(99) / 1e6 - 1,
      delayMaxMs: Math.max(0, this.#delays.max / 1e6 - 1),
    }
  }

  stop(): void {
    clearInterval(this.#timer)
    this.#delays.disable()
  }

  #sample(): void {
    this.#peak = Math.max(this.#peak, memoryMiB())
  }
}
