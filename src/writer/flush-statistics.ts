const KEPT_COUNT = 1024

/** The latest flush durations, in a ring; percentiles are worked out when someone asks. */
export class FlushStatistics {
  readonly #durationsMs = new Float64Array(KEPT_COUNT)
  #count = 0
  #maxMs = 0

  record(durationMs: number): void {
    this.#durationsMs[this.#count % KEPT_COUNT] = durationMs
    this.#count++
    if (durationMs > this.#maxMs) this.#maxMs = durationMs
  }

  /** Flushes ever. */
  get count(): number {
    return this.#count
  }

  /** The longest flush ever, in milliseconds. */
  get maxMs(): number {
    return this.#maxMs
  }

  /** Of the last 1,024 flushes, in milliseconds; 0 before the first. */
  percentileMs(share: number): number {
    const kept = this.#durationsMs.slice(0, Math.min(this.#count, KEPT_COUNT)).sort()
    return kept.length === 0 ? 0 : kept[Math.min(kept.length - 1, Math.floor(kept.length * share))]!
  }
}
