import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { all, numbers, openStore, order, orders, rejectionOf, sized, upTo, withStore } from './words.ts'

/** A store whose writer stands still: the flush of the append to `busy` is held. */
async function busyStore(options = {}) {
  const disk = new SimulatedDisk()
  const store = await openStore(disk, options)
  const held = disk.hold('writeDurably')
  const busy = store.append('busy', order(0))
  await held.reached
  return { store, held, busy }
}

describe('an append with a signal that was aborted before', () => {
  test('is rejected with the reason, which says so, and is not written', async () => {
    await withStore({}, async store => {
      const reason = new Error('changed my mind')
      const error = await rejectionOf(store.append('order-42', order(0), { signal: AbortSignal.abort(reason) }))
      expect(error).toBe(reason)
      expect(error).toMatchObject({ outcome: 'rejected', retryable: true })
      expect(await store.exists('order-42')).toBe(false)
    })
  })

  test.each([
    'a text',
    42,
    null,
    Object.freeze(new Error('frozen')),
  ])('is rejected with the reason %s, whatever it is', async reason => {
    await withStore({}, async store => {
      const error = await rejectionOf(store.append('order-42', order(0), { signal: AbortSignal.abort(reason) }))
      expect(error).toBe(reason)
    })
  })

  test('without a reason of its own rejects with an AbortError', async () => {
    await withStore({}, async store => {
      const error = await rejectionOf(store.append('order-42', order(0), { signal: AbortSignal.abort() }))
      expect(error).toMatchObject({ name: 'AbortError', outcome: 'rejected' })
    })
  })
})

describe('an append that is aborted before the writer took it', () => {
  test('is rejected at once and never written', async () => {
    await withStore({}, async store => {
      const controller = new AbortController()
      const appending = rejectionOf(store.append('order-42', order(0), { signal: controller.signal }))
      const next = store.append('order-42', order(1))
      controller.abort()
      expect(await appending).toMatchObject({ name: 'AbortError', outcome: 'rejected' })
      expect(await next).toMatchObject({ firstRevision: 0, position: 128 })
      expect(await numbers(store.readAll())).toEqual([1])
    })
  })

  test.each<[string, object]>([
    ['a field of its own', Object.defineProperty(new Error('mine'), 'outcome', { value: 'mine' })],
    [
      'a getter that throws',
      {
        get outcome(): never {
          throw new Error('mine')
        },
      },
    ],
    ['a proxy that refuses', new Proxy({}, { defineProperty: () => false })],
  ])('is rejected with a reason that cannot take the outcome (%s) all the same', async (_, reason) => {
    await withStore({}, async store => {
      const controller = new AbortController()
      const appending = rejectionOf(store.append('order-42', order(0), { signal: controller.signal }))
      controller.abort(reason)
      expect((await appending) === reason).toBe(true)
    })
  })

  test('does not count as pending for ever, though nothing comes behind it', async () => {
    await withStore({ maxPendingAppends: 2 }, async store => {
      for (let turn = 0; turn < 3; turn++) {
        const controller = new AbortController()
        const appending = rejectionOf(store.append('order-42', order(0), { signal: controller.signal }))
        controller.abort()
        expect(await appending).toMatchObject({ name: 'AbortError' })
        await settle()
      }
      expect(store.stats().pending).toEqual({ appends: 0, bytes: 0 })
      await store.append('order-42', order(1))
    })
  })

  test('while it waited for the next chunk, which could not be made, is done with, too', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { chunkSizeBytes: 4096, maxPendingAppends: 1 })
    const held = disk.hold('rename')
    await store.append('s', sized(3200))
    await held.reached
    const again = disk.hold('rename', { nth: 1 })
    held.fail('EACCES')
    await settle()
    const controller = new AbortController()
    const appending = rejectionOf(store.append('s', sized(2000), { signal: controller.signal }))
    await again.reached
    controller.abort()
    expect(await appending).toMatchObject({ name: 'AbortError', outcome: 'rejected' })
    again.fail('EACCES')
    await settle()
    expect(store.stats().pending.appends).toBe(0)
    expect((await store.append('s', order(1))).firstRevision).toBe(1)
    await store.close()
  })

  test('does not count as the event that a later append expects', async () => {
    await withStore({}, async store => {
      const controller = new AbortController()
      const aborted = rejectionOf(store.append('order-42', order(0), { signal: controller.signal }))
      const next = store.append('order-42', order(1), { expectedRevision: 'no_stream' })
      controller.abort()
      await aborted
      expect((await next).firstRevision).toBe(0)
    })
  })
})

describe('an append that is aborted after the writer took it', () => {
  test('ends the wait with an unknown outcome, and the append goes on', async () => {
    const { store, held, busy } = await busyStore()
    const controller = new AbortController()
    const appending = rejectionOf(store.append('order-42', orders(2), { signal: controller.signal }))
    await settle()
    controller.abort()
    expect(await appending).toMatchObject({ name: 'AbortError', outcome: 'unknown', retryable: true })
    held.release()
    await busy
    await store.append('order-42', order(2))
    expect(await numbers(store.readStream('order-42'))).toEqual([0, 1, 2])
    expect(store.stats().pending.appends).toBe(0)
    await store.close()
  })

  test('with a reason shared by one that was not taken: the reason says the worst, unknown', async () => {
    const { store, held, busy } = await busyStore()
    const controller = new AbortController()
    const { signal } = controller
    const taken = rejectionOf(store.append('order-42', order(0), { signal }))
    await settle()
    const waiting = rejectionOf(store.append('order-42', order(1), { signal }))
    controller.abort()
    // Both promises reject with the same object, so it must be true of both: a retry without ids would append twice.
    expect(await taken).toMatchObject({ outcome: 'unknown' })
    await waiting
    held.release()
    await busy
    await store.append('busy', order(1))
    expect(await numbers(store.readStream('order-42'))).toEqual([0])
    await store.close()
  })

  test('with a signal that is used again afterwards: what the first was told stays true', async () => {
    const { store, held, busy } = await busyStore()
    const controller = new AbortController()
    const { signal } = controller
    const taken = rejectionOf(store.append('order-42', order(0), { signal }))
    await settle()
    controller.abort()
    const error = await taken
    await rejectionOf(store.append('order-42', order(1), { signal }))
    expect(error).toMatchObject({ outcome: 'unknown' })
    held.release()
    await busy
    await store.close()
  })
})

describe('a signal for many', () => {
  test('has one listener for all appends under it, and ends each of them', async () => {
    const { store, held, busy } = await busyStore()
    const controller = new AbortController()
    const { signal } = controller
    const ends = upTo(20).map(n => rejectionOf(store.append(`order-${n % 3}`, order(n), { signal })))
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    controller.abort(new Error('enough'))
    for (const error of await Promise.all(ends)) expect(error.message).toBe('enough')
    held.release()
    await busy
    await store.append('busy', order(1))
    expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    await store.close()
  })

  test('has one listener for all members of groups under it, and takes each of them out', async () => {
    await withStore({}, async store => {
      const controller = new AbortController()
      const { signal } = controller
      const group = store.group('workers')
      const ends = upTo(20).map(() => rejectionOf(group.join({ signal }).next()))
      expect(getEventListeners(signal, 'abort')).toHaveLength(1)
      controller.abort(new Error('enough'))
      for (const error of await Promise.all(ends)) expect(error.message).toBe('enough')
      expect(getEventListeners(signal, 'abort')).toHaveLength(0)
    })
  })
})

describe('an abort that comes too late', () => {
  test('changes nothing', async () => {
    await withStore({}, async store => {
      const controller = new AbortController()
      await store.append('order-42', order(0), { signal: controller.signal })
      controller.abort()
      await settle()
      expect(await numbers(store.readStream('order-42'))).toEqual([0])
    })
  })

  test('finds nobody listening: a signal that lives on holds no settled append', async () => {
    await withStore({}, async store => {
      const controller = new AbortController()
      const added: unknown[] = []
      const { signal } = controller
      const add = signal.addEventListener.bind(signal)
      const remove = signal.removeEventListener.bind(signal)
      signal.addEventListener = (...args: Parameters<typeof add>) => {
        added.push(args[1])
        return add(...args)
      }
      signal.removeEventListener = (...args: Parameters<typeof remove>) => {
        added.splice(added.indexOf(args[1]), 1)
        return remove(...args)
      }
      await Promise.all(orders(10).map(event => store.append('order-42', event, { signal })))
      await rejectionOf(store.append('order-42', order(0), { signal, expectedRevision: 'no_stream' }))
      expect(added).toEqual([])
    })
  })
})

describe('a read with a signal', () => {
  test('that was aborted before rejects with the reason', async () => {
    await withStore({}, async store => {
      await store.append('order-42', orders(3))
      const reason = new Error('enough')
      const signal = AbortSignal.abort(reason)
      expect(await rejectionOf(all(store.readStream('order-42', { signal })))).toBe(reason)
      expect(await rejectionOf(all(store.readAll({ signal })))).toBe(reason)
    })
  })

  test('that is aborted in between ends at the next batch', async () => {
    await withStore({}, async store => {
      for (let turn = 0; turn < 10; turn++) await store.append('order-42', { type: 'Big', data: new Uint8Array(100_000) })
      for (const reading of [store.readStream.bind(store, 'order-42'), store.readAll.bind(store)]) {
        const controller = new AbortController()
        let count = 0
        const error = await rejectionOf(
          (async () => {
            for await (const batch of reading({ signal: controller.signal }).batches()) {
              count += batch.length
              controller.abort()
            }
          })(),
        )
        expect(error.name).toBe('AbortError')
        expect(count).toBeLessThan(10)
      }
    })
  })

  test('that is aborted in between hands out no event more, also of those it has read', async () => {
    await withStore({}, async store => {
      await store.append('order-42', orders(10))
      for (const reading of [store.readStream.bind(store, 'order-42'), store.readAll.bind(store)]) {
        const controller = new AbortController()
        const events = reading({ signal: controller.signal })[Symbol.asyncIterator]()
        expect(await events.next()).toMatchObject({ value: { revision: 0 } })
        const reason = new Error('enough')
        controller.abort(reason)
        expect(await rejectionOf(events.next())).toBe(reason)
      }
    })
  })
})
