import { describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { checkCompactRecord, checksumSeed, RecordType } from '../../src/format/log-record.ts'
import { readStretch } from '../../src/log/compact-reading.ts'
import { Scavenger } from '../../src/scavenge/scavenger.ts'
import { Random } from '../support/random.ts'
import {
  areCommitted,
  DroppingJudge,
  events,
  type FillOptions,
  fill,
  type OpenLog,
  openLog,
  readAll,
  readAllBackwards,
  survivors,
  type Told,
  tell,
} from './scenes.ts'

const SEED = process.env['SEED'] ?? '1'
console.log(`compact chunks: SEED=${SEED}`)

const SMALL: FillOptions = { chunkSizeBytes: 4096, chunkCount: 6, maxDataSize: 300 }
const BLOCKS: FillOptions = { chunkSizeBytes: 1 << 20, chunkCount: 2, maxDataSize: 9000 }
const LARGE_RECORDS: FillOptions = { chunkSizeBytes: 1 << 20, chunkCount: 2, maxDataSize: 250_000 }

/** A log after a scavenge, how it was before, and what must be left of it. */
interface Scavenged {
  readonly log: OpenLog
  readonly before: readonly Told[]
  readonly expected: readonly Told[]
  readonly random: Random
}

function expectedOf(log: OpenLog, before: readonly Told[], judge: DroppingJudge): Told[] {
  return log.chunks.all.flatMap(chunk => {
    const own = before.filter(({ position }) => position >= chunk.start && position < chunk.end)
    return chunk.isComplete ? survivors(own, judge) : own
  })
}

async function scavenged(seed: string, options: FillOptions, share: number): Promise<Scavenged> {
  const random = new Random(`${SEED} ${seed}`)
  const disk = new MemoryDisk()
  await fill(disk, random, options)
  const log = await openLog(disk)
  const before = await readAll(log)
  const dropped = new Set(events(before).flatMap(({ position }) => (random.chance(share) ? [position] : [])))
  const judge = new DroppingJudge(before, ({ position }) => dropped.has(position))
  const expected = expectedOf(log, before, judge)
  await new Scavenger(log).run({ judge: judge.judge })
  return { log, before, expected, random }
}

const CASES = [
  ['small chunks, a few events dropped', SMALL, 0.1],
  ['small chunks, half of the events dropped', SMALL, 0.5],
  ['small chunks, all but a few dropped', SMALL, 0.95],
  ['small chunks, everything dropped', SMALL, 1],
  ['chunks of several blocks, half dropped', BLOCKS, 0.5],
  ['chunks of several blocks, most dropped', BLOCKS, 0.9],
  ['records of several blocks', LARGE_RECORDS, 0.5],
] as const

describe.each(CASES)('%s:', (name, options, share) => {
  test('chunks have become compact, and each event is its own commit', async () => {
    const { log } = await scavenged(name, options, share)
    const compact = log.chunks.all.filter(chunk => chunk.isCompact)
    expect(compact.length).toBeGreaterThan(0)
    for (const chunk of compact) {
      const batch = await log.reader.readForward(chunk.start, chunk.end, 1 << 22)
      expect(batch === null || areCommitted(batch)).toBe(true)
    }
  })

  test.each([1, 500, 100_000])('reads in batches of %d bytes give the survivors, forwards and backwards', async size => {
    const { log, expected } = await scavenged(name, options, share)
    expect(await readAll(log, 0, size)).toEqual(expected)
    expect(await readAllBackwards(log, log.end, size)).toEqual([...expected].reverse())
  })

  test('reads from every position that ever was give the survivors from there on', async () => {
    const { log, before, expected } = await scavenged(name, options, share)
    for (const { position } of before) {
      const next = expected.find(record => record.position >= position) ?? null
      const batch = await log.reader.readForward(position as LogPosition, log.end, 1)
      expect(batch === null ? null : tell(batch.window, batch.offsets[0]!), `at ${position}`).toEqual(next)
      const previous = expected.filter(record => record.position < position).at(-1) ?? null
      const back = await log.reader.readBackward(position as LogPosition, 1)
      expect(back === null ? null : tell(back.window, back.offsets[0]!), `before ${position}`).toEqual(previous)
      expect(await log.reader.boundaryFrom(position as LogPosition, log.end)).toBe(next?.position ?? log.end)
    }
  })

  test('one record is found by its position, from the file and from the cache, or is gone', async () => {
    const { log, before, expected, random } = await scavenged(name, options, share)
    const left = new Map(expected.map(record => [record.position, record]))
    for (const { position } of random.shuffle(before)) {
      const survivor = left.get(position)
      const wanted = survivor === undefined || survivor.type === RecordType.stub ? null : survivor
      const loaded = await log.reader.loadRecord(position as LogPosition, log.end)
      expect(loaded === null ? null : tell(loaded.window, loaded.offset), `at ${position}`).toEqual(wanted)
      const cached = log.reader.recordInMemory(position as LogPosition)
      if (cached !== null) expect(tell(cached.window, cached.offset)).toEqual(wanted)
    }
    expect(log.cache.hits > 0 || options === LARGE_RECORDS || share === 1).toBe(true)
  })

  test('a log that is opened again reads the same', async () => {
    const { log, expected } = await scavenged(name, options, share)
    expect(await readAll(await openLog(log.disk))).toEqual(expected)
  })

  test('scavenged again, stubs forget and are dropped, and the survivors of both are left', async () => {
    const { log, expected, random } = await scavenged(name, options, share)
    const dropped = new Set(events(expected).flatMap(({ position }) => (random.chance(0.4) ? [position] : [])))
    const judge = new DroppingJudge([], ({ position }) => dropped.has(position))
    const left = expectedOf(log, expected, judge)
    await new Scavenger(log).run({ judge: judge.judge })
    expect(await readAll(log)).toEqual(left)
    expect(await readAllBackwards(log)).toEqual([...left].reverse())
  })

  test('every record is whole by itself, too', async () => {
    const { log } = await scavenged(name, options, share)
    for (const chunk of log.chunks.all.filter(({ isCompact }) => isCompact)) {
      const seed = checksumSeed(chunk.header.storeId)
      const { dataSize } = chunk.footer!
      for (let at = 128; at < dataSize; ) {
        const { window, offsets, endOffset } = await readStretch(chunk, at, 1 << 16)
        for (const offset of offsets) {
          expect(typeof checkCompactRecord(window, offset, window.size, chunk.start, chunk.end, seed)).toBe('number')
        }
        at = endOffset
      }
    }
  })
})

describe('a compact chunk', () => {
  test('can be asked for every position, also amid records and gaps', async () => {
    const { log, expected } = await scavenged('every position', SMALL, 0.6)
    const chunk = log.chunks.all.find(({ isCompact }) => isCompact)!
    for (let position = chunk.start; position <= chunk.end; position++) {
      const next = expected.find(record => record.position >= position)!
      const batch = await log.reader.readForward(position, log.end, 1)
      expect(tell(batch!.window, batch!.offsets[0]!), `at ${position}`).toEqual(next)
      await log.reader.readBackward(position, 1)
      await log.reader.loadRecord(position, log.end)
    }
  })

  test('from which nothing is dropped stays as it is', async () => {
    const { log } = await scavenged('again', SMALL, 0.5)
    const generations = () => log.chunks.all.map(({ header }) => header.generation)
    const before = generations()
    const result = await new Scavenger(log).run({ judge: new DroppingJudge([], () => false).judge })
    expect(generations()).toEqual(before)
    expect(result).toMatchObject({ chunksReplaced: 0, bytesFreed: 0, eventsDropped: 0 })
  })

  test('is shorter by what the scavenge says it freed', async () => {
    const random = new Random('freed')
    const disk = new MemoryDisk()
    await fill(disk, random, BLOCKS)
    const log = await openLog(disk)
    const sizes = async () => (await Promise.all(log.chunks.all.map(({ file }) => file.size()))).reduce((a, b) => a + b, 0)
    const before = await sizes()
    const judge = new DroppingJudge(await readAll(log), () => random.chance(0.9))
    const dropped = new Set((await readAll(log)).filter(record => judge.drops(record)).map(({ position }) => position))
    const fixed = new DroppingJudge(await readAll(log), ({ position }) => dropped.has(position))
    const seen: number[] = []
    const result = await new Scavenger(log).run({ judge: fixed.judge, onProgress: ({ bytesFreed }) => seen.push(bytesFreed) })
    expect(before - (await sizes())).toBe(result.bytesFreed)
    expect(seen.at(-1)).toBe(result.bytesFreed)
    expect(result.bytesFreed).toBeGreaterThan(before / 2)
  })
})

test.each([
  2 ** 31,
  3 * 2 ** 30,
  2 ** 32 + 200,
  10 * 2 ** 30,
])('compact chunks are read as far as they go below a limit %d bytes away', async distance => {
  const { log } = await scavenged('far limits', BLOCKS, 0.5)
  const compact = log.chunks.all.filter(chunk => chunk.isCompact)
  expect(compact.length).toBeGreaterThan(0)
  for (const chunk of compact) {
    for (let at = chunk.firstRecord; ; ) {
      const near = await log.reader.readForward(at, chunk.end, 100_000)
      if (near === null) break
      const far = await log.reader.readForward(at, (chunk.start + distance) as LogPosition, 100_000)
      expect([far?.offsets, far?.next]).toEqual([near.offsets, near.next])
      at = near.next
    }
  }
})
