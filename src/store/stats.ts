import type { LogPosition } from '../core/positions.ts'
import type { Rooms } from './rooms.ts'

/** Counters since the store was opened. Sizes in bytes, durations in milliseconds. */
export interface StoreStats {
  /** Appends that wait for the writer, and the most that ever did. */
  readonly queue: { readonly length: number; readonly peak: number; readonly bytes: number }
  /** Accepted and not settled. */
  readonly pending: { readonly appends: number; readonly bytes: number }
  /** What was written; a group is what one flush made durable. */
  readonly writer: { readonly appends: number; readonly events: number; readonly bytes: number; readonly groups: number }
  /** Percentiles over the last 1,024 flushes; what set them off. */
  readonly flush: {
    readonly count: number
    readonly p50Ms: number
    readonly p99Ms: number
    readonly maxMs: number
    readonly triggers: { readonly drained: number; readonly delay: number }
  }
  /** Commit acks published, up to which position everything is, and how far that is behind the flushed position. */
  readonly chaser: { readonly acks: number; readonly events: number; readonly position: LogPosition; readonly lagBytes: number }
  /** Streams whose first event is there. Events that were not scavenged, but the last one of a stream, which is remembered, counts on. */
  readonly index: { readonly streams: number; readonly events: number }
  /** Blocks of the log that random reads came by. */
  readonly cache: { readonly bytes: number; readonly hits: number; readonly misses: number }
}

export function statsOf({ writing, chaser, index, cache }: Rooms): StoreStats {
  const writer = writing?.writer
  const pending = writing?.pending
  const statistics = writer?.statistics
  return {
    queue: { length: writer?.queue.length ?? 0, peak: writer?.queue.peak ?? 0, bytes: writer?.queue.bytes ?? 0 },
    pending: {
      appends: (pending?.count ?? 0) + (writing?.admission.waiting.count ?? 0),
      bytes: (pending?.bytes ?? 0) + (writing?.admission.waiting.bytes ?? 0),
    },
    writer: {
      appends: writer?.appendCount ?? 0,
      events: writer?.eventCount ?? 0,
      bytes: writer?.byteCount ?? 0,
      groups: statistics?.count ?? 0,
    },
    flush: {
      count: statistics?.count ?? 0,
      p50Ms: statistics?.percentileMs(0.5) ?? 0,
      p99Ms: statistics?.percentileMs(0.99) ?? 0,
      maxMs: statistics?.maxMs ?? 0,
      triggers: { drained: writer?.policy.triggers.drained ?? 0, delay: writer?.policy.triggers.delay ?? 0 },
    },
    chaser: { acks: chaser.ackCount, events: chaser.eventCount, position: chaser.published.position, lagBytes: chaser.lag },
    index: { streams: index.streamCount, events: index.eventCount },
    cache: { bytes: cache.size, hits: cache.hits, misses: cache.misses },
  }
}
