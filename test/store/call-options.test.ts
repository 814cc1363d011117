import { describe, expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { all, order, orders, rejectionOf, withStore } from './words.ts'

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

describe('a value that no option takes', () => {
  const event = order(0)
  test.each<[string, Call, string]>([
    [
      'a BigInt as a revision',
      store => store.append('s', event, { expectedRevision: 0n as never }),
      'got 0n; revisions are numbers',
    ],
    [
      'a BigInt as a revision of a commit',
      store => store.commit([{ stream: 's', events: event, expectedRevision: 7n as never }]),
      'got 7n; revisions are numbers',
    ],
    ['a symbol as a revision', store => store.append('s', event, { expectedRevision: Symbol('s') as never }), 'got symbol'],
    ['a BigInt as an id', store => store.append('s', { ...event, id: 5n as never }), 'got 5n'],
    ['a BigInt as metadata', store => store.setMetadata('s', { maxCount: 5n as never }), 'got 5n'],
    ['what holds a BigInt', store => store.setMetadata('s', { maxAge: { s: 5n } as never }), 'got Object'],
    ['a BigInt as a direction', store => store.readStream('s', { direction: 0n as never }), 'got 0n'],
    ['a BigInt as a start', store => store.readAll({ from: 0n as never }), 'got 0n'],
    ['an object without a prototype', store => store.readAll({ maxCount: Object.create(null) }), 'got {}'],
    ['a BigInt as the start of a subscription', store => store.subscribe({ from: 0n as never }), 'got 0n'],
    ['a BigInt as the name of a group', store => store.group(5n as never), 'got 5n'],
    ['a BigInt as a strategy', store => store.group('workers', { strategy: 5n as never }), 'got 5n'],
    [
      'a BigInt as a position',
      store => store.append('s', event, { condition: { failIf: { types: ['T'] }, after: 5n as never } }),
      'got 5n',
    ],
    ['a BigInt as a durability', () => EventStore.inMemory({ durability: 5n as never }), 'got 5n'],
    ['a number as a size', () => EventStore.inMemory({ cacheBytes: Number.NaN }), 'got NaN'],
    ['a text that means true', store => store.readAll({ includeSystem: 'yes' as never }), 'got "yes"'],
    ['a text that means true, to a subscription', store => store.subscribe({ includeSystem: 'yes' as never }), 'got "yes"'],
    [
      'a text that means true, to one of a stream',
      store => store.subscribe({ stream: 's', includeSystem: 'yes' as never }),
      'got "yes"',
    ],
    ['a list as a filter', store => store.readAll({ filter: [] as never }), 'filter must be an object'],
    ['a list as a filter of a subscription', store => store.subscribe({ filter: [] as never }), 'filter must be an object'],
    [
      'a list as a filter of a projection',
      store => store.project({ name: 'p', initial: 0, when: { T: state => state }, filter: [] as never }),
      'filter must be an object',
    ],
    [
      'null as a filter of a projection',
      store => store.project({ name: 'p', initial: 0, when: { T: state => state }, filter: null as never }),
      'filter must be an object',
    ],
    [
      'a first state that has a function',
      store => store.project({ name: 'p', initial: { add() {} }, when: state => state }),
      'initial must be a value that can be copied, or a function that makes it',
    ],
    [
      'a symbol as two streams of a commit',
      store => store.commit(Array(2).fill({ stream: Symbol.iterator as never, events: [] })),
      'stream symbol is named twice',
    ],
    [
      'a controller as a signal of an append',
      store => store.append('s', event, { signal: new AbortController() as never }),
      'signal',
    ],
    ['a controller as a signal of a read', store => store.readStream('s', { signal: new AbortController() as never }), 'signal'],
    ['a controller as a signal of a read of all', store => store.readAll({ signal: new AbortController() as never }), 'signal'],
    ['an object as a signal of a scavenge', store => store.scavenge({ signal: {} as never }), 'signal must be an AbortSignal'],
    ['a text as a signal of a backup', store => store.backup('/copy', { signal: 'x' as never }), 'signal must be an AbortSignal'],
    ['a number to be told of progress', store => store.scavenge({ onProgress: 5 as never }), 'onProgress must be a function'],
    ['a number to be told of progress of a backup', store => store.backup('/copy', { onProgress: 5 as never }), 'onProgress'],
  ])('%s is refused when it is called, and nothing happens', async (_name, call, message) => {
    const refusal = await refusalOf(call, undefined)
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'rejected', retryable: false })
    expect(refusal.message).toContain(message)
  })

  test.each<[string, Call]>([
    [
      'data that goes round in a circle',
      store => {
        const circle: { self?: unknown } = {}
        circle.self = circle
        return store.append('s', { type: 'T', data: circle })
      },
    ],
    ['a stream of the house with a line break', store => store.append('$a\nb', event)],
    ['a stream with a line break that is named twice', store => store.commit(Array(2).fill({ stream: 'a\nb', events: [] }))],
  ])('%s is refused in one line', async (_name, call) => {
    const refusal = await refusalOf(call, undefined)
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^.+$/) })
  })
})

describe('a condition that would guard against nothing, or against something else', () => {
  test.each([
    ['without types', { failIf: { types: [] }, after: 0 }, 'failIf.types must be a list with at least one name'],
    ['without streams', { failIf: { streams: [] }, after: 0 }, 'failIf.streams must be a list with at least one name'],
    ['with no types of some streams', { failIf: { types: [], streams: ['s'] }, after: 0 }, 'failIf.types'],
    ['with a misspelt list', { failIf: { type: ['T'], streams: ['s'] }, after: 0 }, "'type'; there are types, streams"],
    ['with a misspelt field', { failIf: { types: ['T'] }, after: 0, before: 7 }, "'before'; there are failIf, after"],
  ])('%s is refused', async (_name, condition, message) => {
    const refusal = await refusalOf(store => store.append('s', order(0), { condition: condition as never }), undefined)
    expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) })
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

test('reads have the options of their calls, though the caller has one object for all of them', async () => {
  await withStore({}, async store => {
    await store.append('s', orders(5))
    const options: { from?: number; maxCount: number } = { maxCount: 1 }
    const ofStream = [1, 2, 3].map(from => {
      options.from = from
      return store.readStream('s', options)
    })
    delete options.from
    const ofLog = [1, 2, 3].map(maxCount => {
      options.maxCount = maxCount
      return store.readAll(options)
    })
    options.maxCount = -1
    expect((await Promise.all(ofStream.map(all))).map(events => events.map(({ revision }) => revision))).toEqual([[1], [2], [3]])
    expect((await Promise.all(ofLog.map(all))).map(({ length }) => length)).toEqual([1, 2, 3])
  })
})
