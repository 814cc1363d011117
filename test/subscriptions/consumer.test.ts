import { describe, expect, test } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { ConsumerOptions } from '../../src/subscriptions/consumer.ts'
import {
  all,
  appendEach,
  numbers,
  openStore,
  order,
  orders,
  rejectionOf,
  SMALL_CHUNKS,
  sized,
  upTo,
  withStore,
} from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { numbersOf, receive } from './group-words.ts'
import { numberOf, takeNumbers } from './words.ts'

describe('a named consumer', () => {
  test('goes on where it has committed (V27)', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(10))
      const first = store.consumer('mailer', { commit: 'explicit' })
      expect(await takeNumbers(first, 4)).toEqual([0, 1, 2, 3])
      await first.commit()
      expect(await takeNumbers(first, 2)).toEqual([4, 5])
      await first.return()
      expect(await takeNumbers(store.consumer('mailer'), 6)).toEqual([4, 5, 6, 7, 8, 9])
    })
  })

  test('goes on after a restart: nothing is lost, and nothing committed comes again', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await appendEach(store, 's', orders(100))
    const consumer = store.consumer('mailer', { commit: 'explicit' })
    await takeNumbers(consumer, 60)
    await consumer.commit()
    await store.close()
    const again = await openStore(disk, SMALL_CHUNKS)
    expect(await takeNumbers(again.consumer('mailer'), 40)).toEqual(upTo(40).map(number => 60 + number))
    await again.close()
  })

  test('commits each batch when the next one is asked for, and not before', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(5))
      const consumer = store.consumer('mailer')
      await takeNumbers(consumer, 5)
      expect(await takeNumbers(store.consumer('mailer', { commit: 'explicit' }), 5)).toEqual(upTo(5))
      const next = consumer.next()
      await consumer.caughtUp
      expect(await stateOf(next)).toBe('pending')
      const fresh = store.consumer('mailer', { commit: 'explicit' })
      const nothing = fresh.next()
      await fresh.caughtUp
      expect(await stateOf(nothing)).toBe('pending')
    })
  })

  test('has its place for itself: each name has its own', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(5))
      const one = store.consumer('one', { commit: 'explicit' })
      await takeNumbers(one, 3)
      await one.commit()
      expect(await takeNumbers(store.consumer('other'), 5)).toEqual(upTo(5))
    })
  })

  test('sees what its filter means; what was passed over is committed with it', async () => {
    await withStore({}, async store => {
      for (const turn of upTo(10)) {
        await store.append('order-1', order(turn))
        await store.append('other', sized(100))
      }
      const consumer = store.consumer('orders', { filter: { streamPrefix: 'order-' } })
      expect(await takeNumbers(consumer, 10)).toEqual(upTo(10))
      await consumer.commit()
      // What it has not come by is only its own note.
      expect(await consumer.lag()).toBeLessThan(200)
    })
  })

  test('shows how far it is behind', async () => {
    await withStore({}, async store => {
      const consumer = store.consumer('mailer', { commit: 'explicit' })
      await store.append('s', sized(10_000))
      expect(await consumer.lag()).toBeGreaterThan(10_000)
      await consumer.next()
      expect(await consumer.lag()).toBeGreaterThan(10_000)
      await consumer.commit()
      expect(await consumer.lag()).toBeLessThan(200)
    })
  })

  test('that never committed begins where it is told', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const consumer = store.consumer('late', { from: 'end' })
      await appendEach(store, 's', orders(2, 3))
      expect(await takeNumbers(consumer, 2)).toEqual([3, 4])
    })
  })

  test('begins where the call said, though the caller changes his options behind it', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(2))
      const options: ConsumerOptions = { from: 'end' }
      const next = store.consumer('late', options).next()
      Object.assign(options, { from: 'start' })
      await settle()
      expect(await store.head('$consumer-late')).toBe(0)
      await store.append('s', order(2))
      expect((await next).value?.data).toEqual({ number: 2 })
    })
  })

  test('that began at the end goes on after a restart where it was, not at the end', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    await appendEach(store, 's', orders(3))
    const first = takeNumbers(store.consumer('mailer', { from: 'end' }), 2)
    await settle()
    await appendEach(store, 's', orders(4, 3))
    expect(await first).toEqual([3, 4])
    await store.close()
    const again = await openStore(disk)
    await again.append('s', order(7))
    expect(await takeNumbers(again.consumer('mailer', { from: 'end' }), 5)).toEqual([3, 4, 5, 6, 7])
    await again.close()
  })

  test.each([
    'consumer',
    'group',
  ] as const)('that begins at the end waits for room to write down where that is (%s)', async kind => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { maxPendingAppends: 1 })
    await store.append('s', order(0))
    const held = disk.hold('writeDurably')
    const appending = store.append('s', order(1))
    await held.reached
    const next =
      kind === 'consumer'
        ? takeNumbers(store.consumer('late', { from: 'end' }), 2)
        : receive(store.group('late', { from: 'end' }).join(), 2).then(numbersOf)
    expect(await stateOf(next)).toBe('pending')
    held.release()
    await appending
    await settle()
    await store.append('s', order(2))
    expect(await next).toEqual([1, 2])
    await store.close()
  })

  test('that waits for room to write down where it begins just ends when its store is closed', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { maxPendingAppends: 1 })
    const held = disk.hold('writeDurably')
    const appending = store.append('s', order(0))
    await held.reached
    const next = store.consumer('late', { from: 'end' }).next()
    expect(await stateOf(next)).toBe('pending')
    const closing = store.close()
    held.release()
    await Promise.all([appending, closing])
    expect(await next).toEqual({ value: undefined, done: true })
  })

  test('keeps its notes in a stream of the store, which is not read unless one asks for it', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const consumer = store.consumer('mailer')
      await takeNumbers(consumer, 3)
      await consumer.commit()
      expect(await numbers(store.readAll())).toEqual([0, 1, 2])
      const system = await all(store.readAll({ includeSystem: true, filter: { streamPrefix: '$consumer-' } }))
      expect(system).toMatchObject([{ stream: '$consumer-mailer', type: '$consumer-committed' }])
      const next = store.subscribe({ after: system[0]!.position - 1 }).next()
      expect(await stateOf(next)).toBe('pending')
    })
  })

  test('writes nothing when there is nothing new to commit', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const consumer = store.consumer('mailer', { commit: 'explicit' })
      await consumer.commit()
      expect(await store.exists('$consumer-mailer')).toBe(false)
      await takeNumbers(consumer, 2)
      await Promise.all([consumer.commit(), consumer.commit(), consumer.commit()])
      expect(await store.head('$consumer-mailer')).toBe(0)
    })
  })

  test('learns that another one has committed under its name', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(6))
      const [one, other] = [store.consumer('mailer'), store.consumer('mailer')]
      await takeNumbers(one, 2)
      await takeNumbers(other, 4)
      await one.commit()
      // It had looked up its place before.
      expect(await rejectionOf(other.commit())).toMatchObject({ code: 'WRONG_EXPECTED_REVISION' })
    })
  })

  test.each([
    'explicit',
    'batch',
  ] as const)('that ended commits what it handed out, and not what else was at hand (%s)', async commit => {
    for (const way of ['left', 'aborted'] as const) {
      await withStore({}, async store => {
        await appendEach(store, 's', orders(10))
        const ending = new AbortController()
        const consumer = store.consumer('mailer', { commit, signal: ending.signal })
        await takeNumbers(consumer, 3)
        if (way === 'left') await consumer.return()
        else ending.abort()
        await consumer.commit()
        expect(await takeNumbers(store.consumer('mailer'), 7)).toEqual([3, 4, 5, 6, 7, 8, 9])
      })
    }
  })

  test('that commits while it waits for more leaves out what is on its way', async () => {
    // So many that batches are held back for a turn of the event loop before they are handed out.
    await withStore({ maxPendingBytes: 64 * MIB }, async store => {
      await Promise.all(upTo(3000).map(number => store.append('s', { type: 'Sized', data: { number, text: 'x'.repeat(8000) } })))
      for (const commits of upTo(3)) {
        const consumer = store.consumer(`mailer-${commits}`, { commit: 'explicit' })
        let last = -1
        let left = commits
        let committing: { readonly handed: number; readonly done: Promise<void> } | null = null
        const tick = (): void => {
          if (last >= 0 && left-- === 0) committing = { handed: last, done: consumer.commit() }
          else setTimeout(tick, 0)
        }
        tick()
        for await (const event of consumer) {
          last = numberOf(event)
          if (committing !== null || last === 2999) break
        }
        const { handed, done } = committing as unknown as { handed: number; done: Promise<void> }
        await done
        const { value } = await store.consumer(`mailer-${commits}`, { commit: 'explicit' }).next()
        expect(numberOf(value!)).toBe(handed + 1)
      }
    })
  })

  test('whose commit finds no room now hands that to the next who asks, and goes on when there is some', async () => {
    await withStore({ maxPendingAppends: 4 }, async store => {
      for (const number of upTo(10)) await store.append('s', order(number))
      const consumer = store.consumer('mailer')
      await takeNumbers(consumer, 10)
      const busy = upTo(4).map(() => store.append('other', order(10)))
      expect(await rejectionOf(consumer.next())).toMatchObject({ code: 'QUEUE_FULL', retryable: true })
      await Promise.all(busy)
      expect(await takeNumbers(consumer, 1)).toEqual([10])
      await consumer.return()
    })
  })

  test('whose store is closed in its loop just ends, whatever was at hand', async () => {
    for (const number of [5, 9]) {
      const store = await openStore(new MemoryDisk())
      await appendEach(store, 's', orders(10))
      const seen: number[] = []
      for await (const event of store.consumer('mailer')) {
        seen.push(numberOf(event))
        if (numberOf(event) === number) await store.close()
      }
      expect(seen).toEqual(upTo(number + 1))
    }
  })

  test('that has not begun when its store is closed just ends, also while followers still write what they have to', async () => {
    const store = await openStore()
    await store.append('s', order(0))
    store.group('workers')
    const consumer = store.consumer('mailer')
    const next = consumer.next()
    const closing = store.close()
    expect(await next).toEqual({ value: undefined, done: true })
    expect(await rejectionOf(consumer.caughtUp)).toMatchObject({ name: 'AbortError' })
    await closing
  })

  test('whose commit is refused hands that to the next who asks, and ends', async () => {
    const disk = new MemoryDisk()
    const writer = await openStore(disk)
    await appendEach(writer, 's', orders(3))
    await writer.close()
    const reader = await openStore(disk, { readOnly: true })
    const consumer = reader.consumer('mailer')
    await takeNumbers(consumer, 3)
    expect(await rejectionOf(consumer.next())).toMatchObject({ code: 'READ_ONLY_STORE' })
    await reader.close()
  })

  test('that dies anywhere sees each event at least once, and none twice that it had committed (seed consumer)', async () => {
    const random = new Random('consumer')
    const disk = new MemoryDisk()
    const seen: number[] = []
    let committed = 0
    for (const life of upTo(30)) {
      const store = await openStore(disk, SMALL_CHUNKS)
      await appendEach(store, 's', orders(20, 20 * life))
      const consumer = store.consumer('mailer', { commit: 'explicit' })
      expect((await consumer.next()).value?.revision).toBe(committed)
      seen.push(committed)
      let at = committed + 1
      for (const _ of upTo(random.int(19))) {
        const { value } = await consumer.next()
        expect(numberOf(value!)).toBe(at++)
        seen.push(numberOf(value!))
        if (random.chance(0.2)) {
          await consumer.commit()
          committed = at
        }
      }
      // Without a commit: as if it had died.
      await store.close()
    }
    expect([...new Set(seen)]).toEqual(upTo(Math.max(...seen) + 1))
  })

  test.each([
    ['', {}],
    [7, {}],
    ['a\nb', {}],
    ['mailer', { commit: 'always' }],
    ['mailer', { from: -1 }],
    ['mailer', { filter: {}, signal: 'now' }],
  ])('named %j with %j is an InvalidArgumentError', async (name, options) => {
    await withStore({}, async store => {
      expect(() => store.consumer(name as never, options as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    })
  })

  test('is the only way to a stream that begins with $: the public append refuses it', async () => {
    await withStore({}, async store => {
      for (const options of [undefined, { system: true }, { 'from the house': true }]) {
        const appending = store.append('$consumer-mailer', order(0), options as never)
        expect(await rejectionOf(appending)).toMatchObject({ code: 'INVALID_ARGUMENT' })
      }
    })
  })
})
