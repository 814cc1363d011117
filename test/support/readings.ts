import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'

/** A whole reading as an array. */
export async function collect(batches: AsyncIterable<readonly RecordedEvent[]>): Promise<RecordedEvent[]> {
  const events: RecordedEvent[] = []
  for await (const batch of batches) events.push(...batch)
  return events
}

/** All events of a store. */
export function eventsOf(store: EventStore): Promise<RecordedEvent[]> {
  return collect(store.readAll().batches())
}

/** The types of all events, in order: short enough to compare at a glance. */
export async function typesIn(store: EventStore): Promise<string[]> {
  return (await eventsOf(store)).map(event => event.type)
}
