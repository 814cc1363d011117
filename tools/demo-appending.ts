import type { AppendAck, EventStore } from 'tailrace'
import { systemClock } from '#engine/core/clock.ts'
import type { Delivery } from './demo-deliveries.ts'

/** Where an ack said that a delivery is: by its number. */
export type Acks = Map<number, { readonly revision: number; readonly position: number }>

/** How a run of appends went. */
export interface AppendFigures {
  readonly events: number
  /** Of the data as JSON. */
  readonly dataBytes: number
  readonly ms: number
  readonly acksPerSecond: number
  /** From the call of append to its ack. */
  readonly p50Ms: number
  readonly p99Ms: number
  readonly flushes: number
  readonly eventsPerFlush: number
}

/** The deliveries that a store doesn't hold yet. Each stream is asked how far it goes: after a crash the log knows best. */
export async function missingDeliveries(store: EventStore, deliveries: readonly Delivery[]): Promise<Delivery[]> {
  const heads = new Map<string, number>()
  for (const { stream } of deliveries) {
    if (!heads.has(stream)) heads.set(stream, (await store.head(stream)) ?? -1)
  }
  return deliveries.filter(({ stream, revision }) => revision > heads.get(stream)!)
}

/**
 * Appends one delivery after the other, with so many in flight, each expecting that its stream ends with the one before.
 * @throws what the first append that failed threw; the others have settled then.
 */
export async function appendAll(
  store: EventStore,
  deliveries: readonly Delivery[],
  inFlightLimit: number,
  onAck: (delivery: Delivery, ack: AppendAck) => void,
): Promise<AppendFigures> {
  const latenciesMs: number[] = []
  const failures: unknown[] = []
  const before = store.stats()
  const startedMs = systemClock.monotonic()
  let inFlight = 0
  let wake = (): void => {}
  const change = (): Promise<void> =>
    new Promise(resolve => {
      wake = resolve
    })
  for (const delivery of deliveries) {
    while (inFlight >= inFlightLimit) await change()
    if (failures.length > 0) break
    const { stream, revision, event } = delivery
    const calledMs = systemClock.monotonic()
    inFlight++
    store.append(stream, event, { expectedRevision: revision === 0 ? 'no_stream' : revision - 1 }).then(
      ack => {
        latenciesMs.push(systemClock.monotonic() - calledMs)
        onAck(delivery, ack)
        inFlight--
        wake()
      },
      (error: unknown) => {
        failures.push(error)
        inFlight--
        wake()
      },
    )
  }
  while (inFlight > 0) await change()
  if (failures.length > 0) throw failures[0]
  const ms = systemClock.monotonic() - startedMs
  const after = store.stats()
  const flushes = after.flush.count - before.flush.count
  latenciesMs.sort((a, b) => a - b)
  return {
    events: deliveries.length,
    dataBytes: deliveries.reduce((sum, { size }) => sum + size, 0),
    ms,
    acksPerSecond: (deliveries.length / ms) * 1000,
    p50Ms: percentile(latenciesMs, 0.5),
    p99Ms: percentile(latenciesMs, 0.99),
    flushes,
    eventsPerFlush: flushes === 0 ? 0 : (after.writer.events - before.writer.events) / flushes,
  }
}

function percentile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(sorted.length * share) - 1)] ?? 0
}
