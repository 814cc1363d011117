import type { AnyEvent, RecordedEvent } from '../core/events.ts'

/** What a read answers: an AsyncIterable of events, each iteration a read of its own; `.batches()` is faster. */
export interface EventReading<Event extends AnyEvent> extends AsyncIterable<RecordedEvent<Event>> {
  /** The same events in arrays, as they come from the log. */
  batches(): AsyncIterable<readonly RecordedEvent<Event>[]>
}

/**
 * Hands out one batch after the other; null at the end. What is wrong is told by the promise alone. A batch is empty when all that was
 * looked at is left out: a step takes no longer than reading some of the log, so that a close or an abort need not wait for more.
 */
export type NextBatch = () => Promise<readonly RecordedEvent[] | null>

/**
 * A read that begins anew with each iteration. The iterators are written by hand: an async generator costs another promise
 * and two more turns for each event. Calls are answered in their order, as a generator does.
 * @param signal what is at hand when it is aborted is not handed out any more. The next batch is refused by who reads it.
 */
export function eventReading<Event extends AnyEvent>(begin: () => NextBatch, signal?: AbortSignal): EventReading<Event> {
  return {
    batches: () => ({
      [Symbol.asyncIterator]: () => batchIterator(withoutEmpty(begin())) as AsyncIterator<readonly RecordedEvent<Event>[]>,
    }),
    [Symbol.asyncIterator]: () => eventIterator(withoutEmpty(begin()), signal) as AsyncIterator<RecordedEvent<Event>>,
  }
}

/** The same, for one who has nothing to do between two steps. */
function withoutEmpty(nextBatch: NextBatch): NextBatch {
  return async () => {
    for (;;) {
      const batch = await nextBatch()
      if (batch?.length !== 0) return batch
    }
  }
}

/** Calls of one iterator: one that comes while another is under way waits for it. */
class CallsInTurn {
  #last: Promise<unknown> | null = null

  get isUnderWay(): boolean {
    return this.#last !== null
  }

  run<Answer>(call: () => Promise<Answer>): Promise<Answer> {
    const answer = this.#last === null ? call() : this.#last.then(call, call)
    this.#last = answer
    const answered = () => {
      if (this.#last === answer) this.#last = null
    }
    answer.then(answered, answered)
    return answer
  }
}

function batchIterator(nextBatch: NextBatch): AsyncIterator<readonly RecordedEvent[]> {
  const calls = new CallsInTurn()
  let isDone = false
  const next = async (): Promise<IteratorResult<readonly RecordedEvent[]>> => {
    const batch = isDone ? null : await nextBatch()
    if (batch !== null) return { value: batch, done: false }
    isDone = true
    return ended()
  }
  const end = async () => {
    isDone = true
    return ended()
  }
  return { next: () => calls.run(next), return: () => calls.run(end) }
}

function eventIterator(nextBatch: NextBatch, signal: AbortSignal | undefined): AsyncIterator<RecordedEvent> {
  const calls = new CallsInTurn()
  let batch: readonly RecordedEvent[] | null = []
  let index = 0
  const isAtHand = ({ length }: readonly RecordedEvent[]) => index < length && signal?.aborted !== true
  const next = async (): Promise<IteratorResult<RecordedEvent>> => {
    if (batch !== null && !isAtHand(batch)) {
      batch = await nextBatch()
      index = 0
    }
    return batch === null ? ended() : { value: batch[index++]!, done: false }
  }
  const end = async () => {
    batch = null
    return ended()
  }
  return {
    next: () =>
      batch !== null && isAtHand(batch) && !calls.isUnderWay
        ? Promise.resolve({ value: batch[index++]!, done: false })
        : calls.run(next),
    return: () => calls.run(end),
  }
}

function ended(): IteratorReturnResult<undefined> {
  return { value: undefined, done: true }
}
