import { describe, expect, test } from 'vitest'
import type { JsonValue, NewEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { Random } from '../support/random.ts'
import { all, openStore, order, rejectionOf, upTo, withStore } from './words.ts'

async function appendedAndRead(event: NewEvent) {
  return withStore({}, async store => {
    await store.append('order-42', event)
    const [read] = await all(store.readStream('order-42'))
    return read!
  })
}

const JSON_VALUES: [what: string, value: JsonValue][] = [
  ['an object', { total: 12.5, lines: [{ sku: 'book', count: 2 }], note: null }],
  ['an empty object', {}],
  ['a list', [1, 'two', false, null, [3]]],
  ['an empty list', []],
  ['a text', 'plain'],
  ['an empty text', ''],
  ['a text of many scripts', 'Grüße, 注文, \u{1f600}, \u0000\u001f, "\\'],
  ['a text with a lone surrogate', 'a\ud800b'],
  ['line separators', '\u2028\u2029'],
  ['a number', 42],
  ['a small fraction', -1.5e-300],
  ['true', true],
  ['false', false],
  ['null', null],
  ['deep nesting', JSON.parse(`${'['.repeat(200)}${']'.repeat(200)}`) as JsonValue],
]

describe('JSON', () => {
  test.each(JSON_VALUES)('%s comes back equal, as data and as metadata', async (_, value) => {
    const event = await appendedAndRead({ type: 'T', data: value, metadata: value })
    expect(event.data).toEqual(value)
    expect(event.metadata).toEqual(value)
    expect(event.contentType).toBe('json')
    expect(Buffer.from(event.bytes).toString('utf8')).toBe(JSON.stringify(value))
  })

  test('of a key __proto__ stays a key', async () => {
    const event = await appendedAndRead({ type: 'T', data: JSON.parse('{"__proto__":{"polluted":true}}') as JsonValue })
    expect(Object.keys(event.data as object)).toEqual(['__proto__'])
    expect(({} as Record<string, unknown>)['polluted']).toBeUndefined()
  })

  test('is what JSON.stringify makes of a value: toJSON is called, undefined members are left out', async () => {
    const data = { at: new Date(0), nothing: undefined } as never
    expect((await appendedAndRead({ type: 'T', data })).data).toEqual({ at: '1970-01-01T00:00:00.000Z' })
  })

  test('is decoded once: data is the same object each time', async () => {
    const event = await appendedAndRead({ type: 'T', data: { a: 1 } })
    expect(event.data).toBe(event.data)
  })
})

describe('bytes', () => {
  test.each([0, 1, 3, 255, 4096, 70_000, 300_000])('%d of them come back equal, as data and as metadata', async size => {
    const bytes = new Random(`bytes ${size}`).bytes(size)
    const event = await appendedAndRead({ type: 'T', data: bytes, metadata: bytes })
    expect(event.contentType).toBe('binary')
    expect(Buffer.from(event.data as Uint8Array).equals(bytes)).toBe(true)
    expect(Buffer.from(event.bytes).equals(bytes)).toBe(true)
    expect(Buffer.from(event.metadata as Uint8Array).equals(bytes)).toBe(true)
  })

  test('in a Buffer come back as a plain Uint8Array', async () => {
    const event = await appendedAndRead({ type: 'T', data: Buffer.from('hello') })
    expect(Object.getPrototypeOf(event.data)).toBe(Uint8Array.prototype)
    expect(Buffer.from(event.data as Uint8Array).toString()).toBe('hello')
  })

  test('in a part of a larger buffer: only the part', async () => {
    const event = await appendedAndRead({ type: 'T', data: new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3) })
    expect([...event.bytes]).toEqual([2, 3])
  })

  test('that look like JSON stay bytes', async () => {
    const event = await appendedAndRead({ type: 'T', data: Buffer.from('{"a":1}'), metadata: { kind: 'json' } })
    expect(event.contentType).toBe('binary')
    expect(event.data).toBeInstanceOf(Uint8Array)
    expect(event.metadata).toEqual({ kind: 'json' })
  })
})

describe('metadata', () => {
  test('that was not given is undefined', async () => {
    expect((await appendedAndRead(order(0))).metadata).toBeUndefined()
  })

  test('of null and of no bytes are not the same as none', async () => {
    expect((await appendedAndRead({ ...order(0), metadata: null })).metadata).toBe(null)
    expect((await appendedAndRead({ ...order(0), metadata: new Uint8Array(0) })).metadata).toEqual(new Uint8Array(0))
  })
})

describe('an event', () => {
  test('has the names it was given, up to the longest', async () => {
    const stream = 'ü'.repeat(512)
    const type = '😀'.repeat(63)
    await withStore({}, async store => {
      await store.append(stream, { type, data: 1 })
      const [event] = await all(store.readAll())
      expect(event).toMatchObject({ stream, type })
    })
  })

  test('has the id it was given, in lower case', async () => {
    const id = '0F8FAD5B-D9CB-469F-A165-70867728950E'
    expect((await appendedAndRead({ ...order(0), id })).id).toBe(id.toLowerCase())
  })

  test('has an id of its own otherwise: unique, and the same after a reopen', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, { chunkSizeBytes: 4096 })
    await Promise.all(upTo(200).map(number => store.append(`stream-${number % 3}`, order(number))))
    const ids = (await all(store.readAll())).map(event => event.id)
    expect(new Set(ids).size).toBe(200)
    await store.close()
    const again = await openStore(disk)
    expect((await all(again.readAll())).map(event => event.id)).toEqual(ids)
    expect((await all(again.readStream('stream-0')))[0]!.id).toBe(ids[0])
    await again.close()
  })

  test('has another id in another store, at the same position', async () => {
    const first = await appendedAndRead(order(0))
    const second = await appendedAndRead(order(0))
    expect(first.position).toBe(second.position)
    expect(first.id).not.toBe(second.id)
  })

  test('shows all its fields as JSON and to the console', async () => {
    const event = await appendedAndRead({ ...order(7), metadata: { by: 'me' } })
    const { stream, revision, position, id, type } = event
    expect(JSON.parse(JSON.stringify(event))).toEqual({
      ...{ stream, revision, position, id, type },
      created: event.created.toISOString(),
      contentType: 'json',
      data: { number: 7 },
      metadata: { by: 'me' },
    })
  })

  test('goes through any mix of payloads and chunks (seed payloads)', async () => {
    const random = new Random('payloads')
    const payload = () =>
      random.chance(0.5) ? random.bytes(random.int(1500)) : { text: 'äx😀'.repeat(random.int(100)), n: random.next() }
    const disk = new MemoryDisk()
    let store = await openStore(disk, { chunkSizeBytes: 16 * 1024 })
    const events: NewEvent[] = upTo(300).map(() => ({
      type: 'T'.repeat(1 + random.int(40)),
      data: payload(),
      ...(random.chance(0.5) ? { metadata: payload() } : {}),
    }))
    await Promise.all(events.map(event => store.append('order-42', event)))
    for (const turn of ['from memory', 'from files']) {
      const read = await all(store.readStream('order-42'))
      for (const [index, event] of read.entries()) {
        const { type, data, metadata } = events[index]!
        expect({ type: event.type, data: event.data, metadata: event.metadata }, turn).toEqual({ type, data, metadata })
      }
      await store.close()
      store = await openStore(disk)
    }
    await store.close()
  })
})

describe('created', () => {
  test('is the time of the clock', async () => {
    const clock = { now: () => 1_700_000_000_123, monotonic: () => 0, after: () => () => {} }
    await withStore({ clock }, async store => {
      await store.append('order-42', order(0))
      expect((await all(store.readAll()))[0]!.created.toISOString()).toBe('2023-11-14T22:13:20.123Z')
    })
  })

  test('never goes back when the clock does', async () => {
    let now = 1_700_000_000_000
    const clock = { now: () => now, monotonic: () => 0, after: () => () => {} }
    await withStore({ clock }, async store => {
      for (const step of [0, 5, -1000, -3_600_000, 10_000_000]) {
        now += step
        await store.append('order-42', order(0))
      }
      const times = (await all(store.readAll())).map(event => event.created.getTime() - 1_700_000_000_000)
      expect(times).toEqual([0, 5, 5, 5, 6_399_005])
    })
  })

  test('never goes back over a reopen either, in the same chunk or the next', async () => {
    for (const fillers of [0, 5]) {
      const disk = new MemoryDisk()
      const clockAt = (ms: number) => ({ now: () => ms, monotonic: () => 0, after: () => () => {} })
      const first = await openStore(disk, { chunkSizeBytes: 4096, clock: clockAt(1_700_000_000_000) })
      await first.append('order-42', order(0))
      for (const _ of upTo(fillers)) await first.append('filler', { type: 'T', data: new Uint8Array(3872 - 46 - 7) })
      await first.close()
      const second = await openStore(disk, { chunkSizeBytes: 4096, clock: clockAt(1_600_000_000_000) })
      await second.append('order-42', order(1))
      const times = (await all(second.readStream('order-42'))).map(event => event.created.getTime())
      expect(times).toEqual([1_700_000_000_000, 1_700_000_000_000])
      await second.close()
    }
  })
})

test('a payload that cannot be JSON is refused, its neighbours are not (KurrentDB 25)', async () => {
  await withStore({}, async store => {
    const bad = rejectionOf(store.append('order-42', { type: 'T', data: undefined as never }))
    const good = store.append('order-42', order(0))
    expect(await bad).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect((await good).firstRevision).toBe(0)
  })
})
