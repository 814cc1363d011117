/** Behaviours 58 and 59 of KurrentDB's engine: acks, reads, subscriptions. Where Tailrace differs, the test says why. */
import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { all, openStore, order, orders, positions, rejectionOf, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { event, events } from './words.ts'

describe('behaviour 58: an append', () => {
  test('is acked once, with its first and last revision and its position, when it is flushed and everyone can read it', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    const told: string[] = []
    const appended = store.append('s', events(0, 3)).then(ack => {
      told.push('acked')
      return ack
    })
    await held.reached
    await settle()
    expect(told).toEqual([])
    expect(await all(store.readAll())).toEqual([])
    expect(await store.exists('s')).toBe(false)
    held.release()
    const ack = await appended
    const seen = await positions(store.readStream('s'))
    expect(ack).toEqual({ stream: 's', firstRevision: 0, lastRevision: 2, position: seen[2], duplicate: false })
    await settle()
    expect(told).toEqual(['acked'])
    await store.close()
  })

  test('is acked in the order of the log', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const told: number[] = []
      await Promise.all(
        upTo(50).map(n => store.append(`s-${n % 7}`, orders(1 + (n % 3))).then(({ position }) => void told.push(position))),
      )
      expect(told).toEqual([...told].sort((one, other) => one - other))
      expect(new Set(told).size).toBe(50)
    })
  })

  test('that failed is told once; nothing comes late', async () => {
    // KurrentDB answers a timeout and then ignores the late ack. Here nothing times out: the outcome is told when it is known.
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    disk.failNext({ op: 'writeDurably', error: 'EIO' })
    const appends = upTo(3).map(n => store.append('s', event(n)))
    const outcomes = await Promise.allSettled(appends)
    expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
    expect(await rejectionOf(store.append('s', event(9)))).toMatchObject({ code: 'WRITER_FAILED', outcome: 'rejected' })
    await store.close()
  })
})

describe('behaviour 59: the whole log', () => {
  async function filled(scene: (store: EventStore, whole: readonly RecordedEvent[]) => Promise<void>): Promise<void> {
    await withStore(SMALL_CHUNKS, async store => {
      for (const n of upTo(90)) {
        const type = n % 4 === 0 ? 'Paid' : 'Placed'
        await store.append(
          `order-${n % 5}`,
          upTo(1 + (n % 3)).map(i => ({ type, data: { number: 10 * n + i } })),
        )
      }
      await scene(store, await all(store.readAll()))
    })
  }

  test('is read in pages of any size, forwards, back, and turned round anywhere: all of it, nothing twice', async () => {
    await filled(async (store, whole) => {
      const places = whole.map(({ position }) => position)
      for (const size of [1, 2, 7, 50, 1000]) {
        const forwards: number[] = []
        for (let from = 0; ; ) {
          const page = await positions(store.readAll({ from, maxCount: size }))
          if (page.length === 0) break
          forwards.push(...page)
          from = page.at(-1)! + 1
          // Turned round: what came before this page, newest first.
          const back = await positions(store.readAll({ from: page[0]! - 1, maxCount: size, direction: 'backwards' }))
          const at = forwards.length - page.length
          expect(back).toEqual(places.slice(Math.max(0, at - size), at).reverse())
        }
        expect(forwards).toEqual(places)
      }
    })
  })

  test('is filtered: the same events as of all those that are meant, wherever one goes on', async () => {
    await filled(async (store, whole) => {
      const filter = { types: ['Paid'], streamPrefix: 'order-', streams: ['order-1'] }
      const meant = whole.filter(({ type }) => type === 'Paid').map(({ position }) => position)
      expect(await positions(store.readAll({ filter }))).toEqual(meant)
      for (const { position } of whole.slice(0, 40)) {
        expect(await positions(store.readAll({ filter, from: position, maxCount: 3 }))).toEqual(
          meant.filter(other => other >= position).slice(0, 3),
        )
      }
    })
  })

  test('from a position within a record gives the next event', async () => {
    // KurrentDB refuses it as an invalid position. Here a position need not name a record: one that was scavenged can be asked for.
    await filled(async (store, whole) => {
      for (const [i, { position }] of whole.slice(0, -1).entries()) {
        const [next] = await all(store.readAll({ from: position + 1, maxCount: 1 }))
        expect(next!.position).toBe(whole[i + 1]!.position)
      }
      expect(await all(store.readAll({ from: store.lastPosition + 1 }))).toEqual([])
      expect(await all(store.readAll({ from: 2 ** 50 }))).toEqual([])
    })
  })

  test('is followed: what is there, then what comes, no gap, nothing twice, also by a slow follower', async () => {
    // KurrentDB says FellBehind and CaughtUp again and again; here a slow reader is just behind, and costs nothing.
    await filled(async (store, whole) => {
      const subscription = store.subscribe()
      const events = subscription[Symbol.asyncIterator]()
      const later = 60
      const appending = (async () => {
        for (const n of upTo(later)) {
          await store.append('order-9', order(n))
          await new Promise(setImmediate)
        }
      })()
      const seen: number[] = []
      while (seen.length < whole.length + later) {
        seen.push((await events.next()).value.position)
        if (seen.length % 10 === 0) await settle(3)
      }
      await appending
      const next = events.next()
      await subscription.caughtUp
      const { position } = await store.append('order-9', order(later))
      seen.push((await next).value.position)
      expect(seen.at(-1)).toBe(position)
      expect(seen).toEqual(await positions(store.readAll()))
      await events.return?.()
    })
  })
})
