import { afterEach, describe, expect, test, vi } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { ActiveIndex } from '../../src/streams/active-index.ts'
import { CrashModel } from '../support/crash-states.ts'
import { stillClock } from '../support/manual-clock.ts'
import { collect, eventsOf } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { DIRECTORY, fileOf, openStore } from '../support/store-content.ts'

const OPTIONS = { clock: stillClock, chunkSizeBytes: 2 * 1024 * 1024 }
const PARTIAL = fileOf('000000-partial.index')
/** Enough for an index to be saved; about 1.6 MiB, beyond the middle of the chunk. */
const MANY = 17_000
const STREAMS = 50
const BATCH = 100

afterEach(() => void vi.restoreAllMocks())

/** Batches of events, to one stream after the other. */
async function append(store: EventStore, from: number, to: number): Promise<void> {
  const batches: Promise<unknown>[] = []
  for (let at = from; at < to; at += BATCH) {
    const events = Array.from({ length: BATCH }, (_, index) => ({
      type: `type ${at % 7}`,
      data: at + index,
    }))
    batches.push(store.append(`stream ${(at / BATCH) % STREAMS}`, events))
  }
  await Promise.all(batches)
}

/** How many events there are, in the order in which they were appended, from the first on; what comes out of order counts for nothing. */
async function countIn(store: EventStore): Promise<number> {
  const numbers = (await eventsOf(store)).map(event => event.data)
  return numbers.every((number, index) => number === index) ? numbers.length : Number.NaN
}

describe('half of a chunk with many events', () => {
  test('is saved in an index file while the store goes on: an open after a kill goes through the rest only', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, OPTIONS)
    await append(store, 0, MANY)
    await expect.poll(() => disk.snapshot().has(PARTIAL)).toBe(true)
    await append(store, MANY, MANY + 1000)

    const added = vi.spyOn(ActiveIndex.prototype, 'addRecord')
    const opened = await openStore(new MemoryDisk(disk.snapshot()), OPTIONS)
    expect(added.mock.calls.length).toBeLessThan(2000)
    expect(opened.recovery.events).toBe(MANY + 1000)
    expect(await countIn(opened)).toBe(MANY + 1000)
    const stream = await collect(opened.readStream('stream 3').batches())
    expect(stream.map(event => event.revision)).toEqual(Array.from({ length: 4 * BATCH }, (_, revision) => revision))
    await opened.close()
    await store.close()
  })

  test('is read as before while its file is written, and when the chunk is complete', async () => {
    const disk = new SimulatedDisk()
    const store = await EventStore.openOn(disk, DIRECTORY, OPTIONS)
    const held = disk.hold('rename', { path: PARTIAL })
    await append(store, 0, MANY)
    await append(store, MANY, MANY + 1000)
    expect(await countIn(store)).toBe(MANY + 1000)
    expect(held.isReached).toBe(true)
    await append(store, MANY + 1000, 2 * MANY)
    held.release()
    await expect.poll(() => disk.snapshot().has(fileOf('000000-000000.index'))).toBe(true)
    expect(await countIn(store)).toBe(2 * MANY)
    await store.close()
    expect(disk.snapshot().has(PARTIAL)).toBe(false)
    const opened = await openStore(disk.snapshot(), OPTIONS)
    expect(await countIn(opened)).toBe(2 * MANY)
    await opened.close()
  })

  test('is not saved where an ack does not mean that it is durable', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, { ...OPTIONS, durability: 'memory' })
    await append(store, 0, MANY)
    await append(store, MANY, MANY + 1000)
    expect([...disk.snapshot().keys()].filter(path => path.includes('index'))).toEqual([])
    await store.close()
  })

  test('loses nothing when a crash comes while it is being saved', async () => {
    const disk = new SimulatedDisk()
    const store = await EventStore.openOn(disk, DIRECTORY, OPTIONS)
    const half = 11_000
    await append(store, 0, half)
    for (let at = half; at < MANY; at += 1000) {
      await append(store, at, at + 1000)
      disk.mark('acked', at + 1000)
    }
    await expect.poll(() => disk.snapshot().has(PARTIAL)).toBe(true)
    await append(store, MANY, MANY + 1000)
    disk.mark('acked', MANY + 1000)

    const options = { exhaustiveLimit: 3, damagedPerSubset: 1, randomCount: 2, sampleLimit: 2, fromMark: 5 }
    let count = 0
    let withFile = 0
    for (const state of new CrashModel(disk, options).states()) {
      const acked = Number(state.marks.at(-1)!.payload)
      withFile += state.disk.snapshot().has(PARTIAL) ? 1 : 0
      const opened = await openStore(state.disk, OPTIONS)
      expect(await countIn(opened), state.describe()).toBeGreaterThanOrEqual(acked)
      await opened.close()
      count++
    }
    console.log(`${count} crashes while half of a chunk is saved, ${withFile} with a file of it`)
    expect(withFile).toBeGreaterThan(0)
    expect(count - withFile).toBeGreaterThan(0)
  }, 120_000)
})
