import { describe, expect, test } from 'vitest'
import { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { FlushedHint, readFlushedHint } from '../../src/log/flushed-hint.ts'
import { STORE_ID } from '../format/records.ts'
import { appendEach, DIRECTORY, openStore, order, orders } from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const at = LogPosition.of

async function hintOn(disk: SimulatedDisk | MemoryDisk, clock = new ManualClock()) {
  await disk.makeDirectory(DIRECTORY)
  const hint = await FlushedHint.open(disk, DIRECTORY, STORE_ID, at(128), clock)
  return { hint, clock }
}

describe('the flushed hint', () => {
  test('is none before the first was written', async () => {
    const disk = new MemoryDisk()
    await disk.makeDirectory(DIRECTORY)
    expect(await readFlushedHint(disk, DIRECTORY)).toBe(null)
    await hintOn(disk)
    expect(await readFlushedHint(disk, DIRECTORY)).toBe(null)
  })

  test('is written a moment after a sync: syncs that come close together share one write', async () => {
    const disk = new SimulatedDisk()
    const { hint, clock } = await hintOn(disk)
    for (const position of [200, 300, 400]) hint.advance(at(position))
    await settle()
    expect(disk.callCount('write')).toBe(0)
    clock.advance(3)
    await settle()
    expect(disk.callCount('write')).toBe(1)
    expect(await readFlushedHint(disk, DIRECTORY)).toEqual({ storeId: STORE_ID, position: 400 })
  })

  test('is written seldom while syncs keep coming: each write takes something from the groups', async () => {
    const disk = new SimulatedDisk()
    const { hint, clock } = await hintOn(disk)
    for (let ms = 1; ms <= 100; ms++) {
      hint.advance(at(100 * ms + 128))
      clock.advance(1)
      await settle()
    }
    expect(disk.callCount('write')).toBe(10)
    clock.advance(10)
    await settle()
    expect((await readFlushedHint(disk, DIRECTORY))!.position).toBe(10_128)
  })

  test('is never synced: it costs no flush', async () => {
    const disk = new SimulatedDisk()
    const { hint, clock } = await hintOn(disk)
    for (let turn = 1; turn < 5; turn++) {
      hint.advance(at(100 * turn + 128))
      clock.advance(3)
      await settle()
    }
    await hint.close()
    expect(disk.callCount('datasync') + disk.callCount('writeDurably')).toBe(0)
  })

  test('is written once more when the position moved while it was being written', async () => {
    const disk = new SimulatedDisk()
    const { hint, clock } = await hintOn(disk)
    hint.advance(at(200))
    const held = disk.hold('write')
    clock.advance(3)
    await held.reached
    hint.advance(at(300))
    held.release()
    await settle()
    clock.advance(10)
    await settle()
    expect((await readFlushedHint(disk, DIRECTORY))!.position).toBe(300)
  })

  test('says the last position when it is closed, without waiting', async () => {
    const disk = new MemoryDisk()
    const { hint, clock } = await hintOn(disk)
    hint.advance(at(200))
    await hint.close()
    expect((await readFlushedHint(disk, DIRECTORY))!.position).toBe(200)
    expect(clock.timerCount).toBe(0)
  })

  test('that cannot be written is no error of the store', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    disk.failNext({ op: 'write', path: 'flushed', error: 'EIO', times: 'forever' })
    await appendEach(store, 's', orders(50))
    await store.close()
    const again = await openStore(disk)
    expect(again.recovery).toMatchObject({ events: 50 })
    await again.close()
  })

  test('never says more than what is durable', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    for (let turn = 0; turn < 5; turn++) {
      const held = disk.hold('writeDurably')
      const appending = store.append('s', order(turn))
      await held.reached
      clock.advance(10)
      await settle()
      const position = (await readFlushedHint(disk, DIRECTORY))!.position
      expect(position).toBe(turn === 0 ? 128 : store.lastPosition + 46 + 1 + 11 + 12)
      held.release()
      await appending
    }
    await store.close()
  })

  test('of another store, cut short or garbled is no hint', async () => {
    for (const bytes of [new Uint8Array(0), new Uint8Array(64), Buffer.alloc(63, 1), Buffer.alloc(640, 'TRFLUSHD')]) {
      const disk = new MemoryDisk(new Map([[`${DIRECTORY}/flushed`, bytes]]))
      expect(await readFlushedHint(disk, DIRECTORY)).toBe(null)
    }
  })
})
