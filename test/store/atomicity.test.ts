import { describe, expect, test } from 'vitest'
import type { NewEvent } from '../../src/core/events.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { all, DIRECTORY, numbers, openStore, order, orders, rejectionOf, revisions, upTo } from './words.ts'

/** What is left of a store when the machine dies with the log cut at `size` bytes of its first chunk. */
async function cutAt(disk: SimulatedDisk, size: number) {
  const content = disk.snapshot()
  const path = `${DIRECTORY}/000000.chunk`
  const bytes = content.get(path)!.slice()
  bytes.fill(0, size)
  content.set(path, bytes)
  content.delete(`${DIRECTORY}/flushed`)
  return openStore(new SimulatedDisk({ content }))
}

describe('an append of several events', () => {
  test('cut anywhere by a crash is found as a whole or not at all', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const { position: before } = await store.append('order-42', order(0))
    const recordSize = 46 + 8 + 11 + JSON.stringify({ number: 0 }).length
    const start = before + recordSize
    await store.append('order-42', orders(3, 1))
    // The last three bytes are zeros, those of the commit record's size: without them nothing is missing.
    const end = start + 3 * recordSize + 36 - 3
    for (let size = start; size <= end + 8; size += size > end - 40 ? 1 : 7) {
      const survivor = await cutAt(disk, size)
      expect(await numbers(survivor.readStream('order-42')), `cut at ${size}`).toEqual(size < end ? [0] : [0, 1, 2, 3])
      await survivor.close()
    }
    await store.close()
  })

  test('is never seen in part by readers, nor by those who count', async () => {
    const disk = new SimulatedDisk({ shuffle: true, seed: 'in part' })
    const store = await openStore(disk, { chunkSizeBytes: 8192 })
    let isOver = false
    const writing = (async () => {
      for (const turn of upTo(60))
        await Promise.all([store.append('order-42', orders(5)), store.append(`other-${turn}`, orders(5))])
      isOver = true
    })()
    while (!isOver) {
      const head = await store.head('order-42')
      expect(((head ?? -1) + 1) % 5).toBe(0)
      expect((await all(store.readAll())).length % 5).toBe(0)
      await new Promise(resolve => setImmediate(resolve))
    }
    await writing
    await store.close()
  })

  test('is rejected as a whole when its expectation fails', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    await store.append('order-42', order(0))
    await rejectionOf(store.append('order-42', orders(5, 1), { expectedRevision: 'no_stream' }))
    expect(await revisions(store.readStream('order-42'))).toEqual([0])
    await store.close()
  })

  test('stands in the log without anything of another append in between', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const appends: [string, NewEvent[]][] = upTo(50).map(turn => [`stream-${turn % 4}`, orders(1 + (turn % 5))])
    await Promise.all(appends.map(([stream, events]) => store.append(stream, events)))
    const log = (await all(store.readAll())).map(event => event.stream)
    expect(log).toEqual(appends.flatMap(([stream, events]) => events.map(() => stream)))
    await store.close()
  })

  test('is one time: its events have one created', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    await store.append('order-42', orders(5))
    const times = new Set((await all(store.readStream('order-42'))).map(event => event.created.getTime()))
    expect(times.size).toBe(1)
    await store.close()
  })
})
