import { describe, expect, test } from 'vitest'
import { readForwards, rooms } from '../log/scenes.ts'
import { order, orders } from '../store/words.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

type Store = Awaited<ReturnType<typeof rooms>>

/** What the writer says when it has done so: null, or why it could not. */
function complete(store: Store): Promise<unknown> {
  return new Promise(done => {
    store.writing!.writer.queue.push({ kind: 'complete', size: 0, isFlushable: false, done })
  })
}

describe('the message to complete the active chunk', () => {
  test('completes it though it is not full, behind the appends in front of it and before those behind it', async () => {
    const store = await rooms(new SimulatedDisk(), { clock: new ManualClock() })
    const before = store.append('s', orders(3))
    const completing = complete(store)
    const behind = store.append('s', order(3))
    expect(await completing).toBe(null)
    const [first, active] = store.chunks.all
    expect(store.chunks.all.length).toBe(2)
    expect(first!.isComplete).toBe(true)
    expect((await before).position).toBeLessThan(first!.end)
    expect((await behind).position).toBe(active!.firstRecord)
    const end = store.chaser.published.position
    expect((await readForwards(store.reader, 0, end, 1 << 20)).filter(({ type }) => type === 1).length).toBe(4)
    await store.close()
  })

  test('leaves an empty chunk as it is', async () => {
    const store = await rooms(new SimulatedDisk(), { clock: new ManualClock() })
    expect(await complete(store)).toBe(null)
    expect(store.chunks.all.length).toBe(1)
    await store.append('s', order(0))
    expect(await complete(store)).toBe(null)
    expect(await complete(store)).toBe(null)
    expect(store.chunks.all.length).toBe(2)
    await store.close()
  })

  test('is told when the disk is too full for the next chunk, and appends go on in this one', async () => {
    const disk = new SimulatedDisk()
    const store = await rooms(disk, { clock: new ManualClock() })
    await store.append('s', order(0))
    disk.failNext({ op: 'write', path: '000001', error: 'ENOSPC' })
    expect(await complete(store)).toMatchObject({ code: 'DISK_FULL' })
    expect(store.chunks.all.length).toBe(1)
    await store.append('s', order(1))
    expect(await complete(store)).toBe(null)
    await store.close()
  })

  test('is told when the writer fails over it', async () => {
    const disk = new SimulatedDisk()
    const store = await rooms(disk, { clock: new ManualClock() })
    await store.append('s', order(0))
    disk.failNext({ op: 'datasync', path: '000000', error: 'EIO' })
    expect(await complete(store)).toMatchObject({ code: 'EIO' })
    expect(store.writing!.writer.failure).toBeDefined()
    await store.close()
  })
})
