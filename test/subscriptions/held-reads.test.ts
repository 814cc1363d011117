import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { appendEach, openStore, order, orders, rejectionOf } from '../store/words.ts'
import { stillClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

/** A store whose events are in files alone. */
async function reopenedStore() {
  const disk = new SimulatedDisk()
  const first = await openStore(disk)
  await appendEach(first, 's', orders(5))
  await first.close()
  // Without timers nothing moves by itself: whoever misses an event waits for ever.
  return { disk, store: await openStore(disk, { clock: stillClock }) }
}

describe('while a read takes its time,', () => {
  test('an event that comes meanwhile is not missed', async () => {
    const { disk, store } = await reopenedStore()
    const other = await openStore(new MemoryDisk(disk.snapshot()))
    const { position: end } = await other.append('s', order(6))
    await other.close()
    const held = disk.hold('read')
    // The last byte of the log is amid a record: the reader looks for the next one, and finds the end.
    const next = store.subscribe({ from: end - 1 }).next()
    await held.reached
    const { position } = await store.append('s', order(6))
    held.release()
    expect((await next).value?.position).toBe(position)
    await store.close()
  })

  test('a subscription still ends at once', async () => {
    for (const how of ['signal', 'return'] as const) {
      const { disk, store } = await reopenedStore()
      const held = disk.hold('read')
      const controller = new AbortController()
      const subscription = store.subscribe({ signal: controller.signal })
      const next = subscription.next()
      await held.reached
      const reason = new Error('enough')
      if (how === 'signal') controller.abort(reason)
      else await subscription.return()
      if (how === 'signal') expect(await rejectionOf(next)).toBe(reason)
      else expect(await next).toMatchObject({ done: true })
      held.release()
      await store.close()
    }
  })

  test('or fails, those who wait for it are told; the next subscription reads again', async () => {
    const { disk, store } = await reopenedStore()
    disk.failNext({ op: 'read', error: 'EIO' })
    const next = store.subscribe().next()
    expect(await rejectionOf(next)).toMatchObject({ code: 'READ_FAILED' })
    expect((await store.subscribe().next()).value).toMatchObject({ revision: 0 })
    await store.close()
  })

  test('or fails, the members of a group are told', async () => {
    const { disk, store } = await reopenedStore()
    disk.failNext({ op: 'read', path: '.chunk', error: 'EIO', times: 'forever' })
    const group = store.group('workers')
    const member = group.join()
    expect(await rejectionOf(member.next())).toMatchObject({ code: 'READ_FAILED' })
    expect(await rejectionOf(group.join().next())).toMatchObject({ code: 'READ_FAILED' })
    await store.close()
  })
})
