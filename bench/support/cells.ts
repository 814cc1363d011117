import type { LatencySummary } from './histogram.ts'

/** What an ack promises; the same words as the engine's option. */
export const DURABILITIES = ['fsync', 'os', 'memory'] as const
export type Durability = (typeof DURABILITIES)[number]

/** Who is measured: the engine, floor (b), floor (a). */
export type Subject = 'tailrace' | 'group-commit' | 'write-sync'

/** The load of one cell of the table: what both the engine and its floor are given. */
export interface Load {
  readonly durability: Durability
  readonly inFlight: number
  readonly payloadBytes: number
}

/** What the closed loop needs to know. */
export interface LoopSpec {
  readonly inFlight: number
  readonly payloadBytes: number
  readonly warmupSeconds: number
  readonly seconds: number
}

/** Everything a fresh process needs to know to measure one cell. */
export interface CellSpec extends Load, LoopSpec {
  readonly subject: Subject
  /** Made by the cell, removed by whoever asked for it. */
  readonly directory: string
}

/** What the closed loop found. */
export interface LoopResult {
  /** Length of the measured window, from one ack to another. */
  readonly seconds: number
  readonly acks: number
  readonly acksPerSecond: number
  readonly latency: LatencySummary
  readonly flushes: number
  /** Null when nothing was flushed within the window, as 'memory' may well do. */
  readonly appendsPerFlush: number | null
  /** Of this process within the window, and of those that work for it. */
  readonly cpuSeconds: number
}

export interface CellResult extends Load, LoopResult {
  readonly subject: Subject
}

/** Floor (a) has one shape only: a small record, one at a time. */
export const WRITE_SYNC_LOAD: Load = { durability: 'fsync', inFlight: 1, payloadBytes: 300 }

/** Every combination, in the order of the table. */
export function crossLoads(
  durabilities: readonly Durability[],
  inFlights: readonly number[],
  payloads: readonly number[],
): Load[] {
  return durabilities.flatMap(durability =>
    payloads.flatMap(payloadBytes => inFlights.map(inFlight => ({ durability, inFlight, payloadBytes }))),
  )
}
