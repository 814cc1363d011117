import { describe, expect, test } from 'vitest'
import { MAX_UNWRITTEN_SIZE, MIB, PROOF_DELAY_MS } from '../../src/core/limits.ts'
import { type OpenRooms, rooms } from '../log/scenes.ts'
import { openStore, order, rejectionOf, sized } from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { SyncsInFlight } from './syncs-in-flight.ts'

function complete(store: OpenRooms): Promise<unknown> {
  return new Promise(done => {
    store.writing!.writer.queue.push({ kind: 'complete', size: 0, isFlushable: false, done })
  })
}

describe('when the disk fails in the flush before a roll-over', () => {
  test('the append that needed the room is settled like the one before it, and the chunk stays', async () => {
    const disk = new SimulatedDisk()
    const store = await rooms(disk, { chunkSizeBytes: 4096, clock: new ManualClock() })
    disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
    const appends = [store.append('s', sized(2000)), store.append('s', sized(3000))].map(rejectionOf)
    expect((await Promise.all(appends)).map(({ code }) => code)).toEqual(['WRITER_FAILED', 'WRITER_FAILED'])
    expect(store.chunks.all.length).toBe(1)
    await store.close()
  })

  test('whoever waits to complete the chunk is told, whoever waits for the end is let go', async () => {
    const disk = new SimulatedDisk()
    const store = await rooms(disk, { clock: new ManualClock() })
    const fault = disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
    const append = rejectionOf(store.append('s', order(0)))
    const completing = [complete(store), complete(store)]
    await store.writing!.writer.stop()
    expect(await Promise.all(completing)).toEqual([
      expect.objectContaining({ code: 'EIO' }),
      expect.objectContaining({ code: 'EIO' }),
    ])
    expect(await append).toMatchObject({ code: 'WRITER_FAILED', outcome: 'unknown' })
    expect(fault.fired).toBe(1)
    await store.close()
  })
})

test('when the disk fails in the flush before a close, the append is settled, no proof is written, and the close ends', async () => {
  const disk = new SimulatedDisk()
  const store = await rooms(disk, { clock: new ManualClock() })
  disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
  const append = rejectionOf(store.append('s', order(0)))
  await store.writing!.writer.stop()
  expect(await append).toMatchObject({ code: 'WRITER_FAILED', outcome: 'unknown' })
  expect(disk.callCount('writeDurably')).toBe(1)
  await store.close()
})

test('a close waits for the flush that was under way when the writer failed, and nothing follows it', async () => {
  const disk = new SimulatedDisk()
  const store = await rooms(disk, { clock: new ManualClock() })
  const { writer } = store.writing!
  const flush = disk.hold('writeDurably', { path: '.chunk' })
  const first = rejectionOf(store.append('s', sized(5000)))
  await flush.reached
  const second = rejectionOf(store.append('s', order(1)))
  writer.fail(new Error('the chaser met damage'))
  expect(await Promise.all([first, second])).toMatchObject([{ code: 'WRITER_FAILED' }, { code: 'WRITER_FAILED' }])
  let isClosed = false
  const closed = store.close().then(() => {
    isClosed = true
  })
  await settle()
  expect(isClosed).toBe(false)
  const calls = disk.callCount('writeDurably') + disk.callCount('datasync')
  flush.release()
  await closed
  expect(disk.callCount('writeDurably') + disk.callCount('datasync')).toBe(calls)
  expect(disk.snapshot().get('/data/000000.chunk')!.length, 'no zeros are put ahead of it').toBe(256 * 1024)
  expect(disk.openPaths).toEqual([])
})

test.each([
  'writeDurably',
  'truncate',
  'open',
] as const)('a close waits for the roll-over that was under way when the writer failed, at its %s, and works in the directory no more', async op => {
  const disk = new SimulatedDisk()
  const store = await rooms(disk, { chunkSizeBytes: 4096, clock: new ManualClock() })
  const { writer } = store.writing!
  const held = disk.hold(op, { path: '.chunk' })
  // Behind it, the file of the next chunk is due.
  const append = Promise.allSettled([store.append('s', sized(3400))])
  const completing = complete(store)
  await held.reached
  writer.fail(new Error('the chaser met damage'))
  let isClosed = false
  const closed = store.close().then(() => {
    isClosed = true
  })
  await settle()
  expect(isClosed).toBe(false)
  held.release()
  await Promise.all([append, completing, closed])
  const calls = disk.callCount()
  await settle()
  expect(disk.callCount(), 'calls behind the close').toBe(calls)
  expect(disk.openPaths).toEqual([])
})

test('the first failure counts: what goes wrong behind it is not told again', async () => {
  const store = await rooms(new SimulatedDisk(), { clock: new ManualClock() })
  const { writer } = store.writing!
  const [first, second] = [new Error('first'), new Error('second')]
  writer.fail(first)
  writer.fail(second)
  expect(writer.failure).toEqual({ cause: first })
  expect(await rejectionOf(store.append('s', order(0)))).toMatchObject({ code: 'WRITER_FAILED', cause: first })
  await store.close()
})

describe('the proof of an idle writer', () => {
  test('waits while a roll-over is under way', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { chunkSizeBytes: 4096, clock })
    await store.append('s', sized(2000))
    const rollOver = disk.hold('truncate')
    const append = store.append('s', sized(3000))
    await rollOver.reached
    const writes = disk.callCount('writeDurably')
    clock.advance(PROOF_DELAY_MS)
    await settle()
    expect(disk.callCount('writeDurably')).toBe(writes)
    rollOver.release()
    expect((await append).position).toBe(4096 + 128)
    await store.close()
  })

  test('is made later when its time comes while the loop is held', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    await store.append('s', order(0))
    disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'ENOSPC' })
    const undo = disk.hold('truncate')
    const refused = rejectionOf(store.append('s', order(1)))
    await undo.reached
    clock.advance(PROOF_DELAY_MS)
    undo.release()
    expect(await refused).toMatchObject({ code: 'DISK_FULL' })
    const writes = disk.callCount('writeDurably')
    clock.advance(PROOF_DELAY_MS)
    await settle()
    expect(disk.callCount('writeDurably')).toBe(writes + 1)
    await store.close()
  })

  test('that finds the disk full is left out, and appends go on where they were', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    const first = await store.append('s', order(0))
    const fault = disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'ENOSPC', partialBytes: 10 })
    clock.advance(PROOF_DELAY_MS)
    await settle()
    expect(fault.fired).toBe(1)
    const second = await store.append('s', order(1))
    expect(second.position - first.position).toBeLessThan(100)
    await store.close()
    expect((await openStore(disk)).recovery).toMatchObject({ clean: true, events: 2 })
  })
})

test("durability 'memory': behind more than 32 MiB that are not written the writer waits for the disk", async () => {
  const disk = new SimulatedDisk()
  const store = await openStore(disk, { durability: 'memory', clock: new ManualClock() })
  const write = disk.hold('write', { path: '.chunk' })
  const appends = Array.from({ length: 36 }, () => store.append('s', sized(MIB)))
  await write.reached
  await settle(200)
  expect(store.stats().writer.bytes).toBeGreaterThan(MAX_UNWRITTEN_SIZE)
  expect(store.stats().writer.appends).toBeLessThan(36)
  write.release()
  await Promise.all(appends)
  expect(store.stats().writer.appends).toBe(36)
  await store.close()
})

/** A millisecond goes by with each slice that the writer takes. */
class SlicesClock extends ManualClock {
  override now(): number {
    this.advance(1)
    return super.now()
  }
}

test("durability 'memory': a flush that falls due in the turn in which the writer begins to wait writes nothing twice", async () => {
  // In slices of 1 MiB the bound is met in the 34th turn; around it, a flush is due for the first time.
  for (let flushDelayMs = 31; flushDelayMs <= 35; flushDelayMs++) {
    const disk = new SyncsInFlight()
    const store = await openStore(disk, { durability: 'memory', clock: new SlicesClock(), flushDelayMs })
    await Promise.all(Array.from({ length: 40 }, () => store.append('s', sized(MIB))))
    await store.close()
    expect(disk.overlaps, `due after ${flushDelayMs} ms`).toBe(0)
  }
})

test("durability 'os': the hint of the active chunk is not written for what no sync has made durable", async () => {
  const disk = new SimulatedDisk()
  const store = await openStore(disk, { durability: 'os', clock: new ManualClock() })
  for (let turn = 0; turn < 6; turn++) await store.append('s', sized(MIB))
  await settle()
  expect([...disk.snapshot().keys()].filter(path => path.endsWith('/active'))).toEqual([])
  await store.close()
  expect([...disk.snapshot().keys()].filter(path => path.endsWith('/active')).length).toBe(1)
})
