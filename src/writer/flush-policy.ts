import type { Clock } from '../core/clock.ts'

/** Why a flush is due. */
export type FlushTrigger = 'drained' | 'delay'

/**
 * When to fsync: when no flushable message waits any more, or when the oldest unflushed write is `flushDelayMs` old. There is
 * no timer: while messages wait, the writer comes by between slices and looks at the clock; when none waits, the first rule
 * holds. Gathering is done by the flush that is under way, not by waiting.
 */
export class FlushPolicy {
  readonly #clock: Clock
  readonly #flushDelayMs: number
  #oldestWriteMs = -1
  readonly triggers: Record<FlushTrigger, number> = { drained: 0, delay: 0 }

  constructor(clock: Clock, flushDelayMs: number) {
    this.#clock = clock
    this.#flushDelayMs = flushDelayMs
  }

  /** Something was written that no flush covers yet. */
  wrote(): void {
    if (this.#oldestWriteMs < 0) this.#oldestWriteMs = this.#clock.monotonic()
  }

  due(flushableCount: number): FlushTrigger | null {
    if (this.#oldestWriteMs < 0) return null
    if (flushableCount === 0) return 'drained'
    return this.#clock.monotonic() - this.#oldestWriteMs >= this.#flushDelayMs ? 'delay' : null
  }

  /** A flush that covers everything written so far has begun. */
  began(trigger: FlushTrigger): void {
    this.triggers[trigger]++
    this.#oldestWriteMs = -1
  }

  /** What was written has been taken back. */
  undone(): void {
    this.#oldestWriteMs = -1
  }
}
