import { dirname } from 'node:path'
import { describe, expect, test } from 'vitest'
import { CorruptLogError, InvalidArgumentError } from '../../src/core/errors.ts'
import { MIB } from '../../src/core/limits.ts'
import { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { backupLog } from '../../src/log/backup.ts'
import { findLog } from '../../src/log/find-log.ts'
import { Scavenger } from '../../src/scavenge/scavenger.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { DroppingJudge, events, type FillOptions, fill, type OpenLog, openLog, readAll } from '../scavenge/scenes.ts'
import { appendEach, DIRECTORY, orders, rejectionOf, sized } from '../store/words.ts'
import { powerCut } from '../support/crash-states.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { rooms } from './scenes.ts'

const SEED = process.env['SEED'] ?? '1'
const OPTIONS: FillOptions = { chunkSizeBytes: 16_384, chunkCount: 4, maxDataSize: 300 }
const COPY = '/copy'

/** What is in the copy, as a store of its own in the place of the first. */
async function restored(disk: MemoryDisk | SimulatedDisk): Promise<MemoryDisk> {
  const files = [...disk.snapshot()].filter(([path]) => path.startsWith(`${COPY}/`))
  return new MemoryDisk(new Map(files.map(([path, bytes]) => [path.replace(COPY, DIRECTORY), bytes])))
}

async function filled(disk: MemoryDisk | SimulatedDisk = new MemoryDisk()): Promise<OpenLog> {
  await fill(disk, new Random(`${SEED} backup`), OPTIONS)
  return openLog(disk)
}

async function positionsIn(store: EventStore): Promise<number[]> {
  const positions: number[] = []
  for await (const { position } of store.readAll()) positions.push(position)
  return positions
}

describe('a backup', () => {
  test('of a log at rest reads like the log, byte for byte of each record', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    const { position, chunks, bytes } = await backupLog(disk, log.chunks, log.end, COPY)
    expect(position).toBe(log.end)
    expect(chunks).toBe(log.chunks.all.length)
    const copy = await restored(disk)
    const copied = [...copy.snapshot()].filter(([path]) => path.endsWith('.chunk'))
    expect(copied.reduce((sum, [, file]) => sum + file.length, 0)).toBe(bytes)
    expect(await readAll(await openLog(copy))).toEqual(await readAll(log))
  })

  test('can be written to as any store', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    await backupLog(disk, log.chunks, log.end, COPY)
    const store = await EventStore.openOn(disk, COPY, { clock: stillClock })
    const positions = await positionsIn(store)
    const { position } = await store.append('another', { type: 'Later', data: 1 })
    const records = await readAll(log)
    expect(positions.length).toBeGreaterThan(0)
    expect(positions).toEqual(events(records).map(record => record.position))
    expect(position).toBeGreaterThan(records.at(-1)!.position)
    await store.close()
    const again = await EventStore.openOn(disk, COPY, { clock: stillClock })
    expect(await positionsIn(again)).toEqual([...positions, position])
    await again.close()
  })

  test('can be read without being written to: it has all that was acknowledged, the last group too', async () => {
    const disk = new SimulatedDisk({ seed: SEED })
    const store = await EventStore.openOn(disk, DIRECTORY, { clock: stillClock })
    await appendEach(store, 's', orders(100))
    await store.backup(COPY)
    const copy = await EventStore.openOn(disk, COPY, { readOnly: true, clock: stillClock })
    expect(await copy.head('s')).toBe(99)
    await copy.close()
    await store.close()
  })

  test('into an empty directory syncs its name before it copies: who made it may have been killed before that', async () => {
    const disk = new SimulatedDisk({ seed: SEED })
    const log = await filled(disk)
    await disk.makeDirectory(COPY)
    const before = disk.log.length
    await backupLog(disk, log.chunks, log.end, COPY)
    const [first] = disk.log.slice(before).filter(({ kind }) => kind === 'create' || kind === 'syncDirectory')
    expect(first).toMatchObject({ kind: 'syncDirectory', directory: dirname(COPY) })
  })

  test('of an empty store is an empty store', async () => {
    const disk = new MemoryDisk()
    await (await rooms(disk, { clock: stillClock })).close()
    const log = await openLog(disk)
    await backupLog(disk, log.chunks, log.end, COPY)
    expect(await readAll(await openLog(await restored(disk)))).toEqual(await readAll(log))
  })

  test(`at random moments under load holds everything acknowledged when it began, and is a prefix (seed ${SEED})`, async () => {
    const random = new Random(`${SEED} load`)
    let backupCount = 0
    for (let round = 0; backupCount < 100; round++) {
      const disk = new SimulatedDisk({ seed: `${SEED}-${round}`, shuffle: true })
      const store = await rooms(disk, { chunkSizeBytes: 4096 })
      const { chunks } = store
      const acked: number[] = []
      const copies: { flushed: number; found: number[] }[] = []
      let isDone = false
      const load = async (stream: string) => {
        for (let turn = 0; turn < 40; turn++) {
          const { position } = await store.append(stream, { type: 'Loaded', data: random.bytes(random.int(300)) })
          acked.push(position)
        }
      }
      const loading = Promise.all(['a', 'b', 'c'].map(load)).finally(() => {
        isDone = true
      })
      for (let turn = 0; !isDone; turn++) {
        for (let wait = random.int(6); wait > 0; wait--) await new Promise(resolve => setImmediate(resolve))
        const before = [...acked]
        const flushed = store.writing!.writer.flushed.position
        const directory = `${COPY}-${turn}`
        await backupLog(disk, chunks, flushed, directory)
        const copied = [...disk.snapshot()].filter(([path]) => path.startsWith(`${directory}/`))
        const copy = new MemoryDisk(new Map(copied.map(([path, bytes]) => [path.replace(directory, DIRECTORY), bytes])))
        const found = (await readAll(await openLog(copy))).map(({ position }) => position)
        for (const position of before) expect(found).toContain(position)
        backupCount++
        copies.push({ flushed, found })
      }
      await loading
      await store.close()
      const whole = (await readAll(await openLog(disk))).map(({ position }) => position)
      for (const { flushed, found } of copies) expect(found).toEqual(whole.filter(position => position < flushed))
    }
    console.log(`backups under load: ${backupCount}, SEED=${SEED}`)
  })

  test('that begins before a scavenge holds what was there then, though chunks are replaced meanwhile', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    const before = await readAll(log)
    const backup = backupLog(disk, log.chunks, log.end, COPY)
    const judge = new DroppingJudge(before, () => true)
    const { chunksReplaced } = await new Scavenger(log).run({ judge: judge.judge })
    expect(chunksReplaced).toBe(4)
    await backup
    expect(await readAll(await openLog(await restored(disk)))).toEqual(before)
  })

  test('of compact chunks holds what they hold', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    const random = new Random('half')
    await new Scavenger(log).run({ judge: async batch => Uint8Array.from(batch.offsets, () => random.int(2)) })
    const left = await readAll(log)
    await backupLog(disk, log.chunks, log.end, COPY)
    expect(await readAll(await openLog(await restored(disk)))).toEqual(left)
  })

  test('into a directory that is not empty is refused, and leaves it as it is', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    const before = disk.snapshot()
    expect(await rejectionOf(backupLog(disk, log.chunks, log.end, DIRECTORY))).toBeInstanceOf(InvalidArgumentError)
    expect(disk.snapshot()).toEqual(before)
  })

  test('that is called off between any two pieces leaves no store', async () => {
    for (let pieces = 1; pieces <= 9; pieces++) {
      const disk = new MemoryDisk()
      const log = await filled(disk)
      const controller = new AbortController()
      let done = 0
      const onProgress = () => {
        if (++done === pieces) controller.abort(new Error('called off'))
      }
      await expect(backupLog(disk, log.chunks, log.end, COPY, { onProgress, signal: controller.signal })).rejects.toThrow(
        'called off',
      )
      await expect(findLog(await restored(disk), DIRECTORY, 'read')).rejects.toThrow(CorruptLogError)
    }
  })

  test('of a damaged chunk fails, and copies no damage', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    const file = await disk.open(`${DIRECTORY}/000001.chunk`, 'write')
    await file.write(Buffer.from('rotten'), 5000)
    const error = await rejectionOf(backupLog(disk, log.chunks, log.end, COPY))
    expect(error).toBeInstanceOf(CorruptLogError)
  })

  test('of an active chunk that has rotted since it was opened fails: its records are checked', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    const active = await disk.open(log.chunks.active.path, 'write')
    await active.write(Buffer.from('rotten'), 200)
    const error = await rejectionOf(backupLog(disk, log.chunks, log.end, COPY))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', found: expect.stringMatching(/^no record/) })
    expect((await disk.list(COPY)).includes('000000.chunk')).toBe(false)
  })

  test('of a file that has become shorter fails, and says by how much', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    await (await disk.open(`${DIRECTORY}/000002.chunk`, 'write')).truncate(1000)
    const error = await rejectionOf(backupLog(disk, log.chunks, log.end, COPY))
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', found: expect.stringMatching(/^the file ends \d+ bytes early/) })
  })

  test('into a directory that can not be listed fails with what the system says', async () => {
    const disk = new SimulatedDisk({ seed: SEED })
    const log = await filled(disk)
    disk.failNext({ op: 'list', error: 'EACCES' })
    expect(await rejectionOf(backupLog(disk, log.chunks, log.end, COPY))).toMatchObject({ code: 'EACCES' })
  })

  test('of a large chunk is synced on the way, piece by piece, and takes records of any size', async () => {
    const disk = new SimulatedDisk({ seed: SEED })
    const store = await rooms(disk, { chunkSizeBytes: 16 * MIB, clock: stillClock })
    for (const size of [3 * MIB, 100, 2 * MIB]) await store.append('s', sized(size))
    await store.close()
    const log = await openLog(disk)
    const syncs = disk.callCount('datasync')
    await backupLog(disk, log.chunks, log.end, COPY)
    // Twice for the chunk, and for the hint.
    expect(disk.callCount('datasync') - syncs).toBe(3)
    expect(await readAll(await openLog(await restored(disk)))).toEqual(await readAll(log))
  })

  test('is durable when it resolves: nothing of it is lost with the power', async () => {
    const disk = new SimulatedDisk({ seed: SEED })
    const log = await filled(disk)
    await backupLog(disk, log.chunks, log.end, COPY)

    const copy = await restored(powerCut(disk))
    expect(await readAll(await openLog(copy))).toEqual(await readAll(log))
  })

  test('says how far it is', async () => {
    const disk = new MemoryDisk()
    const log = await filled(disk)
    const steps: number[] = []
    let total = 0
    const { bytes } = await backupLog(disk, log.chunks, LogPosition.of(log.end), COPY, {
      onProgress: ({ bytesCopied, bytesTotal }) => {
        steps.push(bytesCopied)
        total = bytesTotal
      },
    })
    expect(steps).toEqual([...steps].sort((a, b) => a - b))
    expect(steps.at(-1)).toBe(total)
    expect(total).toBe(bytes)
  })
})
