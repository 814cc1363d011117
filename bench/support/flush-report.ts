import type { Machine } from './machine.ts'
import type { CellSummary, Round, Summary } from './summary.ts'
import { bytes, figure } from './table.ts'

/** All that a run found: what the JSON holds, and what the table and the page are made of. */
export interface FlushReport extends Summary {
  readonly benchmark: 'flush-latency'
  readonly startedAt: string
  readonly machine: Machine
  readonly settings: {
    readonly quick: boolean
    readonly rounds: number
    readonly seconds: number
    readonly warmupSeconds: number
    readonly streams: number
  }
  /** What the medians were taken from. */
  readonly rounds: readonly Round[]
}

export const FLUSH_TABLE_HEAD = [
  'durability',
  'in flight',
  'payload',
  'acks/s',
  'p50 µs',
  'p90',
  'p99',
  'p99.9',
  'max',
  'flushes',
  'per flush',
  '(b) acks/s',
  'acks/(b)',
  'p50/(a)',
] as const

export function flushTableRow(cell: CellSummary): string[] {
  const { acksPerSecond, latency, flushes, appendsPerFlush } = cell.tailrace
  return [
    cell.durability,
    figure(cell.inFlight),
    bytes(cell.payloadBytes),
    figure(acksPerSecond),
    ...[latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs, flushes].map(value => figure(value)),
    figure(appendsPerFlush, appendsPerFlush !== null && appendsPerFlush < 100 ? 1 : 0),
    figure(cell.groupCommit.acksPerSecond),
    figure(cell.ratios.throughputToGroupCommit, 2),
    figure(cell.ratios.p50ToWriteSync, 2),
  ]
}

/** What must stand beside the numbers for them to mean something. */
export function flushNotes({ settings, writeSync }: FlushReport): string[] {
  const { p50Us, p99Us } = writeSync.latency
  return [
    `Each cell: ${settings.seconds} s after ${settings.warmupSeconds} s of warm-up, in a fresh process; ` +
      `medians of ${settings.rounds} interleaved round${settings.rounds === 1 ? '' : 's'}; ${settings.streams} streams, closed loop.`,
    `Floor (a): writeSync of ${writeSync.payloadBytes} B over prefilled space + fdatasync, one at a time: p50 ${figure(p50Us)} µs, ` +
      `p99 ${figure(p99Us)} µs, ${figure(writeSync.acksPerSecond)}/s. p50/(a): less is better.`,
    "Floor (b): a one-file group-commit appender under the same load, with the same promise as the line's durability mode. " +
      'acks/(b): more is better.',
    "Only 'fsync' is durable. 'os' survives a crash of the process, not of the machine; 'memory' survives neither.",
  ]
}
