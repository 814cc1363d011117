import type { RecordedEvent } from '../../src/core/events.ts'

/** The next `count` events. */
export async function take(events: AsyncIterator<RecordedEvent, undefined>, count: number): Promise<RecordedEvent[]> {
  const taken: RecordedEvent[] = []
  while (taken.length < count) {
    const { value } = await events.next()
    if (value === undefined) throw new Error(`it ended after ${taken.length} of ${count} events`)
    taken.push(value)
  }
  return taken
}

export async function takeNumbers(events: AsyncIterator<RecordedEvent, undefined>, count: number): Promise<number[]> {
  return (await take(events, count)).map(numberOf)
}

export function numberOf(event: RecordedEvent): number {
  return (event.data as { number: number }).number
}
