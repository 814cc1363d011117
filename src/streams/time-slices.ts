import { setImmediate } from 'node:timers'
import type { Clock } from '../core/clock.ts'

/** Long work hands the event loop back after this time. */
const SLICE_MS = 4

/** Cuts long work into slices, so that everything else goes on: ask `isOver` every few microseconds of work. */
export class TimeSlices {
  readonly #clock: Clock
  #beganMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#beganMs = clock.monotonic()
  }

  /** Whether it is time to `pause`. */
  get isOver(): boolean {
    return this.#clock.monotonic() - this.#beganMs >= SLICE_MS
  }

  /** Lets everything else run that waits; then the next slice begins. */
  async pause(): Promise<void> {
    await new Promise<void>(resolve => setImmediate(resolve))
    this.#beganMs = this.#clock.monotonic()
  }
}
