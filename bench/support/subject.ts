import type { Appender } from './appender.ts'
import type { Durability } from './cells.ts'

/** What a workload asks of who is measured. Names are those of issue and report. */
export const WORKLOADS = ['W1', 'W2', 'W3', 'W4', 'W5', 'W6', 'W7'] as const
export type Workload = (typeof WORKLOADS)[number]

/** Takes one event of a read. `data` is good until it returns. */
export type Take = (stream: string, revision: number, data: Uint8Array) => void

/** The engine, a floor or a peer, open in a directory of its own. What it is not asked for (`workloads`) it need not do. */
export interface Subject extends Appender {
  /** Appends the events as one, all or nothing. */
  appendBatch(stream: string, batch: readonly Uint8Array[]): Promise<unknown>
  /** Reads everything in order, until `limit` events. Returns how many there were. */
  scan(take: Take, limit: number): Promise<number>
  /** Returns how many events the stream has. */
  readStream(stream: string, take: Take): Promise<number>
  /** How full the chunk is that a recovery would have to look through, 0 to 1; without it nobody asks. */
  activeFill?(): number
}

export interface OpenSpec {
  readonly directory: string
  readonly durability: Durability
  readonly inFlight: number
  readonly payloadBytes: number
  /** Memory for reads; without it what the subject takes by itself. */
  readonly cacheBytes?: number
}

export interface SubjectDescription {
  readonly name: string
  readonly title: string
  /** What is true of an event when its ack has come. */
  readonly guarantee: string
  /** Whether an ack of it may be called durable. */
  readonly isDurable: boolean
  readonly workloads: readonly Workload[]
  /** Why it can't be measured here; null when it can. */
  absent(): string | null
  /** Loads its code, where that can be told from opening it: neither the time nor the memory of that is its own. */
  prepare?(): Promise<unknown>
  open(spec: OpenSpec): Promise<Subject>
}

/** A family of the same software: `--against` names it, and loads and reads are made by one variant. */
export interface Peer {
  readonly name: string
  readonly variants: readonly SubjectDescription[]
}
