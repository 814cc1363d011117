import { getEventListeners } from 'node:events'
import { describe, expect, test, vi } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { StreamEvents } from '../../src/streams/stream-events.ts'
import {
  appendEach,
  openStore,
  order,
  orders,
  positions,
  rejectionOf,
  SMALL_CHUNKS,
  sized,
  upTo,
  withStore,
} from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { numberOf, take, takeNumbers } from './words.ts'

describe('a subscription', () => {
  test('that ends while an event is handed out gives that event, or its end', async () => {
    for (const how of ['return', 'abort'] as const) {
      for (const turns of upTo(60)) {
        await withStore({}, async store => {
          await appendEach(store, 's', orders(3))
          const ending = new AbortController()
          const subscription = store.subscribe({ signal: ending.signal })
          const batch = turns % 2 === 0
          const next = (batch ? subscription.batches() : subscription).next().catch((error: unknown) => error)
          for (const _ of upTo(turns)) await null
          if (how === 'abort') ending.abort('enough')
          else await subscription.return()
          const answer = (await next) as IteratorResult<unknown, undefined> | string
          if (answer === 'enough' || (answer as { done: boolean }).done) return
          const { value } = answer as { value: unknown }
          expect(batch ? (value as unknown[]).length : numberOf(value as RecordedEvent)).toBe(batch ? 3 : 0)
        })
      }
    }
  })

  test('gives what is there, then what comes', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await appendEach(store, 's', orders(100))
      const subscription = store.subscribe()
      expect(await takeNumbers(subscription, 100)).toEqual(upTo(100))
      for (const number of upTo(100)) {
        const next = subscription.next()
        expect(await stateOf(next)).toBe('pending')
        await store.append('s', order(100 + number))
        expect((await next).value).toMatchObject({ stream: 's', revision: 100 + number })
      }
    })
  })

  test('of a store without events waits for the first', async () => {
    await withStore({}, async store => {
      const first = store.subscribe().next()
      expect(await stateOf(first)).toBe('pending')
      await store.append('s', order(0))
      expect((await first).value).toMatchObject({ revision: 0, data: { number: 0 } })
    })
  })

  test('gives an append of several events in order, all of them', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const subscription = store.subscribe()
      const taking = takeNumbers(subscription, 40)
      for (const turn of upTo(4)) await store.append(`s-${turn}`, orders(10, 10 * turn))
      expect(await taking).toEqual(upTo(40))
    })
  })

  test('has given an event before or soon after its ack, never before it is readable', async () => {
    await withStore({}, async store => {
      const subscription = store.subscribe()
      const next = subscription.next()
      const ack = await store.append('s', order(0))
      expect(store.lastPosition).toBe(ack.position)
      expect((await next).value?.position).toBe(ack.position)
    })
  })

  test('from a position gives the first event at or behind it; after one the next', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await appendEach(store, 's', orders(120))
      const log = await positions(store.readAll())
      for (const index of [0, 1, 30, 60, 118]) {
        expect((await take(store.subscribe({ from: log[index]! }), 1))[0]!.position).toBe(log[index])
        expect((await take(store.subscribe({ from: log[index]! + 1 }), 1))[0]!.position).toBe(log[index + 1])
        expect((await take(store.subscribe({ after: log[index]! }), 1))[0]!.position).toBe(log[index + 1])
      }
    })
  })

  test('from a position that the log has not reached waits until it is there', async () => {
    await withStore({}, async store => {
      const { position } = await store.append('s', order(0))
      const subscription = store.subscribe({ from: position + 100 })
      const next = subscription.next()
      const acks = await appendEach(store, 's', orders(10, 1))
      expect((await next).value?.position).toBe(acks.map(ack => ack.position).find(at => at >= position + 100))
    })
  })

  test('from the end gives what is committed after the call, though it is iterated later', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const subscription = store.subscribe({ from: 'end' })
      await appendEach(store, 's', orders(3, 3))
      expect(await takeNumbers(subscription, 3)).toEqual([3, 4, 5])
    })
  })

  test('leaves out system streams unless they are asked for', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    const { position } = await store.append('s', order(0))
    const hidden = store.subscribe({ filter: { streamPrefix: '$' } }).next()
    await store.append('s', order(1))
    expect(await stateOf(hidden)).toBe('pending')
    expect((await take(store.subscribe({ includeSystem: true, after: position }), 1))[0]).toMatchObject({ revision: 1 })
    await store.close()
  })

  test('with a filter gives what is meant and passes over the rest, old and new', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const append = async (turn: number) => {
        await store.append('invoice-1', sized(500))
        await store.append(`order-${turn % 2}`, order(turn))
      }
      for (const turn of upTo(20)) await append(turn)
      const subscription = store.subscribe({ filter: { streamPrefix: 'order-', types: ['OrderPlaced'] } })
      expect(await takeNumbers(subscription, 20)).toEqual(upTo(20))
      const later = takeNumbers(subscription, 20)
      for (const turn of upTo(20)) await append(20 + turn)
      expect(await later).toEqual(upTo(20).map(turn => 20 + turn))
    })
  })

  test('gives its batches, none of them empty, of the same events', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await appendEach(store, 's', orders(100))
      const seen: number[] = []
      for await (const batch of store.subscribe().batches()) {
        expect(batch.length).toBeGreaterThan(0)
        seen.push(...batch.map(event => event.revision))
        if (seen.length === 100) break
      }
      expect(seen).toEqual(upTo(100))
    })
  })

  test('has one place: who takes events and then batches goes on where it was', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(10))
      const subscription = store.subscribe()
      expect(await takeNumbers(subscription, 3)).toEqual([0, 1, 2])
      const { value } = await subscription.batches().next()
      expect(value.map((event: { revision: number }) => event.revision)).toEqual(upTo(7).map(number => number + 3))
    })
  })

  test('that is asked several times at once answers in order', async () => {
    await withStore({}, async store => {
      const subscription = store.subscribe()
      const asked = upTo(20).map(() => subscription.next())
      await appendEach(store, 's', orders(10))
      await store.append('s', orders(10, 10))
      const answers = await Promise.all(asked)
      expect(answers.map(({ value }) => value?.revision)).toEqual(upTo(20))
    })
  })

  test('says once that it has caught up: when all that was published has been taken', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const subscription = store.subscribe()
      await take(subscription, 3)
      expect(await stateOf(subscription.caughtUp)).toBe('pending')
      const next = subscription.next()
      await subscription.caughtUp
      await store.append('s', order(3))
      expect((await next).value).toMatchObject({ revision: 3 })
    })
  })

  test('of an empty store has caught up at once', async () => {
    await withStore({}, async store => {
      const subscription = store.subscribe()
      const next = subscription.next()
      await subscription.caughtUp
      expect(await stateOf(next)).toBe('pending')
    })
  })

  test('hands out bytes that are the reader’s own, though others read the same', async () => {
    await withStore({}, async store => {
      await store.append('s', { type: 'T', data: new Uint8Array([1, 2, 3]), metadata: new Uint8Array([4]) })
      const [[one], [other]] = await Promise.all([take(store.subscribe(), 1), take(store.subscribe(), 1)])
      one!.bytes.fill(9)
      ;(one!.data as Uint8Array).fill(9)
      ;(one!.metadata as Uint8Array).fill(9)
      expect(other!.bytes).toEqual(new Uint8Array([1, 2, 3]))
      expect(other!.data).toEqual(new Uint8Array([1, 2, 3]))
      expect(other!.metadata).toEqual(new Uint8Array([4]))
      expect(one!.bytes).toEqual(new Uint8Array([1, 2, 3]))
    })
  })
})

describe('a subscription to one stream', () => {
  test('lets others in, and ends, amid all that has grown too old', async () => {
    const clock = new ManualClock()
    await withStore({ clock }, async store => {
      await store.append('s', orders(40_000))
      await store.setMetadata('s', { maxAge: 1 })
      clock.advance(2000)
      // Each step asks the index for the next places.
      const steps = vi.spyOn(StreamEvents.prototype, 'forwards')
      const subscription = store.subscribe({ stream: 's' })
      const next = subscription.next()
      await new Promise(resolve => setImmediate(resolve))
      expect(steps.mock.calls.length).toBeLessThan(20)
      await subscription.return()
      expect(await next).toEqual({ value: undefined, done: true })
      await settle()
      expect(steps.mock.calls.length).toBeLessThan(20)
      const again = store.subscribe({ stream: 's' }).next()
      expect(await stateOf(again)).toBe('pending')
      await store.append('s', order(40_000))
      expect((await again).value).toMatchObject({ revision: 40_000 })
      steps.mockRestore()
    })
  })

  test('gives its events alone, old and new', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      for (const turn of upTo(50)) await store.append(`s-${turn % 5}`, order(turn))
      const subscription = store.subscribe({ stream: 's-3' })
      expect(await takeNumbers(subscription, 10)).toEqual(upTo(10).map(index => 5 * index + 3))
      const later = takeNumbers(subscription, 10)
      for (const turn of upTo(50)) await store.append(`s-${turn % 5}`, order(50 + turn))
      expect(await later).toEqual(upTo(10).map(index => 50 + 5 * index + 3))
    })
  })

  test('from a revision, after one, and from the end', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(10))
      expect(await takeNumbers(store.subscribe({ stream: 's', from: 4 }), 2)).toEqual([4, 5])
      expect(await takeNumbers(store.subscribe({ stream: 's', after: 4 }), 2)).toEqual([5, 6])
      const atEnd = store.subscribe({ stream: 's', from: 'end' })
      const beyond = takeNumbers(store.subscribe({ stream: 's', from: 12 }), 1)
      await appendEach(store, 's', orders(5, 10))
      expect(await takeNumbers(atEnd, 5)).toEqual([10, 11, 12, 13, 14])
      expect(await beyond).toEqual([12])
    })
  })

  test('gives what was appended since its last batch, though nothing comes later', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const subscription = store.subscribe({ stream: 's' })
      expect((await subscription.batches().next()).value).toHaveLength(3)
      await store.append('s', order(3))
      expect(await takeNumbers(subscription, 1)).toEqual([3])
    })
  })

  test('that does not exist yet waits for its first event', async () => {
    await withStore({}, async store => {
      for (const from of ['start', 'end', 0] as const) {
        const stream = `new-${from}`
        const subscription = store.subscribe({ stream, from })
        const next = subscription.next()
        await subscription.caughtUp
        await store.append('other', order(0))
        expect(await stateOf(next)).toBe('pending')
        await store.append(stream, order(1))
        expect((await next).value).toMatchObject({ stream, revision: 0 })
      }
    })
  })

  test('from the end gives nothing that was there before, also when it was hidden and is shown again', async () => {
    const clock = new ManualClock()
    await withStore({ clock }, async store => {
      await appendEach(store, 's', orders(3))
      await store.setMetadata('s', { maxAge: 1 })
      clock.advance(2000)
      const subscription = store.subscribe({ stream: 's', from: 'end' })
      await appendEach(store, 's', orders(1, 3))
      clock.advance(2000)
      const taking = takeNumbers(subscription, 2)
      await subscription.caughtUp
      await store.setMetadata('s', {})
      await appendEach(store, 's', orders(1, 4))
      expect(await taking).toEqual([3, 4])
      await subscription.return()
    })
  })

  test('may have the longest name there is; so may the one that says what is kept of it', async () => {
    await withStore({}, async store => {
      const stream = 'x'.repeat(1024)
      const next = [stream, `$$${stream}`].map(name => store.subscribe({ stream: name }).next())
      await store.append(stream, order(0))
      await store.setMetadata(stream, { maxCount: 3 })
      const types = (await Promise.all(next)).map(({ value }) => value?.type)
      expect(types).toEqual(['OrderPlaced', '$metadata'])
    })
  })

  test('may have a filter by type', async () => {
    await withStore({}, async store => {
      await store.append('s', [order(0), sized(10), order(2)])
      await store.append('other', order(9))
      const subscription = store.subscribe({ stream: 's', filter: { typePrefix: 'Order' } })
      expect(await takeNumbers(subscription, 2)).toEqual([0, 2])
    })
  })
})

describe('a subscription ends', () => {
  test('when the loop over it is left', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const subscription = store.subscribe()
      for await (const event of subscription) if (event.revision === 1) break
      expect(await subscription.next()).toEqual({ value: undefined, done: true })
    })
  })

  test('by return or dispose, at once, also while somebody waits', async () => {
    await withStore({}, async store => {
      for (const end of ['return', Symbol.asyncDispose] as const) {
        const subscription = store.subscribe()
        const waiting = [subscription.next(), subscription.next(), subscription.batches().next()]
        await settle()
        await subscription[end]()
        for (const answer of await Promise.all(waiting)) expect(answer).toEqual({ value: undefined, done: true })
        expect(await subscription.next()).toEqual({ value: undefined, done: true })
      }
    })
  })

  test('by its signal, at once, with the reason; what was at hand is not given any more', async () => {
    await withStore({}, async store => {
      const controller = new AbortController()
      const reason = new Error('enough')
      const waiting = store.subscribe({ signal: controller.signal }).next()
      const waitingForStream = store.subscribe({ signal: controller.signal, stream: 's', from: 'end' }).next()
      await store.append('s', orders(3))
      await Promise.all([waiting, waitingForStream])
      const busy = store.subscribe({ signal: controller.signal })
      await take(busy, 1)
      const late = store.subscribe({ signal: controller.signal, from: 'end' }).next()
      await settle()
      controller.abort(reason)
      expect(await rejectionOf(late)).toBe(reason)
      expect(await rejectionOf(busy.next())).toBe(reason)
      expect(await rejectionOf(busy.batches().next())).toBe(reason)
    })
  })

  test('before it has begun, when the signal was aborted already', async () => {
    await withStore({}, async store => {
      const reason = new Error('never')
      const subscription = store.subscribe({ signal: AbortSignal.abort(reason) })
      expect(await rejectionOf(subscription.next())).toBe(reason)
      expect(await rejectionOf(subscription.caughtUp)).toBe(reason)
    })
  })

  test('with the store, as if its loop had been left', async () => {
    const store = await openStore()
    const subscription = store.subscribe()
    const next = subscription.next()
    await settle()
    await store.close()
    expect(await next).toEqual({ value: undefined, done: true })
    expect(await subscription.next()).toEqual({ value: undefined, done: true })
    expect(() => store.subscribe()).toThrow(expect.objectContaining({ code: 'STORE_CLOSED' }))
  })

  test('with the store, also for its signal, whoever follows and whether somebody iterates or not', async () => {
    const store = await openStore()
    const topic = store.topic('orders')
    await topic.produce({ value: 1 })
    await topic.produce({ value: 2 })
    const { signal } = new AbortController()
    const ofTopic = topic.group('mailers')
    const follow = [
      () => store.subscribe({ signal }),
      () => store.consumer('mailer', { signal }),
      () => topic.read(0, { signal }),
      () => ofTopic.join({ signal }),
    ]
    for (const begin of follow) {
      const [amid] = [begin(), begin()]
      await amid!.next()
    }
    store.group('workers').join({ signal })
    expect(getEventListeners(signal, 'abort')).toHaveLength(1)
    await store.close()
    expect(getEventListeners(signal, 'abort')).toEqual([])
    topic.read(0, { signal })
    ofTopic.join({ signal })
    expect(getEventListeners(signal, 'abort')).toEqual([])
  })

  test('and whoever waits for it to catch up is told', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(3))
      const subscription = store.subscribe()
      await take(subscription, 1)
      await subscription.return()
      expect(await rejectionOf(subscription.caughtUp)).toMatchObject({ name: 'AbortError' })
    })
  })
})

describe('a call that is wrong', () => {
  test.each([
    [{ from: -1 }],
    [{ from: 1.5 }],
    [{ from: 'middle' }],
    [{ after: -1 }],
    [{ after: 'start' }],
    [{ after: Number.NaN }],
    [{ from: 0, after: 0 }],
    [{ stream: '' }],
    [{ stream: 7 }],
    [{ signal: {} }],
  ])('%j is an InvalidArgumentError, at once', async options => {
    await withStore({}, async store => {
      expect(() => store.subscribe(options as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    })
  })
})
