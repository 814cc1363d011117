import { describe, expect, test, vi } from 'vitest'
import { CorruptLogError, TailraceError } from '../../src/core/errors.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { findLog } from '../../src/log/find-log.ts'
import { repairLog } from '../../src/log/recovery.ts'
import { rewriteChunk } from '../../src/scavenge/rewrite-chunk.ts'
import { Scavenger } from '../../src/scavenge/scavenger.ts'
import { rooms } from '../log/scenes.ts'
import { DIRECTORY } from '../store/words.ts'
import { CrashModel } from '../support/crash-states.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { DroppingJudge, events, type FillOptions, fill, openLog, readAll, survivors, type Told, tellAll } from './scenes.ts'

const SEED = process.env['SEED'] ?? '1'
console.log(`replacement: SEED=${SEED}`)

const SMALL: FillOptions = { chunkSizeBytes: 4096, chunkCount: 4, maxDataSize: 250 }

async function contentOf(options: FillOptions, seed = 'replacement'): Promise<Map<string, Uint8Array>> {
  const disk = new MemoryDisk()
  await fill(disk, new Random(`${SEED} ${seed}`), options)
  return disk.snapshot()
}

async function dropping(log: readonly Told[], share: number, seed = 'drops'): Promise<DroppingJudge> {
  const random = new Random(`${SEED} ${seed}`)
  const dropped = new Set(events(log).flatMap(({ position }) => (random.chance(share) ? [position] : [])))
  return new DroppingJudge(log, ({ position }) => dropped.has(position))
}

describe('a crash at any moment of a scavenge', () => {
  test(`leaves each chunk old or new, loses nothing, and a second scavenge finishes it (seed ${SEED})`, async () => {
    const seen = { old: 0, new: 0, states: 0, distinct: 0 }
    for (let round = 0; seen.distinct < 1000 && round < 20; round++) {
      const content = await contentOf(SMALL, `crash ${round}`)
      const disk = new SimulatedDisk({ seed: `${SEED}-${round}`, content })
      const log = await openLog(disk)
      const before = await readAll(log)
      const judge = await dropping(before, 0.6)
      await new Scavenger(log).run({ judge: judge.judge, onReplaced: () => disk.mark('replaced') })
      const after = await readAll(log)
      const ranges = log.chunks.all.map(({ start, end }) => (told: readonly Told[]) => {
        return JSON.stringify(told.filter(({ position }) => position >= start && position < end))
      })
      const model = new CrashModel(disk, { seed: `${SEED}-${round}`, randomCount: 96 })
      for (const state of model.states()) {
        const crashed = await openLog(state.disk)
        const found = await readAll(crashed)
        for (const [index, own] of ranges.entries()) {
          const isNew = own(found) === own(after)
          if (!isNew && own(found) !== own(before)) expect.fail(`chunk ${index} is neither old nor new\n${state.describe()}`)
          if (!isNew && index < state.marks.length) expect.fail(`chunk ${index} came back\n${state.describe()}`)
          seen[isNew ? 'new' : 'old']++
        }
        await crashed.chunks.close()
        // Opened for writing, nothing unfinished is left; and what was interrupted can be done again.
        const opened = (await findLog(state.disk, DIRECTORY, 'write'))!
        const { chunks } = await repairLog(state.disk, DIRECTORY, opened, stillClock, 4096)
        expect((await state.disk.list(DIRECTORY)).filter(name => name.endsWith('.tmp'))).toEqual([])
        await chunks.close()
        const again = await openLog(state.disk)
        await new Scavenger(again).run({ judge: judge.judge })
        const finished = await readAll(again)
        const isActive = ({ position }: Told) => position >= log.chunks.active.start
        expect(finished.filter(record => !isActive(record))).toEqual(after.filter(record => !isActive(record)))
      }
      seen.states += model.counts.given
      seen.distinct += model.counts.distinct
    }
    console.log(`scavenge: ${seen.states} crash states, ${seen.distinct} distinct, SEED=${SEED}`)
    expect(seen.distinct).toBeGreaterThanOrEqual(1000)
    expect(seen.old).toBeGreaterThan(0)
    expect(seen.new).toBeGreaterThan(0)
  }, 120_000)
})

describe('a scavenge whose disk fails', () => {
  test('at any call leaves the log as it was or as it was to be, and open files are those of the chunks', async () => {
    const content = await contentOf({ ...SMALL, chunkCount: 1 })
    const calls = ['open', 'read', 'write', 'datasync', 'rename', 'syncDirectory'] as const
    for (const op of calls) {
      for (let nth = 1; ; nth++) {
        const disk = new SimulatedDisk({ seed: SEED, content })
        const log = await openLog(disk)
        const before = await readAll(log)
        const judge = await dropping(before, 0.6)
        const fault = disk.failNext({ op, nth, error: 'EIO' })
        const error = await new Scavenger(log).run({ judge: judge.judge }).then(
          () => null,
          (reason: unknown) => reason,
        )
        if (error === null) break
        expect(String(error)).toContain('EIO')
        const chunk = log.chunks.all[0]!
        const own = (told: readonly Told[]) => told.filter(({ position }) => position < chunk.end)
        const expected = chunk.isCompact ? survivors(own(before), judge) : own(before)
        expect(own(await readAll(log)), `${op} ${nth}`).toEqual(expected)
        expect(own(await readAll(await openLog(new MemoryDisk(disk.snapshot()))))).toEqual(expected)
        expect(fault).toBeDefined()
        await log.chunks.close()
        expect(disk.openPaths).toEqual([])
      }
    }
  })
})

describe('every bit of a compact chunk', () => {
  test('when it is turned, is found out: nothing wrong is ever read', async () => {
    const content = await contentOf({ ...SMALL, chunkCount: 2, maxDataSize: 120 })
    const disk = new MemoryDisk(content)
    const log = await openLog(disk)
    const judge = await dropping(await readAll(log), 0.8)
    await rewriteChunk(log, log.chunks.all[0]!, { judge: judge.judge })
    const after = await readAll(log)
    const path = `${DIRECTORY}/000000.chunk`
    const scavenged = disk.snapshot()
    const bytes = new Uint8Array(scavenged.get(path)!)
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    let undetected = 0
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      try {
        const opened = await openLog(new MemoryDisk(new Map([...scavenged, [path, bytes]])))
        const found = await readAll(opened)
        undetected++
        expect(found).toEqual(after)
      } catch (error) {
        if (!(error instanceof TailraceError)) throw error
      }
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
    Error.stackTraceLimit = stackTraceLimit
    console.log(`bit flips: ${bytes.length * 8} in a compact chunk of ${bytes.length} bytes, ${undetected} undetected`)
    expect(undetected).toBe(0)
  }, 60_000)

  test('of its footer, at the end of the log, too: it is no torn tail', async () => {
    const content = await contentOf({ ...SMALL, chunkCount: 1 })
    const disk = new MemoryDisk(content)
    const log = await openLog(disk)
    const judge = await dropping(await readAll(log), 0.8)
    await rewriteChunk(log, log.chunks.all[0]!, { judge: judge.judge })
    const files = disk.snapshot()
    const bytes = new Uint8Array(files.get(`${DIRECTORY}/000000.chunk`)!)
    bytes[bytes.length - 20]! ^= 1
    const alone = new MemoryDisk(new Map([[`${DIRECTORY}/000000.chunk`, bytes]]))
    await expect(findLog(alone, DIRECTORY, 'write')).rejects.toThrow(CorruptLogError)
  })
})

describe('readers', () => {
  test('in mid-read of a chunk that is replaced get the old records or the survivors, and the old file is closed in the end', async () => {
    const content = await contentOf({ chunkSizeBytes: 65_536, chunkCount: 2, maxDataSize: 300 })
    let mixed = 0
    for (let round = 0; round < 20; round++) {
      const disk = new SimulatedDisk({ seed: `${SEED}-${round}`, shuffle: true, content })
      const log = await openLog(disk)
      const before = await readAll(log)
      const judge = await dropping(before, 0.7)
      let isDone = false
      const scavenging = new Scavenger(log).run({ judge: judge.judge }).finally(() => {
        isDone = true
      })
      const known = new Map(before.map(told => [told.position, told]))
      const readOn = async (): Promise<void> => {
        do {
          const found = events(await readAll(log, 0, 3000))
          const kept = events(before).filter(record => !judge.drops(record))
          const positions = new Set(found.map(({ position }) => position))
          expect(kept.every(({ position }) => positions.has(position))).toBe(true)
          for (const told of found) if (told.body !== null) expect(told).toEqual(known.get(told.position))
          if (found.length !== events(before).length) mixed++
        } while (!isDone)
      }
      const readEach = async (): Promise<void> => {
        for (const { position } of events(before)) {
          const place = await log.reader.loadRecord(position as LogPosition, log.end)
          const told = place === null ? null : tellAll({ window: place.window, offsets: [place.offset], next: log.end })[0]!
          if (told !== null) expect(told.position).toBe(position)
          else expect(judge.drops(known.get(position)!)).toBe(true)
        }
      }
      await Promise.all([scavenging, readOn(), readOn(), readEach()])
      await vi.waitFor(() => expect(disk.openPaths.length).toBe(log.chunks.all.length))
      await log.chunks.close()
      expect(disk.openPaths).toEqual([])
    }
    expect(mixed).toBeGreaterThan(0)
  }, 60_000)

  test('that hold the old file go on with it until they let go', async () => {
    const disk = new SimulatedDisk({ seed: SEED, content: await contentOf(SMALL) })
    const log = await openLog(disk)
    const old = log.chunks.all[0]!.retain()
    const openCount = disk.openPaths.length
    const before = Buffer.alloc(old.footer!.dataSize)
    await old.read(before, 0)
    const judge = await dropping(await readAll(log), 0.6)
    const { replacement } = await rewriteChunk(log, old, { judge: judge.judge })
    expect(log.chunks.all[0]).toBe(replacement)
    const again = Buffer.alloc(before.length)
    await old.read(again, 0)
    expect(again.equals(before)).toBe(true)
    expect(disk.openPaths.length).toBe(openCount + 1)
    old.release()
    await vi.waitFor(() => expect(disk.openPaths.length).toBe(openCount))
  })

  test('find nothing of the old file in the block cache', async () => {
    const log = await openLog(new MemoryDisk(await contentOf({ chunkSizeBytes: 1 << 18, chunkCount: 1, maxDataSize: 900 })))
    const before = await readAll(log)
    for (const { position } of events(before)) await log.reader.loadRecord(position as LogPosition, log.end)
    const judge = await dropping(before, 0.5)
    await new Scavenger(log).run({ judge: judge.judge })
    const end = log.chunks.all[0]!.end
    for (const record of events(before).filter(({ position }) => position < end)) {
      const place = log.reader.recordInMemory(record.position as LogPosition)
      expect(place).toBe(null)
    }
  })
})

describe('a scavenge', () => {
  test('that drops an event leaves no byte of its data, metadata or id in any chunk, also after a reopen', async () => {
    const disk = new SimulatedDisk({ seed: SEED })
    const store = await rooms(disk, { chunkSizeBytes: 4096, clock: stillClock })
    const id = '0193b7c0-1234-7abc-8def-0123456789ab'
    await store.append('people', [
      { type: 'Met', data: 'MARKER-data', metadata: { note: 'MARKER-metadata' }, id },
      { type: 'Met', data: 'kept' },
    ])
    for (let turn = 0; turn < 20; turn++) await store.append('others', { type: 'Filler', data: new Uint8Array(400) })
    await store.close()
    const log = await openLog(disk)
    const told = await readAll(log)
    const isMarked = ({ stream, revision }: Told) => stream === 'people' && revision === 0
    const marks = ['MARKER', Buffer.from(id.replaceAll('-', ''), 'hex').toString('latin1')]
    const found = () =>
      marks.map(mark =>
        [...disk.snapshot()].some(([path, bytes]) => path.endsWith('.chunk') && Buffer.from(bytes).includes(mark, 0, 'latin1')),
      )
    expect(found()).toEqual([true, true])
    await new Scavenger(log).run({ judge: new DroppingJudge(told, isMarked).judge })
    expect(found()).toEqual([false, false])
    await log.chunks.close()
    expect((await readAll(await openLog(disk))).some(isMarked)).toBe(false)
    expect(found()).toEqual([false, false])
  })

  test('that is called off stops between two reads and leaves nothing unfinished', async () => {
    const disk = new SimulatedDisk({ seed: SEED, content: await contentOf(SMALL) })
    const log = await openLog(disk)
    const judge = await dropping(await readAll(log), 0.6)
    const controller = new AbortController()
    const onReplaced = () => controller.abort(new Error('called off'))
    await expect(new Scavenger(log).run({ judge: judge.judge, signal: controller.signal, onReplaced })).rejects.toThrow(
      'called off',
    )
    expect(log.chunks.all.map(({ isCompact }) => isCompact)).toEqual([true, ...log.chunks.all.slice(1).map(() => false)])
    expect((await disk.list(DIRECTORY)).filter(name => name.endsWith('.tmp'))).toEqual([])
  })
})
