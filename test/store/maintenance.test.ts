import { describe, expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { openStore, orders, rejectionOf, SMALL_CHUNKS } from './words.ts'

describe('a close', () => {
  test.each([
    ['a scavenge', (store: EventStore) => store.scavenge()],
    ['a backup', (store: EventStore) => store.backup('/copy')],
  ])('ends %s, which is told that the store is closed', async (_name, work) => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    for (const event of orders(100)) await store.append('s', event)
    await store.setMetadata('s', { maxCount: 1 })
    const held = disk.hold('read')
    const ended = rejectionOf(work(store))
    await held.reached
    const closing = store.close()
    held.release()
    expect(await ended).toMatchObject({ code: 'STORE_CLOSED' })
    await closing
  })
})

test('a store in memory has nothing to back up to: a copy would be on a disk that nobody else has', async () => {
  const store = await EventStore.inMemory()
  await store.append('s', orders(3))
  expect(await rejectionOf(store.backup('/copy'))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('a store in memory'),
  })
  await store.close()
})
