import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { eventReading } from '../../src/streams/event-reading.ts'
import { all, rejectionOf, upTo } from '../store/words.ts'

const event = (revision: number) => ({ revision }) as unknown as RecordedEvent

/** A reading of the given batches, which moves on when a batch has come; counts how often it is begun and asked. */
function readingOf(batches: readonly (readonly number[])[]) {
  const counts = { begun: 0, asked: 0 }
  const reading = eventReading(() => {
    counts.begun++
    let next = 0
    return async () => {
      counts.asked++
      const batch = batches[next]?.map(event) ?? null
      await null
      next++
      return batch
    }
  })
  return { reading, counts }
}

describe('a reading', () => {
  test('gives the events of all batches, one by one', async () => {
    const { reading } = readingOf([[0, 1], [2], [3, 4, 5]])
    expect((await all(reading)).map(({ revision }) => revision)).toEqual([0, 1, 2, 3, 4, 5])
  })

  test('gives the batches as they come', async () => {
    const { reading } = readingOf([[0, 1], [2], [3, 4, 5]])
    const batches = await all(reading.batches())
    expect(batches.map(batch => batch.map(({ revision }) => revision as number))).toEqual([[0, 1], [2], [3, 4, 5]])
  })

  test('of nothing ends at once', async () => {
    const { reading } = readingOf([])
    expect(await all(reading)).toEqual([])
    expect(await all(reading.batches())).toEqual([])
  })

  test('does nothing before it is iterated, and begins anew each time', async () => {
    const { reading, counts } = readingOf([[0]])
    expect(counts).toEqual({ begun: 0, asked: 0 })
    await all(reading)
    await all(reading)
    expect(counts.begun).toBe(2)
  })

  test('asks for a batch only when the last one is used up', async () => {
    const { reading, counts } = readingOf([
      [0, 1],
      [2, 3],
    ])
    const iterator = reading[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.next()
    expect(counts.asked).toBe(1)
    await iterator.next()
    expect(counts.asked).toBe(2)
  })

  test('that has ended stays so, and asks nobody', async () => {
    const { reading, counts } = readingOf([[0]])
    const iterator = reading[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.next()
    const { asked } = counts
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
    expect(counts.asked).toBe(asked)
  })

  test('that is broken off gives no more of its batch', async () => {
    const { reading } = readingOf([[0, 1, 2]])
    const iterator = reading[Symbol.asyncIterator]()
    await iterator.next()
    await iterator.return!()
    expect(await iterator.next()).toEqual({ value: undefined, done: true })
  })

  test('answers calls that come at once in their order, each with what is its own', async () => {
    const { reading, counts } = readingOf([[0, 1], [2]])
    const iterator = reading[Symbol.asyncIterator]()
    const answers = await Promise.all(upTo(5).map(() => iterator.next()))
    expect(answers.map(({ value, done }) => (done ? 'done' : value.revision))).toEqual([0, 1, 2, 'done', 'done'])
    expect(counts).toEqual({ begun: 1, asked: 3 })
  })

  test('answers them so with batches, too', async () => {
    const { reading } = readingOf([[0, 1], [2]])
    const iterator = reading.batches()[Symbol.asyncIterator]()
    const answers = await Promise.all(upTo(3).map(() => iterator.next()))
    expect(answers.map(({ value, done }) => (done ? 'done' : value.length))).toEqual([2, 1, 'done'])
  })

  test('answers a call behind one that waits, though its event is at hand by then', async () => {
    const { reading } = readingOf([[0, 1, 2]])
    const iterator = reading[Symbol.asyncIterator]()
    const told: string[] = []
    const ask = (name: string) => iterator.next().then(({ value }) => told.push(`${name} ${value?.revision}`))
    await Promise.all([ask('first').then(() => ask('third')), ask('second')])
    expect(told).toEqual(['first 0', 'second 1', 'third 2'])
  })

  test('that is broken off while calls are under way answers them first, and gives nothing behind them', async () => {
    const { reading } = readingOf([[0, 1, 2]])
    for (const iterator of [reading[Symbol.asyncIterator](), reading.batches()[Symbol.asyncIterator]()]) {
      const [first, end, behind] = await Promise.all([iterator.next(), iterator.return!(), iterator.next()])
      expect([first.done, end.done, behind.done]).toEqual([false, true, true])
    }
  })

  test('that fails tells it to each call that asks, and goes on to be asked', async () => {
    let asked = 0
    const reading = eventReading(() => async () => {
      if (asked++ === 0) throw new Error('disk')
      return [event(7)]
    })
    const iterator = reading[Symbol.asyncIterator]()
    const [first, second] = await Promise.allSettled([iterator.next(), iterator.next()])
    expect(first).toMatchObject({ status: 'rejected', reason: { message: 'disk' } })
    expect(second).toMatchObject({ status: 'fulfilled', value: { done: false, value: { revision: 7 } } })
  })

  test('that fails rejects from next()', async () => {
    const reading = eventReading(() => async () => {
      throw new Error('disk')
    })
    expect(await rejectionOf(all(reading))).toMatchObject({ message: 'disk' })
    expect(await rejectionOf(all(reading.batches()))).toMatchObject({ message: 'disk' })
  })
})
