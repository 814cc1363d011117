import { describe, expect, test, vi } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { StreamReader } from '../../src/streams/stream-reader.ts'
import { all, appendEach, openStore, orders, sized, upTo, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { take, takeNumbers } from './words.ts'

/** A disk that counts the bytes that were read from it. */
function countingDisk(content: ReturnType<MemoryDisk['snapshot']>) {
  const disk = new MemoryDisk(content)
  const counts = { bytes: 0 }
  const open = disk.open.bind(disk)
  disk.open = async (path, mode) => {
    const file = await open(path, mode)
    const read = file.read.bind(file)
    file.read = async (target, offset) => {
      const size = await read(target, offset)
      counts.bytes += size
      return size
    }
    return file
  }
  return { disk, counts }
}

describe('many readers', () => {
  test('that begin at one place read its bytes once', async () => {
    const written = new MemoryDisk()
    const writer = await openStore(written, { chunkSizeBytes: MIB })
    for (const _ of upTo(60)) await appendEach(writer, 's', orders(100))
    await writer.close()
    const bytesReadBy = async (count: number) => {
      const { disk, counts } = countingDisk(written.snapshot())
      const store = await openStore(disk, { readOnly: true })
      const before = counts.bytes
      const readings = upTo(count).map(() => take(store.subscribe(), 6000))
      for (const events of await Promise.all(readings)) expect(events.at(-1)!.revision).toBe(5999)
      await store.close()
      return counts.bytes - before
    }
    const bytes = await bytesReadBy(1)
    expect(bytes).toBeGreaterThan(400_000)
    expect(await bytesReadBy(50)).toBeLessThan(1.1 * bytes)
  })

  test('at the tail all get every event, each its own', async () => {
    await withStore({}, async store => {
      const readings = upTo(100).map(() => takeNumbers(store.subscribe(), 200))
      for (const turn of upTo(20)) await appendEach(store, 's', orders(10, 10 * turn))
      for (const numbers of await Promise.all(readings)) expect(numbers).toEqual(upTo(200))
      const [one, other] = await Promise.all(upTo(2).map(() => take(store.subscribe(), 1)))
      expect(one![0]!.data).not.toBe(other![0]!.data)
    })
  })
})

describe('readers of single streams', () => {
  test('ask for their stream when something was said in it or of it, not at each commit', async () => {
    await withStore({ chunkSizeBytes: 16_384 }, async store => {
      const asked = vi.spyOn(StreamReader.prototype, 'read')
      try {
        const next = upTo(100).map(number => store.subscribe({ stream: `s-${number}` }).next())
        await settle()
        const before = asked.mock.calls.length
        for (const turn of upTo(300)) await appendEach(store, 'other', [sized(turn)])
        // A roll-over may make them look once.
        expect(asked.mock.calls.length - before).toBeLessThan(100 * 10)
        expect(store.lastPosition).toBeGreaterThan(3 * 16_384)
        for (const number of upTo(100)) await store.append(`s-${number}`, orders(1, number))
        for (const [number, { value }] of (await Promise.all(next)).entries()) expect(value).toMatchObject({ data: { number } })
      } finally {
        asked.mockRestore()
      }
    })
  })
})

describe('a reader for whom nothing is meant', () => {
  test('lets others have their turns while it looks through what is in memory', async () => {
    await withStore({}, async store => {
      await Promise.all(upTo(24).map(() => store.append('s', sized(MIB))))
      let turns = 0
      let ticking = setImmediate(function tick() {
        turns++
        ticking = setImmediate(tick)
      })
      const subscription = store.subscribe({ filter: { streams: ['nobody'] } })
      const next = subscription.next()
      await subscription.caughtUp
      clearImmediate(ticking)
      expect(turns).toBeGreaterThan(0)
      await subscription.return()
      await next
      expect(await all(store.readAll())).toHaveLength(24)
    })
  })
})
