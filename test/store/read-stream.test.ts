import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { ReadStreamOptions } from '../../src/streams/read-options.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
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

/** A store with ten events in order-42, among others, over several chunks. */
async function withTenOrders(scene: (store: EventStore) => Promise<void>): Promise<void> {
  const disk = new MemoryDisk()
  const first = await openStore(disk, SMALL_CHUNKS)
  for (const number of upTo(10)) {
    await first.append('order-42', order(number))
    await first.append(`noise-${number % 3}`, sized(900))
  }
  await scene(first)
  await first.close()
  const reopened = await openStore(disk, SMALL_CHUNKS)
  await scene(reopened)
  await reopened.close()
}

describe('readStream', () => {
  const cases: [what: string, options: ReadStreamOptions, expected: number[]][] = [
    ['without options: all, oldest first', {}, upTo(10)],
    ['from the start', { from: 'start' }, upTo(10)],
    ['from a revision', { from: 7 }, [7, 8, 9]],
    ['from the last revision', { from: 9 }, [9]],
    ['from behind the last revision', { from: 10 }, []],
    ['from far behind', { from: Number.MAX_SAFE_INTEGER }, []],
    ['from the end', { from: 'end' }, []],
    ['backwards: all, newest first', { direction: 'backwards' }, upTo(10).reverse()],
    ['backwards from the end', { direction: 'backwards', from: 'end' }, upTo(10).reverse()],
    ['backwards from a revision', { direction: 'backwards', from: 2 }, [2, 1, 0]],
    ['backwards from the start', { direction: 'backwards', from: 'start' }, [0]],
    ['backwards from behind the last revision', { direction: 'backwards', from: 1000 }, upTo(10).reverse()],
    ['at most three', { maxCount: 3 }, [0, 1, 2]],
    ['at most three from a revision', { from: 4, maxCount: 3 }, [4, 5, 6]],
    ['at most three, of which there is one', { from: 9, maxCount: 3 }, [9]],
    ['the last one', { direction: 'backwards', maxCount: 1 }, [9]],
    ['none', { maxCount: 0 }, []],
  ]

  test.each(cases)('%s', async (_, options, expected) => {
    await withTenOrders(async store => {
      expect(await revisions(store.readStream('order-42', options))).toEqual(expected)
      expect(await numbers(store.readStream('order-42', options))).toEqual(expected)
      const batches = await all(store.readStream('order-42', options).batches())
      expect(batches.flat().map(event => event.revision as number)).toEqual(expected)
    })
  })

  test('gives only the events of that stream, with its name', async () => {
    await withTenOrders(async store => {
      for await (const event of store.readStream('order-42')) expect(event.stream).toBe('order-42')
      expect(await revisions(store.readStream('noise-1'))).toEqual([0, 1, 2])
    })
  })

  test('in pages of any size, forwards and back, is the whole stream', async () => {
    await withTenOrders(async store => {
      for (const maxCount of [1, 2, 3, 7]) {
        const seen: number[] = []
        for (let from = 0; ; from = seen.length) {
          const page = await revisions(store.readStream('order-42', { from, maxCount }))
          if (page.length === 0) break
          seen.push(...page)
        }
        expect(seen).toEqual(upTo(10))
      }
    })
  })
})

describe('a stream that does not exist', () => {
  test('throws StreamNotFoundError when it is iterated, whatever is asked for', async () => {
    await withStore({}, async store => {
      await store.append('order-42', order(0))
      for (const options of [{}, { maxCount: 0 }, { from: 'end' }, { direction: 'backwards' }] as ReadStreamOptions[]) {
        const reading = store.readStream('order-43', options)
        expect(await rejectionOf(all(reading))).toMatchObject({ code: 'STREAM_NOT_FOUND', stream: 'order-43' })
        expect(await rejectionOf(all(reading.batches()))).toMatchObject({ code: 'STREAM_NOT_FOUND' })
      }
    })
  })

  test('has no head', async () => {
    await withStore({}, async store => {
      expect(await store.head('order-42')).toBe(null)
      expect(await store.exists('order-42')).toBe(false)
      expect(store.lastPosition).toBe(0)
    })
  })

  test('does not come to be by being asked for, checked, or expected', async () => {
    await withStore({}, async store => {
      await store.append('a', [])
      await rejectionOf(store.append('b', order(0), { expectedRevision: 3 }))
      await store.head('c')
      await rejectionOf(all(store.readStream('d')))
      expect(store.stats().index.streams).toBe(0)
    })
  })

  test('does not exist while its first append is not yet acked', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    const appending = store.append('order-42', order(0))
    await held.reached
    expect(await store.exists('order-42')).toBe(false)
    expect(await rejectionOf(all(store.readStream('order-42')))).toMatchObject({ code: 'STREAM_NOT_FOUND' })
    expect(await all(store.readAll())).toEqual([])
    held.release()
    await appending
    expect(await store.head('order-42')).toBe(0)
    await store.close()
  })
})

describe('a read of a stream', () => {
  test('ends where the stream ended at its first next()', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await appendEach(store, 's', orders(50))
      const reading = store.readStream('s')[Symbol.asyncIterator]()
      await appendEach(store, 's', orders(10, 50))
      await reading.next()
      await appendEach(store, 's', orders(300, 60))
      let count = 1
      for (let next = await reading.next(); !next.done; next = await reading.next()) count++
      expect(count).toBe(60)
    })
  })

  test('sees everything acked before it began, and nothing that is not acked', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const random = new Random('acked')
      let acked = 0
      const appending = upTo(400).map(number =>
        store.append('s', order(number)).then(() => {
          acked++
        }),
      )
      for (let turn = 0; turn < 30; turn++) {
        const before = acked
        const seen = (await rejectionOrNumbers(store)).length
        expect(seen).toBeGreaterThanOrEqual(before)
        for (let wait = random.int(5); wait > 0; wait--) await new Promise(resolve => setImmediate(resolve))
      }
      await Promise.all(appending)
    })
  })

  test('finds its stream among thousands (KurrentDB 56)', async () => {
    await withStore({}, async store => {
      const names = upTo(5000).map(number => `stream-${number}`)
      await Promise.all(names.map((name, number) => store.append(name, order(number))))
      for (const [number, name] of names.entries()) expect(await numbers(store.readStream(name))).toEqual([number])
    })
  })

  test('of events far larger than a batch gives each once, in both directions', async () => {
    await withStore({}, async store => {
      for (const size of [10, 70_000, 200_000, 10, 64 * 1024, 3_000_000]) await store.append('s', sized(size))
      for (const direction of ['forwards', 'backwards'] as const) {
        const read = (await all(store.readStream('s', { direction }))).map(event => event.bytes.length)
        expect(direction === 'forwards' ? read : read.reverse()).toEqual([10, 70_000, 200_000, 10, 64 * 1024, 3_000_000])
      }
    })
  })

  test('from files goes over block boundaries, with any cache (seed blocks)', async () => {
    const random = new Random('blocks')
    const disk = new MemoryDisk()
    const sizes = upTo(120).map(() => random.int(9000))
    const first = await openStore(disk, { chunkSizeBytes: 300_000 })
    for (const [number, size] of sizes.entries()) await first.append(`s-${number % 4}`, sized(size))
    await first.close()
    for (const cacheBytes of [0, 65_536, 200_000, 32 * 2 ** 20]) {
      const store = await openStore(disk, { cacheBytes })
      for (const turn of ['first', 'again']) {
        for (const stream of upTo(4)) {
          const expected = sizes.filter((_, number) => number % 4 === stream)
          const read = (await all(store.readStream(`s-${stream}`))).map(event => event.bytes.length)
          expect(read, `${turn}, cache of ${cacheBytes}`).toEqual(expected)
        }
      }
      expect(store.stats().cache.bytes).toBeLessThanOrEqual(cacheBytes)
      await store.close()
    }
  })
})

async function rejectionOrNumbers(store: EventStore): Promise<number[]> {
  try {
    return await numbers(store.readStream('s'))
  } catch (error) {
    expect(error).toMatchObject({ code: 'STREAM_NOT_FOUND' })
    return []
  }
}
