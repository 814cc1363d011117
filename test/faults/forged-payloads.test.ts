/** Who appends what others hand in keeps bytes that were made on purpose: of a store whose id, which every derived event id tells, is known. */
import { expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import type { DiskFile, OpenMode } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { checksumBytes } from '../../src/format/checksum.ts'
import { CHUNK_FOOTER_SIZE, encodeChunkFooter } from '../../src/format/chunk-footer.ts'
import { PREPARE_OVERHEAD } from '../../src/format/log-record.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { type OpenRooms, rooms } from '../log/scenes.ts'
import { DIRECTORY, openStore } from '../store/words.ts'
import { ManualClock, stillClock } from '../support/manual-clock.ts'

/** Zeros ahead come behind groups up to 256 KiB: behind a larger one the file ends with its last record. */
const LARGE = 400_000
const BLOCK_SIZE = 65_536
const CHUNK = `${DIRECTORY}/000000.chunk`
const OVERHEAD = PREPARE_OVERHEAD + 's'.length + 'T'.length

/** A store with one event, and where the next one will stand. */
async function begun(disk: MemoryDisk): Promise<{ store: OpenRooms; next: number }> {
  const store = await rooms(disk, { clock: stillClock })
  const { position } = await store.append('s', { type: 'T', data: Buffer.alloc(10) })
  return { store, next: position + OVERHEAD + 10 }
}

/** Changes four bytes at `free` so that the checksum of all is `wanted`: CRC-32 is linear, so this is a system of 32 equations. */
function forceChecksum(bytes: Buffer, free: number, wanted: number): void {
  const checksumWith = (word: number) => {
    bytes.writeUInt32LE(word >>> 0, free)
    return checksumBytes(bytes)
  }
  const none = checksumWith(0)
  let rest = wanted ^ none
  let word = 0
  let rows = Array.from({ length: 32 }, (_, bit) => ({ image: checksumWith(1 << bit) ^ none, cause: 1 << bit }))
  for (let bit = 31; bit >= 0; bit--) {
    const pivot = rows.find(({ image }) => (image >>> bit) & 1)!
    const reduced = rows.filter(row => row !== pivot)
    rows = reduced.map(row =>
      (row.image >>> bit) & 1 ? { image: row.image ^ pivot.image, cause: row.cause ^ pivot.cause } : row,
    )
    if (!((rest >>> bit) & 1)) continue
    rest ^= pivot.image
    word ^= pivot.cause
  }
  checksumWith(word)
}

/** Data of an event at `next` with which its record ends like the footer of the chunk: the size behind it is the footer's checksum. */
function footerLike(storeId: Uint8Array, next: number): Buffer {
  const data = Buffer.alloc(LARGE, 7)
  const fileSize = next + OVERHEAD + LARGE
  const blockCount = Math.ceil((fileSize - CHUNK_FOOTER_SIZE) / BLOCK_SIZE)
  const dataSize = fileSize - CHUNK_FOOTER_SIZE - 4 * blockCount
  const blockChecksums = new Uint32Array(blockCount)
  const footer = encodeChunkFooter({ start: 0 as LogPosition, dataSize, eventCount: 2, storeId, blockChecksums, directory: null })
  const covered = footer.subarray(0, -4)
  forceChecksum(covered, 0, OVERHEAD + LARGE)
  data.set(covered, data.length - covered.length)
  return data
}

async function sizesIn(store: EventStore): Promise<number[]> {
  const sizes: number[] = []
  for await (const { bytes } of store.readAll()) sizes.push(bytes.length)
  return sizes
}

test('an event that ends like a footer, at the end of the file of a writer that was killed, is an event', async () => {
  const disk = new MemoryDisk()
  const { store, next } = await begun(disk)
  await store.append('s', { type: 'T', data: footerLike(store.storeId, next) })
  const left = disk.snapshot()
  expect(left.get(CHUNK)!.length).toBe(next + OVERHEAD + LARGE)
  const again = await openStore(new MemoryDisk(left), { clock: stillClock })
  expect(await sizesIn(again)).toEqual([10, LARGE])
  await again.close()
})

test('nor does a follower take it for one', async () => {
  const disk = new MemoryDisk()
  const { store, next } = await begun(disk)
  const clock = new ManualClock()
  const reader = await openStore(disk, { readOnly: true, clock })
  await store.append('s', { type: 'T', data: footerLike(store.storeId, next) })
  clock.advance(1000)
  expect(await sizesIn(reader)).toEqual([10])
  await store.append('s', { type: 'T', data: Buffer.alloc(20) })
  await store.append('s', { type: 'T', data: Buffer.alloc(30) })
  clock.advance(1000)
  expect((await sizesIn(reader)).slice(0, 3)).toEqual([10, LARGE, 20])
  await reader.close()
  await store.close()
})

/** Counts the bytes that are asked for. */
class CountingDisk extends MemoryDisk {
  askedBytes = 0

  override async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const file = await super.open(path, mode)
    const read = file.read.bind(file)
    file.read = (target, offset) => {
      this.askedBytes += target.length
      return read(target, offset)
    }
    return file
  }
}

test('heads of large records in a torn event, behind which their size does not stand, cost four bytes each', async () => {
  const disk = new MemoryDisk()
  const { store, next } = await begun(disk)
  const data = Buffer.alloc(1_500_000, 7)
  const begin = next + OVERHEAD - 4
  for (let at = 0; at + 24 < data.length; at += 24) {
    data.writeUInt32LE(1_000_000, at)
    data.writeBigUInt64LE(BigInt(begin + at), at + 8)
  }
  await store.append('s', { type: 'T', data })
  const torn = disk.snapshot()
  torn.set(CHUNK, torn.get(CHUNK)!.subarray(0, next + OVERHEAD + 1_400_000))
  const left = new CountingDisk(torn)
  const again = await openStore(left, { clock: stillClock })
  expect(again.recovery).toMatchObject({ events: 1 })
  expect(left.askedBytes).toBeLessThan(16_000_000)
  await again.close()
})
