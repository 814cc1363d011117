import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventFilter } from '../../src/streams/event-filter.ts'
import { all, SMALL_CHUNKS, withStore } from '../store/words.ts'

const STREAMS = ['order-1', 'order-2', 'orders', 'invoice-1', 'ärger-1', 'ä', 'Order-1']
const TYPES = ['Placed', 'PlacedTwice', 'Paid', 'Ärger', 'paid']

/** What readAll gives of one event of each type in each stream, as `stream type`. */
async function filtered(filter: EventFilter): Promise<string[]> {
  return withStore(SMALL_CHUNKS, async store => {
    for (const stream of STREAMS) {
      await store.append(
        stream,
        TYPES.map(type => ({ type, data: 'x'.repeat(100) })),
      )
    }
    const name = ({ stream, type }: RecordedEvent) => `${stream} ${type}`
    const forwards = (await all(store.readAll({ filter }))).map(name)
    expect((await all(store.readAll({ filter, direction: 'backwards' }))).map(name).reverse()).toEqual(forwards)
    return forwards
  })
}

const everyOf = (streams: readonly string[], types: readonly string[]) =>
  streams.flatMap(stream => types.map(type => `${stream} ${type}`))

describe('a filter', () => {
  test('by streams gives the events of exactly these', async () => {
    expect(await filtered({ streams: ['order-1', 'ä', 'nobody'] })).toEqual(everyOf(['order-1', 'ä'], TYPES))
  })

  test('by a prefix of streams gives those that begin with it, byte by byte', async () => {
    expect(await filtered({ streamPrefix: 'order' })).toEqual(everyOf(['order-1', 'order-2', 'orders'], TYPES))
    expect(await filtered({ streamPrefix: 'order-' })).toEqual(everyOf(['order-1', 'order-2'], TYPES))
    expect(await filtered({ streamPrefix: 'ä' })).toEqual(everyOf(['ärger-1', 'ä'], TYPES))
    expect(await filtered({ streamPrefix: 'order-11' })).toEqual([])
  })

  test('by types gives events of exactly these', async () => {
    expect(await filtered({ types: ['Paid', 'Ärger'] })).toEqual(everyOf(STREAMS, ['Paid', 'Ärger']))
  })

  test('by a prefix of types gives those that begin with it; case matters', async () => {
    expect(await filtered({ typePrefix: 'P' })).toEqual(everyOf(STREAMS, ['Placed', 'PlacedTwice', 'Paid']))
  })

  test('by names and a prefix gives both; by streams and types what is in both', async () => {
    expect(await filtered({ streams: ['invoice-1'], streamPrefix: 'order-', types: ['paid'], typePrefix: 'Placed' })).toEqual(
      everyOf(['order-1', 'order-2', 'invoice-1'], ['Placed', 'PlacedTwice', 'paid']),
    )
  })

  test('of thousands of streams finds each of them', async () => {
    await withStore({}, async store => {
      const streams = Array.from({ length: 5000 }, (_, index) => `s-${index}`)
      await Promise.all(streams.map(stream => store.append(stream, { type: 'T', data: null })))
      const meant = streams.filter((_, index) => index % 3 === 0)
      expect((await all(store.readAll({ filter: { streams: meant } }))).map(event => event.stream)).toEqual(meant)
    })
  })

  test('counts for maxCount: only what is meant is counted', async () => {
    await withStore({}, async store => {
      for (let turn = 0; turn < 5; turn++) for (const type of TYPES) await store.append('s', { type, data: turn })
      const read = await all(store.readAll({ filter: { types: ['paid'] }, maxCount: 3 }))
      expect(read.map(event => event.data)).toEqual([0, 1, 2])
    })
  })

  test.each([
    [null],
    ['order-'],
    [{ type: ['Placed'] }],
    [{ streams: 'order-1' }],
    [{ streams: [] }],
    [{ types: [] }],
    [{ types: [1] }],
    [{ streamPrefix: '' }],
    [{ typePrefix: 7 }],
    [{ streams: ['a\nb'] }],
  ])('%j is an InvalidArgumentError, at once', async filter => {
    await withStore({}, async store => {
      expect(() => store.readAll({ filter: filter as never })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      expect(() => store.subscribe({ filter: filter as never })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    })
  })
})
