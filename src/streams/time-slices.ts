import type { Clock } from '../core/clock.ts'
import { setImmediate } from '../core/timers.ts'

/** The shortest slice, where turns are short: an ack that comes meanwhile waits for its end. */
const MIN_SLICE_MS = 1
/** The longest, whatever the others take. */
const MAX_SLICE_MS = 4
/** In between a slice is this share of what everybody else took before it: where turns are long anyway, the work must get on, too. */
const SHARE = 1 / 2

/** Cuts long work into slices, so that everything else goes on: ask `isOver` every few microseconds of work. */
export class TimeSlices {
  readonly #clock: Clock
  #beganMs: number
  #sliceMs = MIN_SLICE_MS

  constructor(clock: Clock) {
    this.#clock = clock
    this.#beganMs = clock.monotonic()
  }

  /** Whether it is time to `pause`. */
  get isOver(): boolean {
    return this.#clock.monotonic() - this.#beganMs >= this.#sliceMs
  }

  /** Lets everything else run that waits; then the next slice begins. */
  async pause(): Promise<void> {
    const pausedMs = this.#clock.monotonic()
    await new Promise<void>(resolve => setImmediate(resolve))
    this.#beganMs = this.#clock.monotonic()
    this.#sliceMs = Math.min(MAX_SLICE_MS, Math.max(MIN_SLICE_MS, (this.#beganMs - pausedMs) * SHARE))
  }
}
