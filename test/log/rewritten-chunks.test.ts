import { describe, expect, test } from 'vitest'
import { KIB, MIB } from '../../src/core/limits.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { CHUNK_FOOTER_SIZE, decodeChunkFooter, encodeChunkFooter, footerSizeOf } from '../../src/format/chunk-footer.ts'
import { RecordType } from '../../src/format/log-record.ts'
import { BlockChecksums } from '../../src/log/block-checksums.ts'
import { Scavenger } from '../../src/scavenge/scavenger.ts'
import { DroppingJudge, fill, openLog, readAll } from '../scavenge/scenes.ts'
import { DIRECTORY, rejectionOf, sized } from '../store/words.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { rooms } from './scenes.ts'

const FIRST = `${DIRECTORY}/000000.chunk`

/** Two chunks, the first of them rewritten, with only those of its events that are kept. */
async function rewritten(keeps: (position: number) => boolean): Promise<{ disk: MemoryDisk; before: number[] }> {
  const disk = new MemoryDisk()
  await fill(disk, new Random('rewritten'), { chunkSizeBytes: 4096, chunkCount: 1, maxDataSize: 200 })
  const log = await openLog(disk)
  const all = await readAll(log)
  // Nothing is left of a dropped event that is not the last of its stream or type: the judge calls none of them so.
  await new Scavenger(log).run({ judge: async ({ window, offsets }) => Uint8Array.from(offsets, at => keepAt(window.view, at)) })
  await log.chunks.close()
  return { disk, before: all.map(({ position }) => position).filter(position => position < 4096) }

  function keepAt(view: DataView, offset: number): number {
    return keeps(Number(view.getBigUint64(offset + 8, true))) ? 0 : 1
  }
}

describe('in a chunk that was rewritten', () => {
  test('without any event, none is found, at no position it ever had, in memory or in the file', async () => {
    const { disk, before } = await rewritten(() => false)
    const log = await openLog(disk)
    expect(log.chunks.all[0]!.isCompact).toBe(true)
    expect(before.length).toBeGreaterThan(5)
    for (const position of before as LogPosition[]) {
      expect(log.reader.recordInMemory(position)).toBe(null)
      expect(await log.reader.loadRecord(position, log.end)).toBe(null)
    }
    await log.chunks.close()
  })

  test('and whose file is shorter than when it was opened, the rest is said to be missing', async () => {
    const { disk, before } = await rewritten(position => position % 3 > 0)
    const log = await openLog(disk)
    await (await disk.open(FIRST, 'write')).truncate(500)
    const error = await rejectionOf(log.reader.readForward(before[0] as LogPosition, log.end, MIB))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', found: expect.stringMatching(/^the file ends \d+ bytes early/) })
    await log.chunks.close()
  })

  test('a record that someone wrote on purpose, with all checksums right, is refused by who looks for one behind it', async () => {
    const { disk, before } = await rewritten(position => position % 3 > 0)
    const content = new Map(disk.snapshot())
    const bytes = Buffer.from(content.get(FIRST)!)
    bytes.writeUInt32LE(3, 128)
    const size = footerSizeOf(bytes.subarray(-CHUNK_FOOTER_SIZE), bytes.length)!
    const footer = decodeChunkFooter(bytes.subarray(-size), bytes.length)
    if (typeof footer === 'string') throw new Error(footer)
    const blocks = new BlockChecksums()
    blocks.add(bytes.subarray(0, footer.dataSize))
    bytes.set(encodeChunkFooter({ ...footer, blockChecksums: blocks.all() }), footer.dataSize)
    const log = await openLog(new MemoryDisk(content.set(FIRST, bytes)))
    for (const read of [log.reader.loadRecord(before.at(-1) as LogPosition, log.end), readAll(log)]) {
      expect(await rejectionOf(read)).toMatchObject({ code: 'CORRUPT_LOG', position: 128, found: 'implausible size' })
    }
    await log.chunks.close()
  })
})

test('no event stands where a commit record stood, though the last event reaches into that block', async () => {
  const disk = new MemoryDisk()
  const store = await rooms(disk, { chunkSizeBytes: 256 * KIB, clock: stillClock })
  await store.append('s', sized(100))
  await store.append('s', [sized(100), sized(150_000)])
  await store.append('s', sized(150_000))
  await store.close()
  const log = await openLog(disk)
  const { position } = (await readAll(log)).find(({ type }) => type === RecordType.commit)!
  const judge = new DroppingJudge(await readAll(log), record => record.position === 128)
  expect(await new Scavenger(log).run({ judge: judge.judge })).toMatchObject({ chunksReplaced: 1 })
  expect(log.reader.recordInMemory(position as LogPosition)).toBe(null)
  expect(await log.reader.loadRecord(position as LogPosition, log.end)).toBe(null)
  // Nor does any record begin within the last one.
  const end = log.chunks.all[0]!.dataEnd!
  expect(await log.reader.boundaryFrom((end - 5) as LogPosition, end)).toBe(end)
  await log.chunks.close()
})

describe('the rewriting of a chunk', () => {
  test('of many megabytes is synced on the way, piece by piece, and takes records of any size', async () => {
    const disk = new SimulatedDisk()
    const store = await rooms(disk, { chunkSizeBytes: 16 * MIB, clock: stillClock })
    for (const size of [3 * MIB, 100, 3 * MIB, 100, 2 * MIB, 100]) await store.append(size > 100 ? 'large' : 'small', sized(size))
    await store.append('next', sized(12 * MIB))
    await store.close()
    const log = await openLog(disk)
    const before = await readAll(log)
    const judge = new DroppingJudge(before, ({ stream }) => stream === 'small')
    const syncs = disk.callCount('datasync')
    expect(await new Scavenger(log).run({ judge: judge.judge })).toMatchObject({ chunksReplaced: 1 })
    expect(disk.callCount('datasync') - syncs).toBe(2)
    const sizes = (await readAll(log))
      .filter(({ stream }) => stream === 'large' || stream === 'next')
      .map(({ body }) => body!.length)
    expect(sizes.map(size => Math.floor(size / MIB))).toEqual([3, 3, 2, 12])
    await log.chunks.close()
  })

  test('does not begin when what an interrupted one left can not be removed', async () => {
    const disk = new SimulatedDisk()
    await fill(disk, new Random('left behind'), { chunkSizeBytes: 4096, chunkCount: 1, maxDataSize: 200 })
    const log = await openLog(disk)
    const before = await readAll(log)
    disk.failNext({ op: 'remove', path: '.tmp', error: 'EACCES' })
    const judge = new DroppingJudge(before, () => true)
    expect(await rejectionOf(new Scavenger(log).run({ judge: judge.judge }))).toMatchObject({ code: 'EACCES' })
    expect(await readAll(log)).toEqual(before)
    await log.chunks.close()
  })
})
