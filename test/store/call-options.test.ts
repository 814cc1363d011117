import { describe, expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { all, order, rejectionOf, withStore } from './words.ts'

type Call = (store: EventStore, options: never) => unknown

/** Every call of a store, and of what a store hands out, that takes options. What it gives is awaited, or iterated. */
const CALLS: Readonly<Record<string, Call>> = {
  append: (store, options) => store.append('s', order(0), options),
  commit: (store, options) => store.commit([{ stream: 's', events: order(0) }], options),
  transaction: (store, options) => store.transaction('s', options),
  'a commit of a transaction': (store, options) => store.transaction('s').commit(order(0), options),
  readStream: (store, options) => all(store.readStream('s', options)),
  readAll: (store, options) => all(store.readAll(options)),
  streams: (store, options) => all(store.streams(options)),
  setMetadata: (store, options) => store.setMetadata('s', { maxCount: 1 }, options),
  delete: (store, options) => store.delete('s', options),
  tombstone: (store, options) => store.tombstone('s', options),
  scavenge: (store, options) => store.scavenge(options),
  backup: (store, options) => store.backup('/copy', options),
  subscribe: (store, options) => store.subscribe(options),
  consumer: (store, options) => store.consumer('mailer', options),
  group: (store, options) => store.group('workers', options),
  'a member of a group': (store, options) => store.group('workers').join(options),
  'a replay of what a group has parked': (store, options) => store.group('workers').replayParked(options),
  project: (store, options) => store.project(options),
  entity: (store, options) => store.entity('s', state => state, options),
  topic: (store, options) => store.topic('sensors', options),
  'a read of a topic': (store, options) => store.topic('sensors').read(0, options),
  'a member of a group of a topic': (store, options) => store.topic('sensors').group('workers').join(options),
  inMemory: (_store, options) => EventStore.inMemory(options),
}

const refusalOf = (call: Call, options: unknown) =>
  withStore({}, async store => {
    await store.append('s', order(1))
    const { lastPosition } = store
    const refusal = await rejectionOf((async () => call(store, options as never))())
    expect(store.lastPosition).toBe(lastPosition)
    return refusal
  })

describe('the options of a call', () => {
  test.each(Object.entries(CALLS))('%s: a misspelt one is refused by name, and nothing happens', async (_name, call) => {
    const refusal = await refusalOf(call, { misspelt: 1 })
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining("unknown option 'misspelt'") })
  })

  test.each(Object.entries(CALLS))('%s: what is no object is refused', async (_name, call) => {
    for (const options of [null, 'any', 5]) expect(await refusalOf(call, options)).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('a misspelt expected revision of one stream of a commit is refused', async () => {
    const commit: Call = store => store.commit([{ stream: 's', events: order(0), expectedRevison: 7 } as never])
    expect(await refusalOf(commit, undefined)).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining("'expectedRevison'; there are stream, events, expectedRevision"),
    })
  })
})

test('options may be inherited, and what everything inherits is none of them', async () => {
  await withStore({}, async store => {
    await store.append('s', order(0), Object.create({ expectedRevision: 'no_stream', colour: 'red' }))
    expect(await store.head('s')).toBe(0)
  })
})

describe('data that JSON has no form for is refused, not stored as {} or null', () => {
  test.each([
    ['a Map', new Map([[1, 2]]), 'Map'],
    ['a Set', new Set([1]), 'Set'],
    ['a promise that was not awaited', Promise.resolve(1), 'Promise'],
    ['an Error', new Error('lost'), 'Error'],
    ['a regular expression', /a/, 'RegExp'],
    ['an ArrayBuffer', new ArrayBuffer(4), 'ArrayBuffer'],
    ['a DataView', new DataView(new ArrayBuffer(4)), 'DataView'],
    ['other numbers than bytes', new Uint16Array([1, 2]), 'Uint16Array'],
    ['no number', Number.NaN, 'NaN'],
    ['no date', new Date(Number.NaN), 'Invalid Date'],
    ['an endless number', Number.POSITIVE_INFINITY, 'Infinity'],
    ['nothing', undefined, 'undefined'],
    ['a function', () => 1, 'function'],
  ])('%s', async (_name, data, kind) => {
    const inData = await refusalOf(store => store.append('s', { type: 'T', data: data as never }), undefined)
    expect(inData).toMatchObject({ message: `data must be a Uint8Array or a JSON value, got ${kind}`, outcome: 'rejected' })
    if (data === undefined) return
    const inMetadata = await refusalOf(store => store.append('s', { type: 'T', data: 1, metadata: data as never }), undefined)
    expect(inMetadata).toMatchObject({ message: `metadata must be a Uint8Array or a JSON value, got ${kind}` })
  })
})

test('data that JSON has a form for is stored as that', async () => {
  class Cleared {}
  class Money {
    readonly #cents = 5
    toJSON() {
      return { cents: this.#cents }
    }
  }
  class Vector extends Float32Array {
    toJSON() {
      return [...this]
    }
  }
  class Tagged {
    readonly [Symbol.toStringTag] = 'Tagged'
  }
  const objects = [{}, new Cleared(), { toJSON: () => ({}) }, Object.create(null), new Tagged()]
  const given: unknown[] = [null, false, 0, '', [], new Money(), new Date(0), new Vector([1]), ...objects]
  await withStore({}, async store => {
    await store.append(
      's',
      given.map(data => ({ type: 'T', data: data as never })),
    )
    const stored = (await all(store.readStream('s'))).map(({ data }) => data)
    expect(stored).toEqual([null, false, 0, '', [], { cents: 5 }, '1970-01-01T00:00:00.000Z', [1], {}, {}, {}, {}, {}])
  })
})
