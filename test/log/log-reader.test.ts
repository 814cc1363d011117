import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { checksumSeed, RecordType } from '../../src/format/log-record.ts'
import { LogReader } from '../../src/log/log-reader.ts'
import { RecentBytes } from '../../src/log/recent-bytes.ts'
import { openStore, orders, sized } from '../store/words.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { type OpenRooms, readBackwards, readForwards, recordsOf, rooms, type Seen } from './scenes.ts'

const SEED = 'log reader'
const BATCH_SIZES = [1, 100, 1000, 5000, 1 << 20]

/** One log, read twice: by the process that wrote it, from its slabs, and by one that knows only the files. */
let writing: OpenRooms
let reading: OpenRooms
let log: Seen[]
let end: number

beforeAll(async () => {
  const random = new Random(SEED)
  const disk = new MemoryDisk()
  writing = await rooms(disk, { chunkSizeBytes: 4096, clock: stillClock })
  for (let turn = 0; turn < 60; turn++) {
    await writing.append(`stream-${turn % 3}`, random.chance(0.3) ? orders(1 + random.int(4)) : sized(random.int(700)))
  }
  end = writing.chaser.published.position
  // What the hint does not say, another process does not believe; closing makes it say everything.
  const snapshot = new MemoryDisk(disk.snapshot())
  await (await rooms(snapshot, { clock: stillClock })).close()
  reading = await rooms(snapshot, { readOnly: true, clock: stillClock })
  log = await readForwards(writing.reader, 0, end, 1 << 20)
})

afterAll(async () => {
  await writing.close()
  await reading.close()
})

const readers = () => [['from slabs', writing.reader] as const, ['from files', reading.reader] as const]

describe('the log of this test', () => {
  test(`has several chunks, and records of all kinds (seed ${SEED})`, () => {
    expect(end).toBeGreaterThan(4 * 4096)
    expect(new Set(log.map(({ type }) => type))).toEqual(new Set([RecordType.prepare, RecordType.commit]))
  })

  test('has no record that spans two chunks (KurrentDB 15)', () => {
    for (const { position, bytes } of log) {
      expect(Math.floor(position / 4096)).toBe(Math.floor((position + bytes.length - 1) / 4096))
      expect(position % 4096).toBeGreaterThanOrEqual(128)
    }
  })

  test('has no gap but between chunks', () => {
    for (const [index, { position }] of log.entries()) {
      const before = log[index - 1]
      if (before === undefined || position % 4096 === 128) continue
      expect(position).toBe(before.position + before.bytes.length)
    }
  })
})

describe('read forwards', () => {
  test.each(BATCH_SIZES)('in batches of %d bytes: the same records, from slabs and from files (KurrentDB 18, 22)', async size => {
    for (const [from, reader] of readers()) expect(await readForwards(reader, 0, end, size), from).toEqual(log)
  })

  test('from every position of a record: that record and all behind it (KurrentDB 17, 18)', async () => {
    for (const [from, reader] of readers()) {
      for (const [index, { position }] of log.entries()) {
        expect(await readForwards(reader, position, end, 3000), from).toEqual(log.slice(index))
      }
    }
  })

  test('from a gap between chunks, or from a chunk header: from the next record on (KurrentDB 19)', async () => {
    for (const [from, reader] of readers()) {
      for (let chunk = 1; chunk * 4096 < end; chunk++) {
        const first = log.findIndex(({ position }) => position > chunk * 4096)
        for (const position of [chunk * 4096 - 1, chunk * 4096, chunk * 4096 + 1, chunk * 4096 + 127]) {
          expect((await readForwards(reader, position, end, 1000))[0], `${from} ${position}`).toEqual(log[first])
        }
      }
    }
  })

  test('up to every limit: nothing at or behind it, whole chunk or not (KurrentDB 16)', async () => {
    for (const [from, reader] of readers()) {
      for (const [index, { position }] of log.entries()) {
        expect(await readForwards(reader, 0, position, 1 << 20), `${from}, up to ${position}`).toEqual(log.slice(0, index))
      }
    }
  })

  test('at or behind the limit: there is none', async () => {
    for (const [, reader] of readers()) {
      expect(await reader.readForward(end as LogPosition, end as LogPosition, 1000)).toBe(null)
      expect(await reader.readForward((end + 10_000) as LogPosition, end as LogPosition, 1000)).toBe(null)
    }
  })
})

describe('read backwards', () => {
  test.each(BATCH_SIZES)('in batches of %d bytes: the same records, newest first (KurrentDB 18)', async size => {
    const reversed = [...log].reverse()
    for (const [from, reader] of readers()) expect(await readBackwards(reader, end, size), from).toEqual(reversed)
  })

  test('from every position of a record: all records before it (KurrentDB 17, 18)', async () => {
    for (const [from, reader] of readers()) {
      for (const [index, { position }] of log.entries()) {
        expect(await readBackwards(reader, position, 3000), from).toEqual(log.slice(0, index).reverse())
      }
    }
  })

  test('forwards, then back from there: the same records the other way round (KurrentDB 18)', async () => {
    for (const [from, reader] of readers()) {
      for (let at = 0 as LogPosition; ; ) {
        const batch = await reader.readForward(at, end as LogPosition, 900)
        if (batch === null) break
        const forwards = recordsOf(batch)
        const back = (await readBackwards(reader, batch.next, 1 << 20)).slice(0, forwards.length)
        expect(back.reverse(), from).toEqual(forwards)
        at = batch.next
      }
    }
  })
})

describe('one record', () => {
  test('is found at its position (KurrentDB 17)', async () => {
    for (const { position, bytes } of log) {
      const slab = writing.reader.recordInMemory(position as LogPosition)
      expect(slab!.window.bytes.toString('latin1', slab!.offset, slab!.offset + bytes.length)).toBe(bytes)
      const { window, offset } = (await reading.reader.loadRecord(position as LogPosition, end as LogPosition))!
      expect(window.bytes.toString('latin1', offset, offset + bytes.length)).toBe(bytes)
    }
  })

  test('is not found beside it: an error that names the file and the position', async () => {
    for (const { position } of log.slice(0, 10)) {
      await expect(reading.reader.loadRecord((position + 1) as LogPosition, end as LogPosition)).rejects.toMatchObject({
        code: 'CORRUPT_LOG',
        position: position + 1,
      })
    }
  })
})

describe('what stands where no record should', () => {
  test('in the header of a chunk: no record starts there', async () => {
    await expect(reading.reader.loadRecord(100 as LogPosition, end as LogPosition)).rejects.toMatchObject({
      code: 'CORRUPT_LOG',
      found: 'no record starts here',
    })
  })

  test('the copy of a record within the data of another: it is known by its position', async () => {
    const disk = new MemoryDisk()
    const scene = await rooms(disk, { chunkSizeBytes: 4096, clock: stillClock })
    await scene.append('s', sized(100))
    const [inner] = await readForwards(scene.reader, 0, scene.chaser.published.position, 1 << 20)
    const copy = Buffer.from(inner!.bytes, 'latin1')
    const { position } = await scene.append('s', { type: 'Copy', data: copy })
    for (let turn = 0; turn < 8; turn++) await scene.append('s', sized(700))
    await scene.close()
    const completed = await rooms(disk, { readOnly: true, clock: stillClock, cacheBytes: 0 })
    const limit = completed.chaser.published.position
    const bytes = Buffer.from(disk.snapshot().get('/data/000000.chunk')!)
    const at = bytes.indexOf(copy, position + 24)
    await expect(completed.reader.loadRecord(at as LogPosition, limit)).rejects.toMatchObject({ found: 'wrong position' })
    await completed.close()
  })

  test.each(['completed', 'rewritten'])('nothing behind the records of a last chunk that is %s', async what => {
    const disk = new MemoryDisk()
    const scene = await openStore(disk, { chunkSizeBytes: 4096, clock: stillClock })
    for (let turn = 0; turn < 12; turn++) await scene.append(`s-${turn % 2}`, sized(500))
    if (what === 'rewritten') {
      await scene.delete('s-1')
      await scene.scavenge()
    }
    await scene.close()
    const files = new Map([...disk.snapshot()].filter(([path]) => path.endsWith('000000.chunk')))
    const alone = await rooms(new MemoryDisk(files), { readOnly: true, clock: stillClock })
    expect(alone.chunks.all.length).toBe(1)
    const [first] = alone.chunks.all
    expect(first!.isCompact).toBe(what === 'rewritten')
    expect(await alone.reader.readForward(first!.dataEnd!, first!.end, 1000)).toBe(null)
    await alone.close()
  })
})

describe('a file that has changed since it was opened', () => {
  /** Nothing of it is in memory. */
  async function opened(change: (bytes: Buffer, behind: number) => Buffer) {
    const disk = new MemoryDisk()
    const first = await rooms(disk, { clock: stillClock })
    for (let turn = 0; turn < 5; turn++) await first.append('s', sized(500))
    const behind = first.chaser.published.position
    await first.close()
    const scene = await rooms(disk, { readOnly: true, clock: stillClock, cacheBytes: 0 })
    const path = scene.chunks.active.path
    const bytes = change(Buffer.from(disk.snapshot().get(path)!), behind)
    const file = await disk.open(path, 'write')
    await file.truncate(0)
    await file.write(bytes, 0)
    return { scene, behind }
  }

  test.each([
    1,
    1 << 20,
  ])('with a size at the end of a record that can not be: read backwards, %d bytes at a time', async size => {
    const { scene } = await opened((bytes, behind) => {
      bytes.writeUInt32LE(0xffff_ffff, behind - 4)
      return bytes
    })
    const end = scene.chaser.published.position
    const newest = await scene.reader.readBackward(end, 1)
    expect(newest!.next).toBe(end - 28)
    await expect(scene.reader.readBackward(newest!.next, size)).rejects.toMatchObject({
      code: 'CORRUPT_LOG',
      found: expect.stringMatching(/^no whole record before it/),
    })
    await scene.close()
  })

  test('that is shorter: it ends early, and that is said', async () => {
    const { scene, behind } = await opened(bytes => bytes.subarray(0, 1000))
    await expect(scene.reader.readForward(128 as LogPosition, behind, 1 << 20)).rejects.toMatchObject({
      code: 'CORRUPT_LOG',
      found: expect.stringMatching(/^the file ends \d+ bytes early/),
    })
    await scene.close()
  })
})

test('the first record behind any place is found far within a large chunk', async () => {
  const disk = new MemoryDisk()
  const scene = await rooms(disk, { clock: stillClock })
  const positions: number[] = []
  for (let turn = 0; turn < 30; turn++) positions.push((await scene.append('s', sized(100_000))).position)
  const limit = scene.chaser.published.position
  const cold = new LogReader(disk, scene.chunks, new RecentBytes(), scene.cache, checksumSeed(scene.storeId))
  for (const at of [1, 13, 25]) {
    expect(await cold.boundaryFrom((positions[at]! - 5) as LogPosition, limit)).toBe(positions[at])
    expect(await cold.boundaryFrom(positions[at]! as LogPosition, limit)).toBe(positions[at])
  }
  expect(await cold.boundaryFrom((limit - 5) as LogPosition, limit)).toBe(limit)
  await scene.close()
})

describe('a batch', () => {
  test('is memory of its own: what others append leaves it as it is', async () => {
    const scene = await rooms(new MemoryDisk(), { clock: stillClock })
    await scene.append('s', orders(20))
    const limit = scene.chaser.published.position
    const batches = [
      await scene.reader.readForward(128 as LogPosition, limit, 1 << 20),
      await scene.reader.readBackward(limit, 1 << 20),
    ]
    const before = batches.map(batch => recordsOf(batch!))
    for (let turn = 0; turn < 30; turn++) await scene.append('s', sized(700_000))
    expect(batches.map(batch => recordsOf(batch!))).toEqual(before)
    await scene.close()
  })
})
