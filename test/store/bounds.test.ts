import { describe, expect, test } from 'vitest'
import type { StoreOptions } from '../../src/store/options.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { openStore, order, orders, rejectionOf, revisions, sized, upTo, withStore } from './words.ts'

/** A store whose first append is held in its flush, so that what comes behind it stays pending. */
async function heldStore(options: StoreOptions) {
  const disk = new SimulatedDisk()
  const store = await openStore(disk, options)
  const held = disk.hold('writeDurably')
  const first = store.append('order-42', order(0))
  await held.reached
  return { store, held, first }
}

describe('more appends than maxPendingAppends', () => {
  test('are refused until acks come', async () => {
    const { store, held, first } = await heldStore({ maxPendingAppends: 3 })
    const second = store.append('order-42', order(1))
    const third = store.append('order-42', order(2))
    const error = await rejectionOf(store.append('order-42', order(3)))
    expect(error).toMatchObject({ code: 'QUEUE_FULL', outcome: 'rejected', retryable: true })
    held.release()
    await Promise.all([first, second, third])
    expect((await store.append('order-42', order(3))).firstRevision).toBe(3)
    await store.close()
  })

  test('counts checks and rejections, too: everything that has not settled', async () => {
    const { store, held, first } = await heldStore({ maxPendingAppends: 3 })
    const check = store.append('order-42', [])
    const rejection = rejectionOf(store.append('order-42', order(1), { expectedRevision: 99 }))
    expect(await rejectionOf(store.append('order-43', order(0)))).toMatchObject({ code: 'QUEUE_FULL' })
    expect(store.stats().pending.appends).toBe(3)
    held.release()
    expect((await Promise.all([first, check, rejection]))[2]).toMatchObject({ code: 'WRONG_EXPECTED_REVISION' })
    expect(store.stats().pending).toEqual({ appends: 0, bytes: 0 })
    await store.close()
  })

  test('of one: appends go one by one', async () => {
    await withStore({ maxPendingAppends: 1 }, async store => {
      for (const number of upTo(5)) {
        const appending = store.append('order-42', order(number))
        expect(await rejectionOf(store.append('order-42', order(99)))).toMatchObject({ code: 'QUEUE_FULL' })
        await appending
      }
      expect(await revisions(store.readStream('order-42'))).toEqual(upTo(5))
    })
  })
})

describe('more bytes than maxPendingBytes', () => {
  test('are refused until acks come', async () => {
    const { store, held, first } = await heldStore({ maxPendingBytes: 10_000 })
    const second = store.append('order-42', sized(6000))
    const error = await rejectionOf(store.append('order-42', sized(6000)))
    expect(error).toMatchObject({ code: 'QUEUE_FULL', retryable: true })
    const small = store.append('order-42', order(2))
    held.release()
    await Promise.all([first, second, small])
    await store.append('order-42', sized(6000))
    await store.close()
  })

  test('in a lone append are let in: otherwise it could never be appended', async () => {
    await withStore({ maxPendingBytes: 1 }, async store => {
      await store.append('order-42', sized(100_000))
      await store.append('order-42', sized(100_000))
      expect(await revisions(store.readStream('order-42'))).toEqual([0, 1])
    })
  })

  test('in an append beside others are not let in', async () => {
    const { store, held, first } = await heldStore({ maxPendingBytes: 1000 })
    expect(await rejectionOf(store.append('order-42', sized(100_000)))).toMatchObject({ code: 'QUEUE_FULL' })
    held.release()
    await first
    await store.append('order-42', sized(100_000))
    await store.close()
  })

  test('count everything that stands in the log: head, names, commit record', async () => {
    const { store, held, first } = await heldStore({})
    const before = store.stats().pending.bytes
    const appending = store.append('order-42', orders(2))
    const payload = 2 * (8 + 'OrderPlaced'.length + JSON.stringify({ number: 0 }).length)
    expect(store.stats().pending.bytes - before).toBe(payload + 2 * 46 + 36)
    held.release()
    await Promise.all([first, appending])
    await store.close()
  })
})

describe('a refusal', () => {
  test('leaves no trace: what was refused can be appended later, in any order', async () => {
    const { store, held, first } = await heldStore({ maxPendingAppends: 1 })
    await rejectionOf(store.append('new', order(0), { expectedRevision: 'no_stream' }))
    held.release()
    await first
    expect((await store.append('new', order(1), { expectedRevision: 'no_stream' })).firstRevision).toBe(0)
    expect(store.stats().index.streams).toBe(2)
    await store.close()
  })

  test('costs nothing: a caller that keeps trying leaves memory and queue as they are', async () => {
    const { store, held, first } = await heldStore({ maxPendingAppends: 1 })
    const refused = await Promise.all(upTo(1000).map(() => rejectionOf(store.append('order-42', order(1)))))
    expect(refused.every(error => error['code'] === 'QUEUE_FULL')).toBe(true)
    expect(store.stats()).toMatchObject({ pending: { appends: 1 }, queue: { length: 0 } })
    held.release()
    await first
    await store.close()
  })
})
