import { describe, expect, test } from 'vitest'
import type { ExpectedRevision } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { openStore, order, orders, rejectionOf, revisions, SMALL_CHUNKS, upTo, withStore } from './words.ts'

const expecting = (store: EventStore, expectedRevision: ExpectedRevision, number = 99) =>
  store.append('order-42', order(number), { expectedRevision })

describe('a stream that does not exist (KurrentDB 30)', () => {
  test.each(['no_stream', 'any', undefined] as const)('takes an append that expects %s as revision 0', async expected => {
    await withStore({}, async store => {
      expect((await store.append('order-42', order(0), { expectedRevision: expected })).firstRevision).toBe(0)
    })
  })

  test.each(['stream_exists', 0, 1, Number.MAX_SAFE_INTEGER] as const)('rejects an append that expects %s', async expected => {
    await withStore({}, async store => {
      const error = await rejectionOf(expecting(store, expected))
      expect(error).toMatchObject({ code: 'WRONG_EXPECTED_REVISION', stream: 'order-42', expected, actual: null })
      expect(error).toMatchObject({ outcome: 'rejected', retryable: false })
      expect(await store.exists('order-42')).toBe(false)
    })
  })
})

describe('a stream at revision 2 (KurrentDB 31)', () => {
  test.each(['any', 'stream_exists', 2] as const)('takes an append that expects %s as revision 3', async expected => {
    await withStore({}, async store => {
      await store.append('order-42', orders(3))
      expect((await expecting(store, expected)).firstRevision).toBe(3)
    })
  })

  test.each(['no_stream', 0, 1, 3, 4] as const)('rejects an append that expects %s, and says where it is', async expected => {
    await withStore({}, async store => {
      await store.append('order-42', orders(3))
      expect(await rejectionOf(expecting(store, expected))).toMatchObject({ expected, actual: 2 })
      expect(await revisions(store.readStream('order-42'))).toEqual([0, 1, 2])
    })
  })

  test('is where it was after a reopen', async () => {
    const disk = new SimulatedDisk()
    const first = await openStore(disk)
    await first.append('order-42', orders(3))
    await first.close()
    const second = await openStore(disk)
    expect(await rejectionOf(expecting(second, 1))).toMatchObject({ actual: 2 })
    expect((await expecting(second, 2)).firstRevision).toBe(3)
    await second.close()
  })
})

describe('what is expected is compared with what was written, flushed or not', () => {
  test('appends that expect each other go without waiting', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const acks = await Promise.all(upTo(200).map(n => expecting(store, n === 0 ? 'no_stream' : n - 1, n)))
      expect(acks.map(ack => ack.firstRevision)).toEqual(upTo(200))
    })
  })

  test('of two appends with the same expectation the first wins', async () => {
    await withStore({}, async store => {
      const [first, second] = await Promise.allSettled([expecting(store, 'no_stream'), expecting(store, 'no_stream')])
      expect(first.status).toBe('fulfilled')
      expect(second).toMatchObject({ status: 'rejected', reason: { expected: 'no_stream', actual: 0 } })
    })
  })

  test('many writers on one stream: numbers are dense, exactly one winner for each revision (KurrentDB 40)', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      let wins = 0
      await Promise.all(
        upTo(8).map(async () => {
          for (let won = 0; won < 20; ) {
            const head = await store.head('order-42')
            const appending = expecting(store, head ?? 'no_stream')
            try {
              await appending
              won++
              wins++
            } catch (error) {
              expect(error).toMatchObject({ code: 'WRONG_EXPECTED_REVISION' })
            }
          }
        }),
      )
      expect(wins).toBe(160)
      expect(await revisions(store.readStream('order-42'))).toEqual(upTo(160))
    })
  })

  test('streams do not see each other', async () => {
    await withStore({}, async store => {
      await store.append('order-42', orders(3))
      expect((await store.append('order-43', order(0), { expectedRevision: 'no_stream' })).firstRevision).toBe(0)
      expect((await store.append('order-4', order(0), { expectedRevision: 'no_stream' })).firstRevision).toBe(0)
    })
  })
})

describe('a rejection', () => {
  test('leaves no trace in the log', async () => {
    await withStore({}, async store => {
      await store.append('order-42', order(0))
      const before = store.stats().writer
      await rejectionOf(expecting(store, 5))
      expect(store.stats().writer).toEqual(before)
    })
  })

  test('is told only when what it rests on has been flushed', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    const settled: string[] = []
    const appending = expecting(store, 'no_stream').then(() => settled.push('ack'))
    const rejecting = rejectionOf(expecting(store, 'no_stream')).then(() => settled.push('rejection'))
    await held.reached
    await new Promise(resolve => setImmediate(resolve))
    expect(settled).toEqual([])
    held.release()
    await Promise.all([appending, rejecting])
    expect(settled).toEqual(['ack', 'rejection'])
    await store.close()
  })

  test('becomes the failure when what it rests on could not be flushed', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    disk.failNext({ op: 'writeDurably', error: 'EIO' })
    const appending = rejectionOf(expecting(store, 'no_stream'))
    const rejecting = rejectionOf(expecting(store, 'no_stream'))
    expect(await appending).toMatchObject({ code: 'WRITER_FAILED', outcome: 'unknown' })
    expect(await rejecting).toMatchObject({ code: 'WRITER_FAILED', outcome: 'rejected' })
    await store.close()
  })

  test('that rests on nothing unflushed is told at once', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    await store.append('order-42', order(0))
    const flushes = store.stats().flush.count
    await rejectionOf(expecting(store, 7))
    expect(store.stats().flush.count).toBe(flushes)
    await store.close()
  })
})
