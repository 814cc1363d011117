import { describe, expect, test } from 'vitest'
import type { NewEvent } from '../../src/core/events.ts'
import { MIB } from '../../src/core/limits.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { Random } from '../support/random.ts'
import {
  all,
  appendEach,
  numbers,
  openStore,
  order,
  orders,
  rejectionOf,
  revisions,
  SMALL_CHUNKS,
  sized,
  upTo,
  withStore,
} from './words.ts'

describe('an append', () => {
  test('of one event is acked with its revision and position', async () => {
    await withStore({}, async store => {
      const first = await store.append('order-42', order(0))
      expect(first).toEqual({ stream: 'order-42', firstRevision: 0, lastRevision: 0, position: 128, duplicate: false })
      const second = await store.append('order-42', order(1))
      expect(second).toMatchObject({ firstRevision: 1, lastRevision: 1 })
      expect(second.position).toBeGreaterThan(first.position)
    })
  })

  test('of several events is acked with the first and the last revision, and the position of the last', async () => {
    await withStore({}, async store => {
      const ack = await store.append('order-42', orders(3))
      expect(ack).toMatchObject({ firstRevision: 0, lastRevision: 2 })
      const events = await all(store.readStream('order-42'))
      expect(events.map(event => event.revision)).toEqual([0, 1, 2])
      expect(ack.position).toBe(events[2]!.position)
    })
  })

  test('of a list with one event is an append of one event', async () => {
    await withStore({}, async store => {
      expect(await store.append('order-42', [order(0)])).toMatchObject({ firstRevision: 0, lastRevision: 0, position: 128 })
    })
  })

  test('is readable by everyone before its ack resolves', async () => {
    await withStore({}, async store => {
      for (const number of upTo(20)) {
        const { position } = await store.append('order-42', order(number))
        expect(await store.head('order-42')).toBe(number)
        expect(store.lastPosition).toBe(position)
        expect(await numbers(store.readStream('order-42'))).toHaveLength(number + 1)
        expect(await numbers(store.readAll({ from: position }))).toEqual([number])
      }
    })
  })

  test('is there after a reopen', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    await appendEach(first, 'order-42', orders(10))
    await first.close()
    const second = await openStore(disk)
    expect(await numbers(second.readStream('order-42'))).toEqual(upTo(10))
    expect((await second.append('order-42', order(10))).firstRevision).toBe(10)
    await second.close()
  })

  test('takes its events as they are at the time of the call', async () => {
    await withStore({}, async store => {
      const data = { items: ['book'] }
      const events = [{ type: 'OrderPlaced', data }]
      const appending = store.append('order-42', events)
      data.items.push('pen')
      events.pop()
      await appending
      expect((await all(store.readStream('order-42'))).map(event => event.data)).toEqual([{ items: ['book'] }])
    })
  })
})

describe('the order', () => {
  test('of appends to one stream is that of their calls', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const acks = await appendEach(store, 'order-42', orders(500))
      expect(acks.map(ack => ack.firstRevision)).toEqual(upTo(500))
      expect(await numbers(store.readStream('order-42'))).toEqual(upTo(500))
    })
  })

  test('of acks is that of their positions, and that of the calls, over all streams', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const settled: number[] = []
      const acks = await Promise.all(
        upTo(300).map(async number => {
          const ack = await store.append(`order-${number % 7}`, order(number))
          settled.push(number)
          return ack.position
        }),
      )
      expect(settled).toEqual(upTo(300))
      expect(acks).toEqual([...acks].sort((one, other) => one - other))
    })
  })

  test('of single and multi-event appends, large and small, holds for each stream (seed order)', async () => {
    const random = new Random('order')
    await withStore({ chunkSizeBytes: 16 * 1024 }, async store => {
      const expected = new Map<string, number[]>()
      const appends: Promise<unknown>[] = []
      for (let number = 0; number < 600; ) {
        const stream = `stream-${random.int(5)}`
        const count = random.chance(0.7) ? 1 : 1 + random.int(6)
        const events: NewEvent[] = upTo(count).map(index => ({
          type: 'Numbered',
          data: { number: number + index, padding: 'x'.repeat(random.int(400)) },
        }))
        appends.push(store.append(stream, count === 1 ? events[0]! : events))
        expected.set(stream, [...(expected.get(stream) ?? []), ...upTo(count).map(index => number + index)])
        number += count
        if (random.chance(0.05)) await appends.at(-1)
      }
      await Promise.all(appends)
      for (const [stream, written] of expected) expect(await numbers(store.readStream(stream))).toEqual(written)
    })
  })
})

/** The compiler's library is that of Node 18, the program's is not. */
function resizable(size: number): Uint8Array & { readonly buffer: { resize(size: number): void } } {
  return Reflect.construct(Uint8Array, [Reflect.construct(ArrayBuffer, [size, { maxByteLength: 4 * MIB }])])
}

describe('a call that is wrong', () => {
  const cases: [what: string, call: (store: EventStore) => Promise<unknown>, code: string][] = [
    ['an empty stream name', store => store.append('', order(0)), 'INVALID_ARGUMENT'],
    ['no stream name', store => store.append(undefined as never, order(0)), 'INVALID_ARGUMENT'],
    ['a number as stream name', store => store.append(42 as never, order(0)), 'INVALID_ARGUMENT'],
    ['a stream name of 1,025 bytes', store => store.append('x'.repeat(1025), order(0)), 'INVALID_ARGUMENT'],
    ['a line feed in the stream name', store => store.append('order\n', order(0)), 'INVALID_ARGUMENT'],
    ['a system stream', store => store.append('$settings', order(0)), 'INVALID_ARGUMENT'],
    ['a stream named $', store => store.append('$', order(0)), 'INVALID_ARGUMENT'],
    ['no events', store => store.append('order-42', undefined as never), 'INVALID_ARGUMENT'],
    ['null for events', store => store.append('order-42', null as never), 'INVALID_ARGUMENT'],
    ['a text for an event', store => store.append('order-42', 'OrderPlaced' as never), 'INVALID_ARGUMENT'],
    ['a hole among the events', store => store.append('order-42', [order(0), undefined as never]), 'INVALID_ARGUMENT'],
    ['an event without type', store => store.append('order-42', { data: 1 } as never), 'INVALID_ARGUMENT'],
    ['an event with an empty type', store => store.append('order-42', { type: '', data: 1 }), 'INVALID_ARGUMENT'],
    ['a type of 256 bytes', store => store.append('order-42', { type: 'x'.repeat(256), data: 1 }), 'INVALID_ARGUMENT'],
    ['an event without data', store => store.append('order-42', { type: 'T' } as never), 'INVALID_ARGUMENT'],
    ['a function as data', store => store.append('order-42', { type: 'T', data: (() => 1) as never }), 'INVALID_ARGUMENT'],
    ['a bigint in the data', store => store.append('order-42', { type: 'T', data: [1n] as never }), 'INVALID_ARGUMENT'],
    ['data that contains itself', store => store.append('order-42', { type: 'T', data: loop() }), 'INVALID_ARGUMENT'],
    [
      'a function as metadata',
      store => store.append('order-42', { ...order(0), metadata: (() => 1) as never }),
      'INVALID_ARGUMENT',
    ],
    ['an id that is no UUID', store => store.append('order-42', { ...order(0), id: 'order-1' }), 'INVALID_ARGUMENT'],
    ['a revision below 0', store => store.append('order-42', order(0), { expectedRevision: -1 }), 'INVALID_ARGUMENT'],
    ['a revision and a half', store => store.append('order-42', order(0), { expectedRevision: 1.5 }), 'INVALID_ARGUMENT'],
    [
      'an unknown expectation',
      store => store.append('order-42', order(0), { expectedRevision: 'none' as never }),
      'INVALID_ARGUMENT',
    ],
    ['a revision as text', store => store.append('order-42', order(0), { expectedRevision: '1' as never }), 'INVALID_ARGUMENT'],
    ['an append larger than 16 MiB', store => store.append('order-42', sized(16 * 2 ** 20)), 'RECORD_TOO_LARGE'],
  ]

  test.each(cases)('%s: is a rejection, never thrown, and leaves no trace', async (_, call, code) => {
    await withStore({}, async store => {
      const promise = call(store)
      expect(promise).toBeInstanceOf(Promise)
      expect(await rejectionOf(promise)).toMatchObject({ code, outcome: 'rejected', retryable: false })
      expect(store.stats()).toMatchObject({ pending: { appends: 0, bytes: 0 }, writer: { appends: 0 }, index: { streams: 0 } })
      expect((await store.append('order-42', order(0))).position).toBe(128)
    })
  })

  test('an expected revision of null, as head() says of a missing stream, is refused and does not mean any', async () => {
    await withStore({}, async store => {
      const head = await store.head('order-42')
      const error = await rejectionOf(store.append('order-42', order(0), { expectedRevision: head as never }))
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
    })
  })

  test('a signal that is none is an InvalidArgumentError, and the stream is let go of', async () => {
    await withStore({}, async store => {
      const error = await rejectionOf(store.append('order-42', order(0), { signal: {} as never }))
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'rejected' })
    })
  })

  test('bytes whose buffer is transferred or resized before they are written are refused, and the next appends are written', async () => {
    await withStore({}, async store => {
      const [sent, empty] = [new Uint8Array(100), new Uint8Array(0)]
      const [shrunk, grown] = [resizable(100), resizable(100)]
      const calls = [
        store.append('s', { type: 'T', data: sent }),
        store.append('s', [order(0), { type: 'T', data: 1, metadata: shrunk }]),
        store.commit([
          { stream: 'a', events: order(0) },
          { stream: 's', events: { type: 'T', data: grown } },
        ]),
        store.append('s', { type: 'T', data: empty }),
        store.append('s', order(1), { expectedRevision: 0 }),
      ].map(call => call.catch((error: unknown) => error))
      structuredClone([sent, empty], { transfer: [sent.buffer, empty.buffer] })
      shrunk.buffer.resize(50)
      grown.buffer.resize(4 * MIB)
      const [ofSent, ofShrunk, ofGrown, ofEmpty, next] = await Promise.all(calls)
      for (const refusal of [ofSent, ofShrunk, ofGrown])
        expect(refusal).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'rejected', message: expect.stringContaining('size') })
      expect(ofEmpty).toMatchObject({ firstRevision: 0 })
      expect(next).toMatchObject({ firstRevision: 1 })
      expect(await revisions(store.readAll())).toEqual([0, 1])
      expect(store.stats().pending).toEqual({ appends: 0, bytes: 0 })
    })
  })

  test('one bad event among good ones: nothing is appended', async () => {
    await withStore({}, async store => {
      await rejectionOf(store.append('order-42', [order(0), { type: '', data: 1 }, order(2)]))
      expect(await store.exists('order-42')).toBe(false)
    })
  })
})

describe('an append and the chunks', () => {
  test('of exactly what a chunk holds is taken, of one byte more it is too large (KurrentDB 38)', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const overhead = 46 + 's'.length + 'Sized'.length
      const capacity = 4096 - 128 - 28 - 68
      expect(await rejectionOf(store.append('s', sized(capacity - overhead + 1)))).toMatchObject({ code: 'RECORD_TOO_LARGE' })
      await store.append('s', sized(capacity - overhead))
      await store.append('s', sized(capacity - overhead))
      expect(await revisions(store.readStream('s'))).toEqual([0, 1])
    })
  })

  test('of several events that is larger than a chunk is rejected, and the log is unaffected (KurrentDB 38)', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await store.append('s', order(0))
      expect(
        await rejectionOf(
          store.append(
            's',
            upTo(5).map(() => sized(1000)),
          ),
        ),
      ).toMatchObject({ code: 'RECORD_TOO_LARGE' })
      expect((await store.append('s', order(1))).firstRevision).toBe(1)
      expect(store.stats().writer.appends).toBe(2)
    })
  })

  test('of several events that do not fit the rest of a chunk goes to the next one as a whole (KurrentDB 38)', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await store.append('first', sized(2500))
      const ack = await store.append(
        'second',
        upTo(3).map(() => sized(600)),
      )
      const [first] = await all(store.readStream('second'))
      expect(first!.position).toBe(4096 + 128)
      expect(ack.position).toBeLessThan(2 * 4096)
    })
  })

  test('that is too large says how large it is and how large it may be', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const error = await rejectionOf(store.append('s', sized(5000)))
      expect(error.message).toContain(String(5000 + 46 + 1 + 5))
      expect(error.message).toContain('3872')
    })
  })
})

describe('an append of no events', () => {
  test('has a position behind what it knew of, and before whatever comes next', async () => {
    await withStore({}, async store => {
      const onNothing = await store.append('a', [], { expectedRevision: 'no_stream' })
      const first = await store.append('a', order(0))
      const checks = [
        await store.append('a', [], { expectedRevision: 0 }),
        await store.commit([{ stream: 'a', events: [], expectedRevision: 0 }]),
        await store.delete('nobody'),
      ]
      const next = await store.append('b', order(1))
      expect(onNothing.position).toBeLessThan(first.position)
      for (const { position } of checks) {
        expect(position).toBeGreaterThanOrEqual(first.position)
        expect((await store.subscribe({ after: position }).next()).value?.position).toBe(next.position)
        const condition = { failIf: { streams: ['b'] }, after: position }
        expect(await rejectionOf(store.append('c', order(2), { condition }))).toMatchObject({ code: 'CONDITION_FAILED' })
      }
    })
  })

  test('is a check: acked without revisions, and nothing is written', async () => {
    await withStore({}, async store => {
      await store.append('order-42', orders(2))
      const before = store.stats().writer
      const ack = await store.append('order-42', [], { expectedRevision: 1 })
      expect(ack).toMatchObject({ stream: 'order-42', firstRevision: null, lastRevision: null, duplicate: false })
      expect(store.stats().writer).toEqual(before)
      expect(await store.head('order-42')).toBe(1)
    })
  })

  test('on a stream that does not exist leaves it so (KurrentDB 37)', async () => {
    await withStore({}, async store => {
      await store.append('order-42', [], { expectedRevision: 'no_stream' })
      await store.append('order-42', [])
      expect(await store.exists('order-42')).toBe(false)
      expect(store.stats().index.streams).toBe(0)
    })
  })

  test('with an old revision is rejected (KurrentDB 37)', async () => {
    await withStore({}, async store => {
      await store.append('order-42', orders(2))
      const error = await rejectionOf(store.append('order-42', [], { expectedRevision: 0 }))
      expect(error).toMatchObject({ code: 'WRONG_EXPECTED_REVISION', expected: 0, actual: 1 })
    })
  })

  test('sees what was appended before it, flushed or not', async () => {
    await withStore({}, async store => {
      const appending = store.append('order-42', order(0))
      const check = store.append('order-42', [], { expectedRevision: 0 })
      await Promise.all([appending, check])
    })
  })
})

function loop(): never {
  const data: Record<string, unknown> = {}
  data['self'] = data
  return data as never
}
