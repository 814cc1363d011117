import { describe, expect, test } from 'vitest'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { all, openStore, order, orders, rejectionOf, sized, upTo, withStore } from './words.ts'

describe('stats', () => {
  test('of a new store are zeros, at the position where the first event will be', async () => {
    await withStore({}, async store => {
      expect(store.stats()).toEqual({
        queue: { length: 0, peak: 0, bytes: 0 },
        pending: { appends: 0, bytes: 0 },
        writer: { appends: 0, events: 0, bytes: 0, groups: 0 },
        flush: { count: 0, p50Ms: 0, p99Ms: 0, maxMs: 0, triggers: { drained: 0, delay: 0 } },
        chaser: { acks: 0, events: 0, position: 128, lagBytes: 0 },
        index: { streams: 0, events: 0 },
        cache: { bytes: 0, hits: 0, misses: 0 },
      })
    })
  })

  test('count appends, events and bytes as they stand in the log, and not what was rejected', async () => {
    await withStore({}, async store => {
      await store.append('a', order(0))
      await store.append('b', orders(3))
      await rejectionOf(store.append('a', order(0), { expectedRevision: 'no_stream' }))
      await store.append('a', [])
      const record = 46 + 1 + 'OrderPlaced'.length + '{"number":0}'.length
      expect(store.stats()).toMatchObject({
        writer: { appends: 2, events: 4, bytes: 4 * record + 36 },
        chaser: { acks: 2, events: 4, lagBytes: 0 },
        index: { streams: 2, events: 4 },
      })
    })
  })

  test('of a store that was reopened count what was found, in the index', async () => {
    const disk = new SimulatedDisk()
    const first = await openStore(disk)
    await first.append('a', orders(3))
    await first.close()
    const second = await openStore(disk)
    expect(second.stats()).toMatchObject({ writer: { appends: 0 }, index: { streams: 1, events: 3 } })
    await second.close()
  })

  test('show what waits while the disk is busy', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    const appends = [store.append('s', order(0))]
    await held.reached
    for (const number of upTo(10)) appends.push(store.append('s', order(number)))
    expect(store.stats()).toMatchObject({ queue: { length: 10, peak: 10 }, pending: { appends: 11 } })
    held.release()
    await Promise.all(appends)
    expect(store.stats()).toMatchObject({ queue: { length: 0, peak: 10, bytes: 0 }, pending: { appends: 0, bytes: 0 } })
    await store.close()
  })

  test('show that what comes while the disk is busy goes in one group', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    const first = store.append('s', order(0))
    await held.reached
    const others = upTo(100).map(number => store.append('s', order(number)))
    held.release()
    await Promise.all([first, ...others])
    expect(store.stats().writer.groups).toBe(2)
    await store.close()
  })

  test('can be turned into JSON', async () => {
    await withStore({}, async store => {
      await store.append('s', order(0))
      expect(JSON.parse(JSON.stringify(store.stats()))).toEqual(store.stats())
    })
  })

  test('count the blocks that reads came by', async () => {
    const disk = new SimulatedDisk()
    const first = await openStore(disk)
    for (const number of upTo(20)) await first.append(`s-${number % 2}`, sized(9000))
    await first.close()
    const second = await openStore(disk)
    await all(second.readStream('s-0'))
    const { cache } = second.stats()
    expect(cache.misses).toBeGreaterThan(0)
    expect(cache.bytes).toBeGreaterThan(0)
    await all(second.readStream('s-0'))
    expect(second.stats().cache.hits).toBeGreaterThan(cache.hits)
    await second.close()
  })
})
