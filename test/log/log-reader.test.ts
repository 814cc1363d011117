import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { RecordType } from '../../src/format/log-record.ts'
import { orders, sized } from '../store/words.ts'
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
