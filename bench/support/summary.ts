import type { CellResult, Load } from './cells.ts'
import type { LatencySummary } from './histogram.ts'

/** A cell and its floor, measured one right after the other. */
export interface CellRound {
  readonly load: Load
  readonly tailrace: CellResult
  readonly groupCommit: CellResult
}

/** One pass over all cells; floor (a) is measured at its beginning. */
export interface Round {
  readonly writeSync: CellResult
  readonly cells: readonly CellRound[]
}

/** One line of the table: medians over the rounds. */
export interface CellSummary extends Load {
  readonly tailrace: CellResult
  readonly groupCommit: CellResult
  readonly ratios: {
    /** Acks per second, to floor (b) under the same load: more is better. */
    readonly throughputToGroupCommit: number
    /** p50, to that of floor (a), with one append in flight: less is better. */
    readonly p50ToWriteSync: number | null
  }
}

export interface Summary {
  readonly writeSync: CellResult
  readonly cells: readonly CellSummary[]
}

/**
 * Medians over the rounds. A ratio is the median of the rounds' own ratios, not a ratio of medians: the two sides of each
 * were measured next to each other, so what the machine did in that minute hit both.
 */
export function summarise(rounds: readonly Round[]): Summary {
  const loads = rounds[0]?.cells.map(cell => cell.load) ?? []
  return {
    writeSync: medianResult(rounds.map(round => round.writeSync)),
    cells: loads.map((load, index) => {
      const pairs = rounds.map(round => ({ writeSync: round.writeSync, ...round.cells[index]! }))
      const ratio = (of: (pair: (typeof pairs)[number]) => number) => median(pairs.map(of))
      return {
        ...load,
        tailrace: medianResult(pairs.map(pair => pair.tailrace)),
        groupCommit: medianResult(pairs.map(pair => pair.groupCommit)),
        ratios: {
          throughputToGroupCommit: ratio(pair => pair.tailrace.acksPerSecond / pair.groupCommit.acksPerSecond),
          p50ToWriteSync: load.inFlight === 1 ? ratio(pair => pair.tailrace.latency.p50Us / pair.writeSync.latency.p50Us) : null,
        },
      }
    }),
  }
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const upper = sorted[sorted.length >> 1]!
  return sorted.length % 2 === 1 ? upper : (sorted[(sorted.length >> 1) - 1]! + upper) / 2
}

function medianResult(results: readonly CellResult[]): CellResult {
  const of = (value: (result: CellResult) => number) => median(results.map(value))
  const groups = results.flatMap(result => result.appendsPerFlush ?? [])
  const { subject, durability, inFlight, payloadBytes } = results[0]!
  return {
    subject,
    durability,
    inFlight,
    payloadBytes,
    seconds: of(result => result.seconds),
    acks: of(result => result.acks),
    acksPerSecond: of(result => result.acksPerSecond),
    latency: medianLatency(results.map(result => result.latency)),
    flushes: of(result => result.flushes),
    appendsPerFlush: groups.length > 0 ? median(groups) : null,
    cpuSeconds: of(result => result.cpuSeconds),
  }
}

function medianLatency(latencies: readonly LatencySummary[]): LatencySummary {
  const of = (value: (latency: LatencySummary) => number) => median(latencies.map(value))
  // A round with fewer samples has a shorter curve, with the same percentiles as far as it goes.
  const shortest = latencies.map(latency => latency.curve).reduce((a, b) => (b.length < a.length ? b : a))
  return {
    samples: of(latency => latency.samples),
    p50Us: of(latency => latency.p50Us),
    p90Us: of(latency => latency.p90Us),
    p99Us: of(latency => latency.p99Us),
    p999Us: of(latency => latency.p999Us),
    maxUs: of(latency => latency.maxUs),
    curve: shortest.map(([percentile], index) => [percentile, of(latency => latency.curve[index]![1])] as const),
  }
}
