import { describe, expect, test } from 'vitest'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { all, numbers, openStore, order, orders, positions, sized, upTo } from './words.ts'

describe("durability 'fsync'", () => {
  test('acks when the bytes are on disk, not before', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    let acked = false
    const appending = store.append('s', order(0)).then(() => {
      acked = true
    })
    await held.reached
    await settle()
    expect(acked).toBe(false)
    held.release()
    await appending
    await store.close()
  })

  test('of a group beyond the zeros ahead: acks when the sync has returned', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('datasync')
    let acked = false
    const appending = store.append('s', sized(2 ** 20)).then(() => {
      acked = true
    })
    await held.reached
    await settle()
    expect(acked).toBe(false)
    held.release()
    await appending
    await store.close()
  })
})

describe("durability 'os'", () => {
  test('acks when write() has returned, and syncs after a second', async () => {
    const clock = new ManualClock()
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'os', clock })
    const syncs = disk.callCount('datasync') + disk.callCount('writeDurably')
    await store.append('s', order(0))
    await settle()
    expect(disk.callCount('datasync') + disk.callCount('writeDurably')).toBe(syncs)
    clock.advance(1000)
    await settle()
    expect(disk.callCount('datasync') + disk.callCount('writeDurably')).toBeGreaterThan(syncs)
    await store.close()
  })

  test('does not ack before write() has returned', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'os' })
    const held = disk.hold('write', { path: '000000.chunk' })
    let acked = false
    const appending = store.append('s', order(0)).then(() => {
      acked = true
    })
    await held.reached
    await settle()
    expect(acked).toBe(false)
    held.release()
    await appending
    await store.close()
  })

  test('syncs once a second while appends keep coming, and tells readers so', async () => {
    const clock = new ManualClock()
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'os', clock })
    await store.append('s', order(0))
    const reader = await openStore(disk, { readOnly: true, clock })
    for (const second of upTo(5)) {
      const append = store.append('s', order(second + 1))
      // It waits in the queue when the second is over.
      clock.advance(1000)
      await append
      await store.append('s', order(-1))
      clock.advance(10)
      await settle()
      expect(await reader.head('s')).toBeGreaterThan(2 * second)
    }
    await reader.close()
    await store.close()
  })

  test('syncs for a second that was over amid a write, and not once more behind the proof of an idle writer', async () => {
    const clock = new ManualClock()
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'os', clock })
    await store.append('s', order(0))
    const write = disk.hold('write', { path: '.chunk' })
    const append = store.append('s', order(1))
    await write.reached
    clock.advance(1000)
    write.release()
    await append
    await settle()
    clock.advance(1000)
    await settle()
    const syncs = disk.callCount('datasync') + disk.callCount('writeDurably')
    await store.append('s', order(2))
    expect(disk.callCount('datasync') + disk.callCount('writeDurably')).toBe(syncs)
    await store.close()
  })

  test('moves the proven position only after a real sync', async () => {
    const clock = new ManualClock()
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'os', clock })
    const hint = () => Buffer.from(disk.snapshot().get('/data/flushed')!).readBigUInt64LE(32)
    clock.advance(10)
    await settle()
    await store.append('s', order(0))
    clock.advance(10)
    await settle()
    expect(hint()).toBe(128n)
    clock.advance(1000)
    await settle()
    clock.advance(10)
    await settle()
    expect(hint()).toBeGreaterThan(128n)
    await store.close()
  })
})

describe("durability 'memory'", () => {
  test('acks while the disk does nothing, and is read while it does nothing', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'memory' })
    const held = disk.hold('write', { path: '000000.chunk' })
    for (const number of upTo(10)) await store.append('s', order(number))
    expect(await numbers(store.readStream('s'))).toEqual(upTo(10))
    expect(await numbers(store.readAll({ direction: 'backwards' }))).toEqual(upTo(10).reverse())
    held.release()
    await store.close()
  })

  test('is read in every way while megabytes wait to be written', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'memory' })
    const held = disk.hold('write', { path: '000000.chunk' })
    const sizes = upTo(30).map(number => 90_000 + number)
    for (const size of sizes) await store.append('s', sized(size))
    const read = async (events: AsyncIterable<{ readonly bytes: Uint8Array }>) =>
      (await all(events)).map(event => event.bytes.length)
    expect(await read(store.readStream('s'))).toEqual(sizes)
    expect(await read(store.readAll())).toEqual(sizes)
    expect(await read(store.readStream('s', { direction: 'backwards' }))).toEqual([...sizes].reverse())
    expect(await read(store.readAll({ direction: 'backwards' }))).toEqual([...sizes].reverse())
    const middle = (await positions(store.readAll()))[17]!
    expect(await read(store.readAll({ from: middle }))).toEqual(sizes.slice(17))
    held.release()
    await store.close()
  })

  test('is durable after close', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { durability: 'memory', chunkSizeBytes: 8192 })
    await Promise.all(orders(500).map(event => store.append('s', event)))
    await store.close()
    const again = await openStore(new SimulatedDisk({ content: disk.snapshot() }))
    expect(again.recovery).toMatchObject({ clean: true, events: 500 })
    expect(await numbers(again.readStream('s'))).toEqual(upTo(500))
    await again.close()
  })
})

test.each(['fsync', 'os', 'memory'] as const)("the same log comes of durability '%s'", async durability => {
  const disk = new SimulatedDisk()
  const store = await openStore(disk, { durability, chunkSizeBytes: 16_384 })
  for (const turn of upTo(50)) {
    await Promise.all([store.append('a', order(turn)), store.append('b', orders(3)), store.append('a', sized(turn * 30))])
  }
  const before = await positions(store.readAll())
  await store.close()
  const again = await openStore(new SimulatedDisk({ content: disk.snapshot() }))
  expect(await positions(again.readAll())).toEqual(before)
  expect(before).toHaveLength(250)
  await again.close()
})
