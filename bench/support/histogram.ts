import { build } from 'hdr-histogram-js'

/** Latencies below this are counted one by one in an array; the few above are kept as they are. */
const COUNTED_US = 1 << 20
const HIGHEST_US = 3_600_000_000

/** Dense enough for a smooth curve; each is reported only if there were samples enough to know it. */
const CURVE_PERCENTILES = [
  0, 10, 20, 30, 40, 50, 60, 70, 75, 80, 85, 90, 92.5, 95, 97, 98, 99, 99.5, 99.8, 99.9, 99.95, 99.98, 99.99, 99.999,
]

/** All in microseconds. */
export interface LatencySummary {
  readonly samples: number
  readonly p50Us: number
  readonly p90Us: number
  readonly p99Us: number
  readonly p999Us: number
  readonly maxUs: number
  /** Pairs of percentile and latency. */
  readonly curve: readonly (readonly [percentile: number, us: number])[]
}

/**
 * Takes a latency in a few nanoseconds and makes an HDR histogram of them in the end. Recording into the histogram itself
 * takes 130 ns, which would be a tenth of all that is measured at a million acks a second; an array of counts, one for
 * each microsecond, loses nothing by comparison.
 */
export class LatencyRecorder {
  readonly #counts = new Uint32Array(COUNTED_US)
  readonly #slowUs: number[] = []

  record(ms: number): void {
    const us = Math.round(ms * 1000)
    if (us < COUNTED_US) this.#counts[us]! += 1
    else this.#slowUs.push(us)
  }

  summary(): LatencySummary {
    const histogram = build({
      bitBucketSize: 64,
      lowestDiscernibleValue: 1,
      highestTrackableValue: HIGHEST_US,
      numberOfSignificantValueDigits: 3,
    })
    this.#counts.forEach((count, us) => {
      // A latency below half a microsecond is still not nothing.
      if (count > 0) histogram.recordValueWithCount(Math.max(us, 1), count)
    })
    for (const us of this.#slowUs) histogram.recordValue(Math.min(us, HIGHEST_US))
    const samples = histogram.totalCount
    // The histogram answers with the upper end of a bucket, which may lie above all that was recorded.
    const at = (percentile: number) => Math.min(histogram.getValueAtPercentile(percentile), histogram.maxValue)
    const known = CURVE_PERCENTILES.filter(percentile => (1 - percentile / 100) * samples >= 1)
    return {
      samples,
      p50Us: at(50),
      p90Us: at(90),
      p99Us: at(99),
      p999Us: at(99.9),
      maxUs: histogram.maxValue,
      curve: known.map(percentile => [percentile, at(percentile)] as const),
    }
  }
}
