const TICK_MS = 5

/** How long the event loop was kept from its timers, at the worst. */
export class LoopLag {
  #worstMs = 0
  #lastMs = performance.now()

  constructor() {
    setInterval(() => this.#tick(), TICK_MS).unref()
  }

  #tick(): void {
    const nowMs = performance.now()
    this.#worstMs = Math.max(this.#worstMs, nowMs - this.#lastMs - TICK_MS)
    this.#lastMs = nowMs
  }

  /** Since it was last asked. */
  takeMs(): number {
    this.#tick()
    const worstMs = this.#worstMs
    this.#worstMs = 0
    return worstMs
  }
}
