import type { AnyEvent, RecordedEvent } from '../core/events.ts'

/** What a read answers: an AsyncIterable of events, each iteration a read of its own; `.batches()` is faster. */
export interface EventReading<Event extends AnyEvent> extends AsyncIterable<RecordedEvent<Event>> {
  /** The same events in arrays, as they come from the log. */
  batches(): AsyncIterable<readonly RecordedEvent<Event>[]>
}

/** Hands out one batch after the other; null at the end. What is wrong is told by the promise alone. */
export type NextBatch = () => Promise<readonly RecordedEvent[] | null>

/**
 * A read that begins anew with each iteration. The iterators are written by hand: an async generator costs another promise
 * and two more turns for each event.
 */
export function eventReading<Event extends AnyEvent>(begin: () => NextBatch): EventReading<Event> {
  return {
    batches: () => ({ [Symbol.asyncIterator]: () => batchIterator(begin()) as AsyncIterator<readonly RecordedEvent<Event>[]> }),
    [Symbol.asyncIterator]: () => eventIterator(begin()) as AsyncIterator<RecordedEvent<Event>>,
  }
}

function batchIterator(nextBatch: NextBatch): AsyncIterator<readonly RecordedEvent[]> {
  let isDone = false
  const resultOf = (batch: readonly RecordedEvent[] | null): IteratorResult<readonly RecordedEvent[]> => {
    if (batch !== null) return { value: batch, done: false }
    isDone = true
    return { value: undefined, done: true }
  }
  return {
    next: () => (isDone ? Promise.resolve(resultOf(null)) : nextBatch().then(resultOf)),
    async return() {
      isDone = true
      return { value: undefined, done: true }
    },
  }
}

function eventIterator(nextBatch: NextBatch): AsyncIterator<RecordedEvent> {
  const batches = batchIterator(nextBatch)
  let batch: readonly RecordedEvent[] = []
  let index = 0
  const nextOf = async (): Promise<IteratorResult<RecordedEvent>> => {
    const result = await batches.next()
    if (result.done) return { value: undefined, done: true }
    batch = result.value
    index = 1
    return { value: batch[0]!, done: false }
  }
  return {
    next: () => (index < batch.length ? Promise.resolve({ value: batch[index++]!, done: false }) : nextOf()),
    async return() {
      batch = []
      await batches.return!()
      return { value: undefined, done: true }
    },
  }
}
