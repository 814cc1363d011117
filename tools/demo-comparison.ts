import { isDeepStrictEqual } from 'node:util'
import type { EventStore, RecordedEvent } from 'tailrace'
import { systemClock } from '#engine/core/clock.ts'
import type { Acks } from './demo-appending.ts'
import type { Deliveries, Delivery } from './demo-deliveries.ts'

const SHOWN_DIFFERENCES = 10

/** What a store holds, held against what was appended. */
export interface Comparison {
  /** Events that are exactly what was appended, where it was appended. */
  readonly equal: number
  /** Acked, and not there. Must be 0. */
  readonly lost: number
  /** There, and not what was appended, or in another place. Must be 0. */
  readonly different: number
  /** The first few of these, in words. */
  readonly differences: readonly string[]
  /** Bytes of the payloads. */
  readonly bytes: number
  /** Of the reading alone, without the comparing. */
  readonly readMs: number
}

/** Reads the whole log, then each stream by itself, and compares every event. */
export async function compareAll(store: EventStore, deliveries: Deliveries, acks: Acks): Promise<Comparison> {
  const positions = new Map<Delivery, number>()
  const nextRevisions = new Map<string, number>()
  const differences: string[] = []
  let different = 0
  const note = (difference: string): void => {
    different++
    if (differences.length < SHOWN_DIFFERENCES) differences.push(difference)
  }
  let bytes = 0
  let lastPosition = -1
  let readMs = 0
  let askedMs = systemClock.monotonic()
  for await (const batch of store.readAll().batches()) {
    readMs += systemClock.monotonic() - askedMs
    for (const event of batch) {
      const { stream, revision, position } = event
      const expectedRevision = nextRevisions.get(stream) ?? 0
      nextRevisions.set(stream, expectedRevision + 1)
      bytes += event.bytes.length
      const delivery = deliveries.byStream.get(stream)?.[revision]
      const difference =
        revision !== expectedRevision
          ? `revision ${expectedRevision} was due`
          : position <= lastPosition
            ? `its position ${position} is not behind ${lastPosition}`
            : delivery === undefined
              ? 'it was never appended'
              : differenceTo(delivery, event, acks)
      if (difference === null) positions.set(delivery!, position)
      else note(`${stream} ${revision}: ${difference}`)
      lastPosition = position
    }
    askedMs = systemClock.monotonic()
  }
  readMs += systemClock.monotonic() - askedMs
  for (const [stream, count] of nextRevisions) await compareStream(store, stream, count, deliveries, positions, note)
  const found = new Set(Array.from(positions.keys(), ({ number }) => number))
  const lost = Array.from(acks.keys()).filter(number => !found.has(number)).length
  return { equal: positions.size, lost, different, differences, bytes, readMs }
}

/** @returns in words what is not as it was appended and acked; null when all is. */
function differenceTo({ number, event: appended }: Delivery, event: RecordedEvent, acks: Acks): string | null {
  const ack = acks.get(number)
  if (ack !== undefined && (ack.revision !== event.revision || ack.position !== event.position)) {
    return `it was acked as revision ${ack.revision} at ${ack.position} and is at ${event.position}`
  }
  for (const key of ['id', 'type', 'metadata', 'data'] as const) {
    if (!isDeepStrictEqual(event[key], appended[key])) return `its ${key} is not what was appended`
  }
  return null
}

/** A stream read by itself must be the same events: those that the whole log showed. */
async function compareStream(
  store: EventStore,
  stream: string,
  count: number,
  { byStream }: Deliveries,
  positions: ReadonlyMap<Delivery, number>,
  note: (difference: string) => void,
): Promise<void> {
  let revision = 0
  for await (const event of store.readStream(stream)) {
    const delivery = byStream.get(stream)?.[revision]
    const position = delivery === undefined ? undefined : positions.get(delivery)
    if (event.revision !== revision || event.position !== position) note(`${stream} ${revision}: its stream shows another event`)
    revision++
  }
  if (revision !== count) note(`${stream}: has ${revision} events when read by itself, ${count} in the whole log`)
}
