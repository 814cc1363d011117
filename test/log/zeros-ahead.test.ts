import { describe, expect, test } from 'vitest'
import { KIB, MIB } from '../../src/core/limits.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { PROOF_RECORD_SIZE } from '../../src/format/log-record.ts'
import { DIRECTORY, openStore, order, orders, rejectionOf, revisions, sized, upTo } from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { operationsOnChunks } from '../support/operation-log.ts'
import { sabotaged } from '../support/sabotage.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const FIRST_RUN = 256 * KIB
const FIRST = `${DIRECTORY}/000000.chunk`
const sizeOf = (disk: SimulatedDisk) => disk.snapshot().get(FIRST)!.length

describe('zeros ahead of the tail', () => {
  test('are there from the first moment: 256 KiB, or the chunk if that is less', async () => {
    for (const [chunkSizeBytes, expected] of [
      [64 * MIB, 256 * 1024],
      [8192, 8192],
    ] as const) {
      const disk = new SimulatedDisk()
      const store = await openStore(disk, { chunkSizeBytes })
      expect(sizeOf(disk)).toBe(expected)
      await store.close()
    }
  })

  test('take a group without a change of the size of the file, in one trip', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('order-42', order(0))
    await settle()
    const size = sizeOf(disk)
    const before = { trips: disk.callCount('writeDurably'), syncs: disk.callCount('datasync'), writes: disk.callCount('write') }
    for (const number of upTo(20)) await store.append('order-42', order(number))
    expect(disk.callCount('writeDurably') - before.trips).toBe(20)
    expect(disk.callCount('datasync')).toBe(before.syncs)
    expect(disk.callCount('write')).toBe(before.writes)
    expect(sizeOf(disk)).toBe(size)
    await store.close()
  })

  test.each([
    ['come in runs no longer than what is left in front of them: a new chunk gets more and more', 20_000, 200, FIRST_RUN],
    ['hold eight groups at least, for a group larger than a run would only wait for it', 60_000, 60, 8 * 60_052],
  ])('%s', async (_, size, count, least) => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    let used = 128
    const runs: { readonly size: number; readonly left: number }[] = []
    for (let number = 0; number < count; number++) {
      const filled = sizeOf(disk)
      await store.append('s', sized(size))
      await settle(40)
      used += 46 + 1 + 5 + size
      if (sizeOf(disk) > filled) runs.push({ size: sizeOf(disk) - filled, left: filled - used })
    }
    for (const { size, left } of runs) expect(size).toBe(Math.max(least, left))
    expect(runs.length).toBeGreaterThan(4)
    await store.close()
  })

  test('are handed over in pieces of 128 KiB: groups go to the file between two of them', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    for (const _ of upTo(60)) {
      await store.append('s', sized(60_000))
      await settle(40)
    }
    await store.close()
    // Groups are written durably, and the footer is not due yet.
    const sizes = operationsOnChunks(disk.log).flatMap(entry => (entry.kind === 'write' ? [entry.bytes.length] : []))
    expect(sizes.shift(), 'the new chunk').toBe(FIRST_RUN)
    expect(Math.max(...sizes)).toBe(128 * KIB)
    expect(sizes.length).toBeGreaterThan(20)
  })

  test('are written, never left as a hole: the file is never extended by a truncation', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { chunkSizeBytes: MIB })
    for (const number of upTo(60)) await Promise.all([store.append('s', sized(20_000)), store.append('s', order(number))])
    await store.close()
    const ends = new Map<number, number>()
    for (const entry of operationsOnChunks(disk.log)) {
      if (entry.kind === 'write' || entry.kind === 'writeDurably') {
        const end = ends.get(entry.inode) ?? 0
        expect(entry.offset, 'a write behind the end would leave a hole').toBeLessThanOrEqual(end)
        ends.set(entry.inode, Math.max(end, entry.offset + entry.bytes.length))
      } else if (entry.kind === 'truncate') {
        expect(entry.size).toBeLessThanOrEqual(ends.get(entry.inode) ?? 0)
        ends.set(entry.inode, entry.size)
      }
    }
  })

  test('are made before they are needed, while nobody waits for them', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const growing = disk.hold('write', { path: '000000.chunk' })
    for (let turn = 0; !growing.isReached && turn < 100; turn++) await store.append('s', sized(5000))
    expect(growing.isReached).toBe(true)
    const before = disk.callCount('writeDurably')
    await store.append('s', order(0))
    expect(disk.callCount('writeDurably')).toBe(before + 1)
    growing.release()
    await store.close()
  })

  test('never overwrite a group that is written at the same time beyond the old zeros', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    const flush = disk.hold('writeDurably')
    const first = store.append('s', order(0))
    await flush.reached
    // The next group begins in the zeros that are left and ends behind them.
    const second = Promise.all([
      store.append('s', sized(150_000)),
      store.append('s', sized(100_000)),
      store.append('s', sized(20_000)),
    ])
    await settle()
    // Of the two writes that follow, one is slow. Whichever it is, the records must win.
    const slow = disk.hold('write', { path: '000000.chunk' })
    flush.release()
    await first
    await settle()
    slow.release()
    await second
    await store.append('s', order(1))
    await settle()
    const left = disk.snapshot()
    await store.close()
    const survivor = await openStore(new SimulatedDisk({ content: left }))
    expect(await revisions(survivor.readStream('s'))).toEqual([0, 1, 2, 3, 4])
    await survivor.close()
  })

  test('that are still on their way never overwrite a group that comes after them', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    const zeros = disk.hold('write', { path: '000000.chunk' })
    let count = 0
    for (; !zeros.isReached && count < 100; count++) await store.append('s', sized(5000))
    expect(zeros.isReached).toBe(true)
    const group = Promise.all([store.append('s', sized(120_000)), store.append('s', sized(100_000))])
    await settle()
    zeros.release()
    await group
    await store.append('s', order(1))
    const left = disk.snapshot()
    await store.close()
    const survivor = await openStore(new SimulatedDisk({ content: left }))
    expect(await revisions(survivor.readStream('s'))).toEqual(upTo(count + 3))
    await survivor.close()
  })

  test('are not made when the disk is full, and the store goes on', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    const full = disk.failNext({ op: 'write', path: '000000.chunk', error: 'ENOSPC' })
    for (let turn = 0; full.fired === 0 && turn < 100; turn++) await store.append('s', sized(5000))
    expect(full.fired).toBe(1)
    expect((await store.append('s', order(0))).lastRevision).toBeGreaterThan(0)
    await store.close()
  })

  test('whose sync fails for lack of room end the writer: that sync may have been for records, and is not told twice', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', order(0))
    const sync = disk.hold('datasync', { path: '000000.chunk' })
    for (let turn = 0; !sync.isReached && turn < 100; turn++) await store.append('s', sized(5000))
    expect(sync.isReached).toBe(true)
    const large = rejectionOf(store.append('s', sized(2 * MIB)))
    await settle()
    sync.fail('ENOSPC')
    expect(await large).toMatchObject({ code: 'WRITER_FAILED', outcome: 'unknown' })
    await store.close()
  })

  test('of a killed process are cut off at the next open: they may be in the same doubt as what it wrote', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', order(0))
    const killed = new SimulatedDisk({ content: disk.snapshot() })
    await store.close()
    expect(sizeOf(killed)).toBe(256 * 1024)
    const reopened = await openStore(killed, { clock: new ManualClock() })
    expect(sizeOf(killed)).toBeLessThan(1024)
    expect(await revisions(reopened.readStream('s'))).toEqual([0])
    await reopened.close()
  })

  test('of a writer that failed are cut off at the next open, though its log was proven before', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    await store.append('s', order(0))
    const sync = disk.hold('datasync', { path: '000000.chunk' })
    for (let turn = 0; !sync.isReached && turn < 100; turn++) await store.append('s', sized(5000))
    clock.advance(100)
    await settle()
    sync.fail('EIO')
    await settle()
    await store.close()
    const again = new SimulatedDisk({ content: disk.snapshot() })
    const reopened = await openStore(again, { clock: new ManualClock() })
    expect(reopened.recovery.clean).toBe(true)
    expect(sizeOf(again)).toBeLessThan(sizeOf(disk))
    await reopened.close()
  })

  test('of more than a first run are given back when the store is closed, and not before', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', sized(5000))
    await settle()
    expect(sizeOf(disk)).toBe(2 * FIRST_RUN)
    const end = 128 + 46 + 1 + 5 + 5000
    await store.close()
    expect(sizeOf(disk)).toBe(end + PROOF_RECORD_SIZE + 256 * 1024)
    const reopened = await openStore(disk, { clock: new ManualClock() })
    expect(reopened.recovery).toMatchObject({ clean: true, truncatedBytes: 0 })
    await reopened.append('s', sized(5000))
    await settle()
    expect(sizeOf(disk)).toBeGreaterThanOrEqual(2 * FIRST_RUN)
    await reopened.close()
  })

  test('that come back, since the close was not durable when the power failed, are the zeros that they were', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', sized(5000))
    await settle()
    const size = sizeOf(disk)
    await store.close()
    const left = disk.snapshot()
    left.set(FIRST, Buffer.concat([left.get(FIRST)!, Buffer.alloc(size - left.get(FIRST)!.length)]))
    const again = new SimulatedDisk({ content: left })
    const reopened = await openStore(again, { clock: new ManualClock() })
    expect(reopened.recovery).toMatchObject({ clean: true, truncatedBytes: 0 })
    expect(sizeOf(again), 'they are used').toBe(size)
    await reopened.append('s', order(1))
    expect(await revisions(reopened.readStream('s'))).toEqual([0, 1])
    await reopened.close()
  })

  test.each([
    'a sync failed',
    'what a full disk refused could not be taken back',
  ])('stay as they are when %s: nothing more is written then', async why => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', sized(5000))
    await settle()
    const size = sizeOf(disk)
    const isFull = why !== 'a sync failed'
    disk.failNext({ op: 'writeDurably', path: '000000.chunk', error: isFull ? 'ENOSPC' : 'EIO' })
    if (isFull) disk.failNext({ op: 'truncate', path: '000000.chunk', error: 'EIO' })
    expect(await rejectionOf(store.append('s', order(1)))).toMatchObject({ code: 'WRITER_FAILED' })
    await store.close()
    expect(sizeOf(disk)).toBe(size)
  })

  test('that a close left are read once by the next open', async () => {
    const memory = new MemoryDisk()
    const store = await openStore(memory)
    await store.append('s', sized(5000))
    await store.close()
    const places: number[] = []
    const seeing = sabotaged(memory, {
      file: file => ({
        read(target, offset) {
          if (file.path === FIRST) places.push(offset)
          return file.read(target, offset)
        },
      }),
    })
    const reopened = await openStore(seeing)
    // The last bytes of the file are looked at for a footer, too.
    const fromTheirBegin = places.filter(place => place > reopened.lastPosition && place < reopened.lastPosition + 10_000)
    expect(fromTheirBegin.length).toBe(1)
    await reopened.close()
  })

  test('that cannot be given back stay, and the store is closed all the same', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', sized(5000))
    await settle()
    const fault = disk.failNext({ op: 'truncate', path: '000000.chunk', error: 'EIO' })
    await store.close()
    expect(fault.fired).toBe(1)
    expect(sizeOf(disk)).toBe(2 * FIRST_RUN)
    const reopened = await openStore(disk, { clock: new ManualClock() })
    expect(reopened.recovery.clean).toBe(true)
    expect(await revisions(reopened.readStream('s'))).toEqual([0])
    await reopened.close()
  })

  test.each([
    600_001, 3_333_333, 10_000_001,
  ])('begin and end at whole bytes behind a group of %i bytes, whose memory fades by halves', async size => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', sized(size))
    for (const number of upTo(30)) {
      await store.append('s', number % 10 === 9 ? sized(250_000) : order(number))
      await settle()
    }
    await store.close()
    const places = operationsOnChunks(disk.log).flatMap(entry => ('offset' in entry ? [entry.offset] : []))
    expect(places.filter(place => !Number.isInteger(place))).toEqual([])
    // Each run goes on where the one before ended: none was written anywhere else.
    const reopened = await openStore(disk, { clock: new ManualClock() })
    expect((await revisions(reopened.readStream('s'))).length).toBe(31)
    await reopened.close()
  })

  test('of groups larger than 256 KiB are not made: such groups grow the file themselves', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    await store.append('s', sized(2 * MIB))
    await settle()
    const size = sizeOf(disk)
    expect(size).toBe(128 + 46 + 1 + 5 + 2 * MIB)
    // Large groups often take turns with small ones.
    await store.append('s', orders(1))
    await settle()
    expect(sizeOf(disk)).toBeLessThan(size + 1024)
    for (let quiet = 0; quiet < 3; quiet++) await store.append('s', orders(1))
    await settle()
    expect(sizeOf(disk)).toBeGreaterThan(size + 64 * 1024)
    await store.close()
  })
})
