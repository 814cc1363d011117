import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { eventReading } from '../../src/streams/event-reading.ts'
import { all, rejectionOf } from '../store/words.ts'

const event = (revision: number) => ({ revision }) as unknown as RecordedEvent

/** A reading of the given batches; counts how often it is begun and asked. */
function readingOf(batches: readonly (readonly number[])[]) {
  const counts = { begun: 0, asked: 0 }
  const reading = eventReading(() => {
    counts.begun++
    let next = 0
    return async () => {
      counts.asked++
      return batches[next++]?.map(event) ?? null
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

  test('that fails rejects from next()', async () => {
    const reading = eventReading(() => async () => {
      throw new Error('disk')
    })
    expect(await rejectionOf(all(reading))).toMatchObject({ message: 'disk' })
    expect(await rejectionOf(all(reading.batches()))).toMatchObject({ message: 'disk' })
  })
})
