import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { appendEach, numbers, openStore, order, orders, rejectionOf, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { takeNumbers } from './words.ts'

/** The first events that a new subscription gets. */
async function subscribed(store: EventStore, count: number): Promise<number[]> {
  const subscription = store.subscribe()
  const taken = await takeNumbers(subscription, count)
  await subscription.return()
  return taken
}

describe('an event that was erased, after the scavenge,', () => {
  test('is handed out to no new reader, though it was among the newest bytes', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(5))
      await store.erase('s', 2)
      await store.scavenge()
      expect(await numbers(store.readAll())).toEqual([0, 1, 3, 4])
      expect(await subscribed(store, 4)).toEqual([0, 1, 3, 4])
    })
  })

  test('is handed out to no new subscription, though earlier ones share what they read', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    await appendEach(first, 's', orders(5))
    await first.close()
    const store = await openStore(disk)
    expect(await subscribed(store, 5)).toEqual([0, 1, 2, 3, 4])
    await store.erase('s', 2)
    await store.scavenge()
    expect(await subscribed(store, 4)).toEqual([0, 1, 3, 4])
    await store.close()
  })
})

describe('a subscription to one stream', () => {
  test('waits when the stream is deleted, and goes on when it comes back', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const subscription = store.subscribe({ stream: 's' })
      expect(await takeNumbers(subscription, 3)).toEqual([0, 1, 2])
      const taking = takeNumbers(subscription, 2)
      await store.delete('s')
      await store.scavenge()
      await appendEach(store, 's', orders(2, 3))
      expect(await taking).toEqual([3, 4])
    })
  })

  test('is told when the stream is deleted for good', async () => {
    await withStore({}, async store => {
      await store.append('s', order(0))
      const subscription = store.subscribe({ stream: 's' })
      await takeNumbers(subscription, 1)
      const next = subscription.next()
      await settle()
      await store.tombstone('s')
      expect(await rejectionOf(next)).toMatchObject({ code: 'STREAM_DELETED' })
    })
  })
})
