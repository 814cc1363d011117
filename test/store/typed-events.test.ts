import { describe, expect, expectTypeOf, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import type { LogPosition, Revision } from '../../src/core/positions.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { Reducer } from '../../src/subscriptions/fold.ts'
import { withStore } from './words.ts'

type OrderEvent = { type: 'Placed'; data: { total: number } } | { type: 'Shipped'; data: { at: string } }

interface Cancelled {
  type: 'Cancelled'
  data: { reason: string }
}

/** The compiler knows the data of an event by its type; so this says it as long as it compiles. */
function toldOf(event: RecordedEvent<OrderEvent>): string {
  if (event.type === 'Placed') return `for ${event.data.total}`
  expectTypeOf(event.data).toEqualTypeOf<{ at: string }>()
  return `at ${event.data.at}`
}

async function told(events: AsyncIterable<RecordedEvent<OrderEvent>>, count: number): Promise<string[]> {
  const list: string[] = []
  for await (const event of events) {
    list.push(toldOf(event))
    if (list.length === count) break
  }
  return list
}

const EVENTS: OrderEvent[] = [
  { type: 'Placed', data: { total: 12 } },
  { type: 'Shipped', data: { at: 'noon' } },
]

describe('events of a union of types', () => {
  test.each<[string, (store: EventStore) => AsyncIterable<RecordedEvent<OrderEvent>>]>([
    ['a read of a stream', store => store.readStream<OrderEvent>('s')],
    ['a read of all', store => store.readAll<OrderEvent>()],
    ['a transaction', store => store.transaction<OrderEvent>('s').events()],
    ['a subscription', store => store.subscribe<OrderEvent>()],
    ['a consumer', store => store.consumer<OrderEvent>('mailer')],
  ])('are told apart by their type: %s', async (_name, eventsOf) => {
    await withStore({}, async store => {
      await store.append('s', EVENTS)
      expect(await told(eventsOf(store), 2)).toEqual(['for 12', 'at noon'])
    })
  })

  test('are told apart in batches, in the messages of a group and in the states of an entity', async () => {
    await withStore({}, async store => {
      await store.append('s', EVENTS)
      for await (const batch of store.readStream<OrderEvent>('s').batches())
        expect(batch.map(toldOf)).toEqual(['for 12', 'at noon'])
      for await (const { event, ack } of store.group<OrderEvent>('workers').join()) {
        if (event.type === 'Placed') expect(event.data.total).toBe(12)
        ack()
        if (event.type === 'Shipped') break
      }
      const total = store.entity<{ total: number }, OrderEvent>(
        's',
        (state, event) => ({ total: state.total + (event.type === 'Placed' ? event.data.total : 0) }),
        { initial: { total: 0 } },
      )
      expect(await total.get()).toEqual({ total: 12 })
    })
  })

  test('come each to the reducer of their type', async () => {
    await withStore({}, async store => {
      await store.append('s', EVENTS)
      const projection = store.project<{ total: number; at: string }, OrderEvent>({
        name: 'orders',
        initial: { total: 0, at: '' },
        when: {
          Placed: (state, event) => ({ ...state, total: state.total + event.data.total }),
          Shipped: (state, event) => ({ ...state, at: event.data.at }),
        },
      })
      expect(await projection.state()).toEqual({ total: 12, at: 'noon' })
    })
  })

  test('come to a reducer by type also where nothing is said of the events, or two types are one kind', async () => {
    await withStore({}, async store => {
      await store.append('s', EVENTS)
      const untyped = store.project({
        name: 'untyped',
        initial: { last: -1 },
        when: {
          Shipped: (state, event) => {
            expectTypeOf(event).toEqualTypeOf<RecordedEvent>()
            return { last: Math.max(state.last, event.revision) }
          },
        },
      })
      expect(await untyped.state()).toEqual({ last: 1 })
      type OneKind = { type: 'Placed' | 'Shipped'; data: { total?: number } }
      const sum = store.entity<number, OneKind>(
        's',
        { Placed: (total, event) => total + (event.data.total ?? 0) },
        { initial: 0 },
      )
      expect(await sum.get()).toBe(12)
    })
  })

  test('may come to a reducer that changes the state in place and is declared to return nothing, but to none that is async', async () => {
    function count(state: { count: number }): void {
      state.count++
    }
    await withStore({}, async store => {
      await store.append('s', EVENTS)
      expect(await store.entity('s', count, { initial: { count: 0 } }).get()).toEqual({ count: 2 })
      expect(await store.project({ name: 'all', initial: { count: 0 }, when: count }).state()).toEqual({ count: 2 })
      const byType = store.project({ name: 'placed', initial: { count: 0 }, when: { Placed: count } })
      expect(await byType.state()).toEqual({ count: 1 })
    })
    expectTypeOf((state: { count: number }) => Promise.resolve(state)).not.toExtend<Reducer<{ count: number }>>()
  })
})

test('an event of which nothing is said has some text for its type, and any data', () => {
  expectTypeOf<RecordedEvent['type']>().toEqualTypeOf<string>()
  expectTypeOf<RecordedEvent['data']>().toEqualTypeOf<unknown>()
  expectTypeOf<RecordedEvent['revision']>().toEqualTypeOf<Revision>()
  expectTypeOf<RecordedEvent['position']>().toEqualTypeOf<LogPosition>()
})

test('an event of one type is that, and any typed event is a recorded event', () => {
  expectTypeOf<RecordedEvent<Cancelled>['data']>().toEqualTypeOf<{ reason: string }>()
  expectTypeOf<RecordedEvent<OrderEvent | Cancelled>['type']>().toEqualTypeOf<'Placed' | 'Shipped' | 'Cancelled'>()
  expectTypeOf<RecordedEvent<OrderEvent>>().toExtend<RecordedEvent>()
  expectTypeOf<RecordedEvent>().not.toExtend<RecordedEvent<OrderEvent>>()
})

test('a record takes what an event takes: its value may be of an interface', async () => {
  interface Order {
    total: number
  }
  const value: Order = { total: 12 }
  await withStore({}, async store => {
    const topic = store.topic('orders')
    await topic.produce({ value })
    for await (const record of topic.read(0)) {
      expect(record.value).toEqual({ total: 12 })
      break
    }
  })
})
