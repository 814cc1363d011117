import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/index.ts'
import { Journals } from '../../src/journals/journals.ts'
import { order, rejectionOf, upTo, withStore } from '../store/words.ts'
import { CrashModel, powerCut } from '../support/crash-states.ts'
import { MortalDisk } from '../support/mortal-disk.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { exportTo, filesOn, freshExport, JOURNALS } from './scenes.ts'

const LONG_NAME = 'n'.repeat(300)

/** Some events for some streams, in turns; the journals are brought up to date after each. */
async function writeInTurns(disk: Disk, store: EventStore, turns: number): Promise<void> {
  const journals = await Journals.openOn(disk, store, JOURNALS)
  for (const turn of upTo(turns)) {
    await store.append(`order-${turn % 2}`, [order(turn), order(turn + 1)])
    if (turn === 1) await store.append(LONG_NAME, order(turn))
    await journals.catchUp()
  }
  await journals.close()
}

test('journals that begin in a directory that was there sync its name first: who made it may have been killed before that', async () => {
  await withStore({}, async store => {
    const disk = new SimulatedDisk()
    await disk.makeDirectory(JOURNALS)
    const before = disk.log.length
    await exportTo(disk, store)
    const names = disk.log.slice(before).filter(({ kind }) => kind === 'syncDirectory' || kind === 'rename')
    expect(names[0]).toMatchObject({ kind: 'syncDirectory', directory: dirname(JOURNALS) })
  })
})

describe('after a crash', () => {
  test('at any moment, with any of the writes in flight lost, torn or kept, the next run gives what a fresh export does', async () => {
    await withStore({}, async store => {
      const disk = new SimulatedDisk()
      await writeInTurns(disk, store, 4)
      const expected = await freshExport(store)
      const model = new CrashModel(disk, { exhaustiveLimit: 4, damagedPerSubset: 1, randomCount: 12, sampleLimit: 8 })
      let mended = 0
      for (const state of model.states()) {
        const what = `state ${state.point}/${state.ordinal}: ${state.describe()}`
        const journals = await Journals.openOn(state.disk, store, JOURNALS)
        mended += journals.mendedCount
        await journals.catchUp()
        await journals.close()
        expect(filesOn(state.disk.snapshot()), what).toEqual(expected)
      }
      expect(model.counts.distinct).toBeGreaterThan(100)
      expect(mended).toBeGreaterThan(10)
    })
  })

  test('the journals that it left can be verified, as they are', async () => {
    await withStore({}, async store => {
      const disk = new SimulatedDisk()
      await writeInTurns(disk, store, 3)
      // A kill, not a power cut: what was written is there, and of what is being written all, or the first half.
      for (const point of upTo(2 * disk.log.length)) {
        const { initial, sectorSize } = disk
        const log = disk.log.slice(0, (point >> 1) + 1)
        const last = log.at(-1)!
        if (point % 2 === 1 && last.kind === 'write')
          log[log.length - 1] = { ...last, bytes: last.bytes.subarray(0, last.bytes.length >> 1) }
        const left = powerCut({ initial, log, sectorSize }, 'all')
        if (!left.snapshot().has(`${JOURNALS}/checkpoint`)) continue
        const report = await Journals.verifyOn(left, store, JOURNALS, {})
        expect(report.differences, `before entry ${point}`).toEqual([])
      }
    })
  })

  test('of the process at any of its calls, the next run mends', async () => {
    await withStore({}, async store => {
      for (const nth of upTo(60)) {
        const below = new MemoryDisk()
        const mortal = new MortalDisk(below)
        let calls = 0
        const call = mortal.call.bind(mortal)
        mortal.call = async begin => {
          if (calls++ === nth) void mortal.kill()
          return call(begin)
        }
        void writeInTurns(mortal, store, 2).catch(() => {})
        await new Promise(resolve => setTimeout(resolve, 5))
        await mortal.kill()
        await exportTo(below, store)
        expect(filesOn(below.snapshot()), `call ${nth}`).toEqual(await freshExport(store))
      }
    })
  })
})

describe('when the disk', () => {
  test.each([
    'write',
    'writeDurably',
    'datasync',
    'rename',
    'syncDirectory',
  ] as const)('fails at a %s, nothing more is written, and the next opener mends', async op => {
    await withStore({}, async store => {
      const disk = new SimulatedDisk()
      const journals = await Journals.openOn(disk, store, JOURNALS)
      await store.append('s', [order(0), order(1)])
      await journals.catchUp()
      await store.append('s', [order(2), order(3)])
      disk.failNext({ op, error: 'EIO', partialBytes: 20 })
      const failure = { code: 'READ_FAILED', message: expect.stringMatching(/^\/journals cannot be written to: .*EIO/) }
      expect(await rejectionOf(journals.catchUp())).toMatchObject(failure)
      expect(await rejectionOf(journals.catchUp())).toMatchObject(failure)
      await journals.close()
      await exportTo(disk, store)
      expect(filesOn(disk.snapshot())).toEqual(await freshExport(store))
      expect(disk.openPaths).toEqual([])
    })
  })
})
