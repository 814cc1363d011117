import { beforeAll, describe, expect, test } from 'vitest'
import { CorruptLogError, ReadFailedError } from '../../src/core/errors.ts'
import type { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { chunkFileName } from '../../src/log/chunk-file-names.ts'
import type { RecordPlace } from '../../src/log/record-batch.ts'
import type { PlaceInLog } from '../../src/log/record-extent.ts'
import { RecordLoad } from '../../src/log/record-load.ts'
import { ScatteredReader } from '../../src/log/scattered-reader.ts'
import { ScatteredRecords } from '../../src/log/scattered-records.ts'
import { DIRECTORY, sized } from '../store/words.ts'
import { failingReads } from '../support/failing-reads.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { type OpenRooms, readForwards, recordsOf, rooms, type Seen } from './scenes.ts'

const SEED = 'scattered records'
const KIB = 1024
/** No cache, one that is full at once, one that never is. */
const CACHES = [0, 64 * KIB, 32 * KIB * KIB]

let files: Map<string, Uint8Array>
let log: Seen[]

/** Several chunks of several blocks, with records smaller and larger than what is read of one at first. */
beforeAll(async () => {
  const random = new Random(SEED)
  const disk = new MemoryDisk()
  const writing = await rooms(disk, { chunkSizeBytes: 256 * KIB, clock: stillClock })
  for (let turn = 0; turn < 400; turn++)
    await writing.append('stream', sized(random.chance(0.2) ? random.int(6000) : random.int(700)))
  await writing.close()
  files = disk.snapshot()
  const reading = await open(0)
  log = await readForwards(reading.reader, 0, reading.chaser.published.position, 1 << 20)
  await reading.close()
})

/** Of which no pieces can be read in one. */
class PoorDisk extends MemoryDisk {
  override readonly readPieces = () => Promise.reject(new Error('EIO'))
}

function open(cacheBytes: number, content = files, disk = new MemoryDisk(content)): Promise<OpenRooms> {
  return rooms(disk, { readOnly: true, clock: stillClock, cacheBytes })
}

/** The records at these positions, null when one is gone, as a reader comes by them. */
async function loaded({ reader, chaser }: OpenRooms, positions: readonly LogPosition[]): Promise<(RecordPlace | null)[]> {
  const records = new ScatteredRecords(reader, new ScatteredReader(reader, chaser.published))
  records.begin(positions.map(position => ({ position })))
  const found: (RecordPlace | null)[] = []
  while (records.left > 0) {
    const record = records.current(records.left)
    if (record instanceof RecordLoad) await record.done
    else {
      found.push(record === 'gone' ? null : record)
      records.next()
    }
  }
  return found
}

function seenOf(place: RecordPlace | null): Seen | undefined {
  return place === null ? undefined : recordsOf({ window: place.window, offsets: [place.offset], next: 0 as LogPosition })[0]
}

describe.each(CACHES)('records read side by side, with a cache of %d bytes,', cacheBytes => {
  test(`are those that a reader in order comes by (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    const opened = await open(cacheBytes)
    for (let turn = 0; turn < 20; turn++) {
      const wanted = log.filter(() => random.chance(0.1))
      const positions = wanted.map(({ position }) => position as LogPosition)
      const found = await loaded(opened, positions)
      expect(found.map(seenOf)).toEqual(wanted)
    }
    await opened.close()
  })

  test(`stay as they were read, whatever is read after them (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    const opened = await open(cacheBytes)
    const kept: { readonly wanted: Seen[]; readonly found: (RecordPlace | null)[] }[] = []
    for (let turn = 0; turn < 10; turn++) {
      const wanted = log.filter(() => random.chance(0.1))
      const positions = wanted.map(({ position }) => position as LogPosition)
      kept.push({ wanted, found: await loaded(opened, positions) })
    }
    for (const { wanted, found } of kept) expect(found.map(seenOf)).toEqual(wanted)
    await opened.close()
  })

  test(`are read one by one when they can't be read in one (seed ${SEED})`, async () => {
    const random = new Random(SEED)
    const opened = await open(cacheBytes, files, new PoorDisk(files))
    const wanted = log.filter(() => random.chance(0.1))
    const positions = wanted.map(({ position }) => position as LogPosition)
    expect((await loaded(opened, positions)).map(seenOf)).toEqual(wanted)
    await opened.close()
  })

  test('are refused when one of them is damaged', async () => {
    const victim = log[20]!
    const name = [...files.keys()].find(path => path.startsWith(DIRECTORY) && path.endsWith(chunkFileName(0 as ChunkNumber)))!
    const damaged = Uint8Array.from(files.get(name)!)
    const last = victim.position + victim.bytes.length - 10
    damaged[last] = damaged[last]! ^ 1
    const opened = await open(cacheBytes, new Map(files).set(name, damaged))
    const positions = [log[150]!, victim].map(({ position }) => position as LogPosition)
    await expect(loaded(opened, positions)).rejects.toThrow(CorruptLogError)
    await opened.close()
  })
})

test.each(CACHES)('large records are few at once, and bring little besides, with a cache of %d bytes', async cacheBytes => {
  const disk = new MemoryDisk()
  const writing = await rooms(disk, { chunkSizeBytes: 4 * KIB * KIB, clock: stillClock })
  const places: PlaceInLog[] = []
  for (let turn = 0; turn < 20; turn++) places.push({ position: (await writing.append('stream', sized(300 * KIB))).position })
  await writing.close()
  const { reader, chaser, close } = await open(cacheBytes, disk.snapshot())
  const loads = new ScatteredReader(reader, chaser.published).load(places, 0, 8)
  expect(loads).toMatchObject([{ first: 0, end: 1 }])
  await loads[0]!.done
  expect((loads[0]!.recordAt(0) as RecordPlace).window.size).toBeLessThan((300 + 3 * 64) * KIB)
  await close()
})

test('a record that lies alone does not bring its block into a full cache', async () => {
  const opened = await open(64 * KIB)
  // In the middle of the first and of the second block, far from their edges.
  const [first, second] = [32 * KIB, 96 * KIB].map(place => log.find(({ position }) => position > place)!.position as LogPosition)
  await loaded(opened, [first!])
  await loaded(opened, [second!])
  expect([first!, second!].map(position => opened.reader.recordInMemory(position) !== null)).toEqual([true, false])
  await opened.close()
})

test.each(
  CACHES,
)('a record that could not be read is read once more when its turn comes, with a cache of %d bytes', async cacheBytes => {
  const disk = new PoorDisk(files)
  const reads = failingReads(disk)
  const { reader, chaser, close } = await open(cacheBytes, files, disk)
  const records = new ScatteredRecords(reader, new ScatteredReader(reader, chaser.published))
  records.begin([{ position: log[20]!.position as LogPosition }])
  reads.areFailing = true
  const load = records.current(1) as RecordLoad
  await expect(load.done).rejects.toThrow(ReadFailedError)
  expect(load.isOver).toBe(true)
  reads.areFailing = false
  await (records.current(1) as RecordLoad).done
  expect(seenOf(records.current(1) as RecordPlace)).toEqual(log[20])
  await close()
})

test('a record that lies across two blocks of the cache is in memory', async () => {
  const opened = await open(32 * KIB * KIB)
  const boundary = 64 * KIB
  const index = log.findIndex(({ position, bytes }) => position < boundary && position + bytes.length > boundary)
  const [before, across, behind] = log.slice(index - 1, index + 2)
  for (const { position } of [before!, behind!]) {
    expect(opened.reader.recordInMemory(across!.position as LogPosition)).toBeNull()
    await loaded(opened, [position as LogPosition])
  }
  expect(seenOf(opened.reader.recordInMemory(across!.position as LogPosition))).toEqual(across)
  await opened.close()
})
