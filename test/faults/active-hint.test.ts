import { crc32 } from 'node:zlib'
import { beforeAll, describe, expect, test } from 'vitest'
import { BLOCK_SIZE, MIB } from '../../src/core/limits.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import { type DiskContent, MemoryDisk } from '../../src/disk/memory-disk.ts'
import { decodeActiveSlot, encodeActiveSlot } from '../../src/format/active-slot.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { rejectionOf } from '../support/promises.ts'
import { eventsOf, typesIn } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { appendEvents, changed, contentOf, DIRECTORY, fileOf, openStore } from '../support/store-content.ts'

const HINT = fileOf('active')
const COUNT = 30
const options = { chunkSizeBytes: MIB }
const types = Array.from({ length: COUNT }, (_, index) => String(index))

/** Some blocks, the last of them begun. */
let closed: Map<string, Uint8Array>
let foreign: Uint8Array
beforeAll(async () => {
  closed = await contentOf(store => appendEvents(store, COUNT, 10_000), options)
  foreign = (await contentOf(store => appendEvents(store, COUNT, 10_000), options)).get(HINT)!
})

const slotOf = (content: DiskContent) => decodeActiveSlot(content.get(HINT)!)!

describe('with the hint of the active chunk', () => {
  test('a closed store opens without reading its events', async () => {
    const store = await openStore(closed, options)
    expect(store.recovery).toMatchObject({ clean: true, events: COUNT, scannedBytes: 0 })
    expect(await typesIn(store)).toEqual(types)
  })

  test('a second open and close changes nothing', async () => {
    const disk = new MemoryDisk(closed)
    await (await openStore(disk, options)).close()
    expect(new Map(disk.snapshot())).toEqual(closed)
  })

  test('a killed store is read from the last time it was written', async () => {
    const large = { chunkSizeBytes: 32 * MIB }
    const killed = await contentOf(store => appendEvents(store, 5, 2 * MIB), { ...large, isKilled: true })
    const store = await openStore(killed, large)
    expect(store.recovery).toMatchObject({ clean: false, events: 5, truncatedBytes: 0 })
    expect(store.recovery.scannedBytes).toBeGreaterThan(0)
    expect(store.recovery.scannedBytes).toBeLessThan(6 * MIB)
    await store.close()
  })

  test('the chunk that is completed later has the checksums of all its blocks', async () => {
    const disk = new MemoryDisk(closed)
    const store = await openStore(disk, options)
    await appendEvents(store, 100, 10_000, COUNT)
    await store.close()
    const again = await openStore(disk, { ...options, cacheBytes: 0 })
    expect(disk.snapshot().has(fileOf(1))).toBe(true)
    expect((await eventsOf(again)).length).toBe(COUNT + 100)
    await again.close()
  })

  test('a byte that rots below it is found by who reads it, before and after the chunk is completed', async () => {
    const rotten = new MemoryDisk(changed(closed, fileOf(0), bytes => bytes.fill(bytes[40_000]! ^ 1, 40_000, 40_001)))
    const store = await openStore(rotten, options)
    expect(await rejectionOf(eventsOf(store))).toMatchObject({ code: 'CORRUPT_LOG' })
    await appendEvents(store, 100, 10_000, COUNT)
    await store.close()
    const again = await openStore(rotten, options)
    expect(await rejectionOf(eventsOf(again))).toMatchObject({ code: 'CORRUPT_LOG', position: expect.any(Number) })
    await again.close()
  })
})

const unbelievable: [string, (bytes: Uint8Array) => unknown][] = [
  ['missing', () => null],
  ['empty', () => new Uint8Array(0)],
  ['short', bytes => bytes.slice(0, 70)],
  ['zeros', bytes => bytes.fill(0)],
  ['garbage', bytes => bytes.fill(0xa5)],
  ['torn', bytes => bytes.fill(0, 66)],
  ['of another store', () => foreign],
  ['of a version to come', bytes => bytes.fill(9, 8, 9)],
]

describe('the chunk is scanned from its beginning when the hint', () => {
  test('names a place amid a record, whatever stands before it, with the right checksums', async () => {
    // The four bytes before such a place are no size at all, or one that could be.
    const data = Buffer.alloc(2000, Buffer.from([64, 0, 0, 0]))
    const content = await contentOf(store => store.append('orders', { type: 'sizes', data }), options)
    const bytes = content.get(fileOf(0))!
    const { end } = slotOf(content)
    for (let shift = 400; shift < 404; shift++) {
      const amid = (end - shift) as LogPosition
      const hint = { ...slotOf(content), end: amid, blockChecksums: Uint32Array.of(crc32(bytes.subarray(0, amid))) }
      const store = await openStore(
        changed(content, HINT, () => encodeActiveSlot(hint)),
        options,
      )
      expect(store.recovery.scannedBytes).toBeGreaterThan(2000)
      expect(await typesIn(store)).toEqual(['sizes'])
      await store.close()
    }
  })

  test.each(unbelievable)('is %s', async (_, change) => {
    const store = await openStore(changed(closed, HINT, change), options)
    expect(store.recovery).toMatchObject({ clean: true, events: COUNT, truncatedBytes: 0 })
    expect(store.recovery.scannedBytes).toBeGreaterThan(COUNT * 10_000)
    expect(await typesIn(store)).toEqual(types)
    await store.close()
  })

  const claiming = (change: Partial<ReturnType<typeof slotOf>>) =>
    changed(closed, HINT, () => new Uint8Array(encodeActiveSlot({ ...slotOf(closed), ...change })))
  test.each([
    ['names another chunk', () => claiming({ chunk: 1 })],
    ['names no end of a record', () => claiming({ end: (slotOf(closed).end - 1) as LogPosition })],
    ['names an end in the first record', () => claiming({ end: 100 as LogPosition, blockChecksums: Uint32Array.of(1) })],
    ['goes beyond the chunk', () => claiming({ end: (2 * MIB) as LogPosition, blockChecksums: new Uint32Array(32) })],
    ['has too few blocks', () => claiming({ blockChecksums: slotOf(closed).blockChecksums.slice(1) })],
    ['speaks of another last block', () => claiming({ blockChecksums: slotOf(closed).blockChecksums.map(sum => sum ^ 1) })],
  ])('%s', async (_, content) => {
    const store = await openStore(content(), options)
    expect(store.recovery).toMatchObject({ clean: true, events: COUNT })
    expect(store.recovery.scannedBytes).toBeGreaterThan(COUNT * 10_000)
    expect(await typesIn(store)).toEqual(types)
    await store.close()
  })

  test('has any bit flipped', async () => {
    const small = await contentOf(store => appendEvents(store, 3), { chunkSizeBytes: 8192 })
    const { length } = small.get(HINT)!
    const believing = await openStore(small, { chunkSizeBytes: 8192 })
    expect(believing.recovery).toMatchObject({ clean: true, events: 3, scannedBytes: 0 })
    await believing.close()
    for (let bit = 0; bit < length * 8; bit++) {
      const flipped = changed(small, HINT, bytes => bytes.fill(bytes[bit >> 3]! ^ (1 << (bit & 7)), bit >> 3, (bit >> 3) + 1))
      const store = await openStore(flipped, { chunkSizeBytes: 8192 })
      expect(store.recovery).toMatchObject({ clean: true, events: 3 })
      expect(store.recovery.scannedBytes, `bit ${bit}`).toBeGreaterThan(0)
      expect(await typesIn(store)).toEqual(['0', '1', '2'])
      await store.close()
    }
  })
})

test('a hint that can not be opened is no missing hint: the open fails, and can be tried again', async () => {
  const disk = new SimulatedDisk({ content: closed })
  disk.failNext({ op: 'open', path: HINT, error: 'EIO' })
  expect(await rejectionOf(EventStore.openOn(disk, DIRECTORY, options))).toMatchObject({ code: 'READ_FAILED' })
  const store = await EventStore.openOn(disk, DIRECTORY, options)
  expect(await typesIn(store)).toEqual(types)
  await store.close()
})

test('damage in the last block is damage, not a torn tail, though the hint is not believed then', async () => {
  const { end } = slotOf(closed)
  expect(end % BLOCK_SIZE).toBeGreaterThan(2000)
  const damaged = changed(closed, fileOf(0), bytes => bytes.fill(bytes[end - 2000]! ^ 1, end - 2000, end - 1999))
  expect(await rejectionOf(openStore(damaged, options))).toMatchObject({ code: 'CORRUPT_LOG' })
})
