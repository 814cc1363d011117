import { describe, expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { numbers, openStore, orders, rejectionOf, SMALL_CHUNKS } from './words.ts'

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

describe("a backup of a store that acknowledges from memory (durability 'memory')", () => {
  test('waits until what was acknowledged is in the file', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'memory' })
    const writing = disk.hold('write', { path: '000000.chunk' })
    await store.append('s', orders(3))
    await writing.reached
    const backup = store.backup('/copy')
    await settle()
    writing.release()
    await backup
    await store.close()
    const copy = await EventStore.openOn(disk, '/copy', { readOnly: true })
    expect(await numbers(copy.readStream('s'))).toEqual([0, 1, 2])
    await copy.close()
  })

  test('fails with the writer when it can not get there', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'memory' })
    const writing = disk.hold('write', { path: '000000.chunk' })
    await store.append('s', orders(3))
    await writing.reached
    const refused = rejectionOf(store.backup('/copy'))
    await settle()
    writing.fail('EIO')
    expect(await refused).toMatchObject({ code: 'WRITER_FAILED' })
    expect(await rejectionOf(store.backup('/copy'))).toMatchObject({ code: 'WRITER_FAILED' })
    await store.close()
  })
})

test('a backup that a full disk stops is a DiskFullError, one that may not be written an InvalidArgumentError', async () => {
  const disk = new SimulatedDisk()
  const store = await openStore(disk)
  await store.append('s', orders(3))
  const copying = { op: 'open', path: '/copy/' } as const
  for (const [error, code] of [
    ['ENOSPC', 'DISK_FULL'],
    ['EROFS', 'INVALID_ARGUMENT'],
    ['EIO', 'READ_FAILED'],
  ]) {
    const fault = disk.failNext({ ...copying, error: error! })
    expect(await rejectionOf(store.backup('/copy'))).toMatchObject({
      code,
      message: expect.stringContaining('/copy cannot be copied to: '),
      cause: { code: error },
    })
    fault.clear()
  }
  await store.backup('/copy')
  await store.close()
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
