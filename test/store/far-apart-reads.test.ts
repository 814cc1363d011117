import { beforeAll, describe, expect, test } from 'vitest'
import { CorruptLogError } from '../../src/core/errors.ts'
import type { RecordedEvent } from '../../src/core/events.ts'
import { readEachPiece } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { DIRECTORY, numbers, openStore, order, positions, rejectionOf, sized, upTo } from './words.ts'

/** Read in several requests. */
const COUNT = 70
const OPTIONS = { chunkSizeBytes: 65_536, cacheBytes: 0 }

/** Pieces of files come when they are let go, in any order. */
class WaitingDisk extends MemoryDisk {
  readonly waiting: (() => void)[] = []

  override readonly readPieces = async (...pieces: Parameters<typeof readEachPiece>) => {
    await new Promise<void>(letGo => this.waiting.push(letGo))
    await readEachPiece(...pieces)
  }
}

let files: Map<string, Uint8Array>
beforeAll(async () => {
  const disk = new MemoryDisk()
  const store = await openStore(disk, OPTIONS)
  for (const number of upTo(COUNT)) {
    await store.append('orders', order(number))
    await store.append(
      'noise',
      Array.from({ length: 50 }, () => sized(50)),
    )
  }
  await store.close()
  files = disk.snapshot()
})

/** The first batch has been taken; what is behind it waits to be let go. */
async function readingBegun() {
  const disk = new WaitingDisk(files)
  const store = await openStore(disk, OPTIONS)
  const batches = store.readStream('orders').batches()[Symbol.asyncIterator]()
  const next = async () => {
    const result = await batches.next()
    return result.done ? null : result.value.map(({ revision }) => revision)
  }
  const first = next()
  await expect.poll(() => disk.waiting.length).toBeGreaterThan(2)
  disk.waiting[0]!()
  return { disk, store, next, begun: (await first)! }
}

describe('a stream whose events lie far apart', () => {
  test('is handed out as it comes, and in order', async () => {
    const { disk, store, next, begun } = await readingBegun()
    expect(begun.length).toBeLessThan(COUNT / 2)
    const second = next()
    for (const letGo of disk.waiting.slice(2).reverse()) letGo()
    await new Promise(setImmediate)
    disk.waiting[1]!()
    expect([...begun, ...(await second)!]).toEqual(upTo(COUNT))
    expect(await next()).toBeNull()
    await store.close()
  })

  test('comes up to a damaged event, whose block is then refused by name and position', async () => {
    const position = await positionOfEvent(40)
    const path = `${DIRECTORY}/${String(Math.floor(position / OPTIONS.chunkSizeBytes)).padStart(6, '0')}.chunk`
    const bytes = Uint8Array.from(files.get(path)!)
    // Within its data.
    bytes[(position % OPTIONS.chunkSizeBytes) + 60]! ^= 1
    const store = await openStore(new MemoryDisk(new Map(files).set(path, bytes)), OPTIONS)
    const seen: number[] = []
    const reading = async () => {
      for await (const batch of store.readStream('orders').batches()) seen.push(...batch.map(({ revision }) => revision))
    }
    const refusal = await rejectionOf(reading())
    expect(refusal).toBeInstanceOf(CorruptLogError)
    expect(refusal).toMatchObject({ file: path, position: position - (position % (64 * 1024)) })
    expect(seen).toEqual(upTo(40))
    await store.close()
  })

  test('that nobody goes on with keeps nobody from closing the store', async () => {
    const { disk, store, next } = await readingBegun()
    const closed = store.close()
    for (const letGo of disk.waiting) letGo()
    await closed
    await expect(next()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
    const again = await openStore(new MemoryDisk(files), OPTIONS)
    expect(await numbers(again.readStream('orders'))).toEqual(upTo(COUNT))
    await again.close()
  })
})

test('a read that goes on from files into recent bytes gives the stream, whatever is appended between two batches', async () => {
  const store = await openStore()
  const padded = (number: number) => ({ ...order(number), metadata: 'x'.repeat(900) })
  for (let number = 0; number < 16_000; number += 100) {
    await store.append(
      'orders',
      upTo(100).map(index => padded(number + index)),
    )
  }
  // About half of it is still in memory. Each has taken one batch.
  const readers: { readonly from: number; readonly batches: AsyncIterator<readonly RecordedEvent[]>; readonly seen: number[] }[] =
    []
  const take = (seen: number[], batch: readonly RecordedEvent[]) =>
    seen.push(...batch.map(({ stream, data }) => (stream === 'orders' ? (data as { number: number }).number : Number.NaN)))
  for (let from = 5000; from < 10_000; from += 50) {
    const batches = store.readStream('orders', { from, maxCount: 128 }).batches()[Symbol.asyncIterator]()
    const seen: number[] = []
    take(seen, (await batches.next()).value)
    readers.push({ from, batches, seen })
  }
  for (let turn = 0; turn < 60; turn++) await store.append('others', upTo(50).map(padded))
  for (const { from, batches, seen } of readers) {
    for (let next = await batches.next(); !next.done; next = await batches.next()) take(seen, next.value)
    expect(seen).toEqual(upTo(128).map(index => from + index))
  }
  await store.close()
})

async function positionOfEvent(revision: number): Promise<number> {
  const store = await openStore(new MemoryDisk(files), OPTIONS)
  const [position] = await positions(store.readStream('orders', { from: revision, maxCount: 1 }))
  await store.close()
  return position!
}
