import { describe, expect, test } from 'vitest'
import { appendEach, openStore, order, orders, rejectionOf, upTo } from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { groupScene, isQuiet, numbersOf, parkedIn, receive } from './group-words.ts'
import { numberOf } from './words.ts'

describe('a group', () => {
  test('gives each event to one member, old ones and new ones (KurrentDB 61)', async () => {
    const { store, group } = await groupScene()
    await appendEach(store, 's', orders(10))
    const [one, other] = [group.join({ bufferSize: 100 }), group.join({ bufferSize: 100 })]
    await appendEach(store, 's', orders(10, 10))
    const messages = [...(await receive(one, 10)), ...(await receive(other, 10))]
    expect(numbersOf(messages).sort((a, b) => a - b)).toEqual(upTo(20))
    for (const message of messages) message.ack()
    expect(group.stats()).toMatchObject({ members: 2, waiting: 0, outstanding: 0, acked: 20 })
    await store.close()
  })

  test('round-robin: one member after the other', async () => {
    const { store, group } = await groupScene()
    const members = upTo(3).map(() => group.join())
    await appendEach(store, 's', orders(9))
    const received = await Promise.all(members.map(member => receive(member, 3)))
    expect(received.map(numbersOf)).toEqual([
      [0, 3, 6],
      [1, 4, 7],
      [2, 5, 8],
    ])
    await store.close()
  })

  test('single: one member, and the next only when that can take no more', async () => {
    const { store, group } = await groupScene({ strategy: 'single' })
    const [one, other] = [group.join({ bufferSize: 4 }), group.join({ bufferSize: 4 })]
    await appendEach(store, 's', orders(3))
    expect(numbersOf(await receive(one, 3))).toEqual([0, 1, 2])
    expect(await isQuiet(other)).toBe(true)
    await store.close()
  })

  test('single: when it leaves, another one takes over', async () => {
    const { store, group } = await groupScene({ strategy: 'single' })
    const [one, other] = [group.join({ bufferSize: 4 }), group.join({ bufferSize: 4 })]
    await appendEach(store, 's', orders(4))
    const [first] = await receive(one, 2)
    first!.ack()
    await one.return()
    expect(numbersOf(await receive(other, 3)).sort()).toEqual([1, 2, 3])
    await store.close()
  })

  test('pinned: all of a stream goes to one member, in order', async () => {
    const { store, group } = await groupScene({ strategy: 'pinned' })
    const members = upTo(3).map(() => group.join({ bufferSize: 100 }))
    for (const turn of upTo(60)) await store.append(`s-${turn % 12}`, order(turn))
    const owners = new Map<string, number>()
    let count = 0
    for (const [index, member] of members.entries()) {
      const seen = new Map<string, number>()
      for (let message = member.next(); (await stateOf(message)) === 'resolved'; message = member.next()) {
        const { event } = (await message).value!
        expect(owners.get(event.stream) ?? index).toBe(index)
        expect(event.revision).toBe(seen.get(event.stream) ?? 0)
        owners.set(event.stream, index)
        seen.set(event.stream, event.revision + 1)
        count++
      }
    }
    expect(count).toBe(60)
    expect(new Set(owners.values()).size).toBe(3)
    await store.close()
  })

  test('pinned: a stream whose member can take no more waits, others go on', async () => {
    const { store, group } = await groupScene({ strategy: 'pinned' })
    const members = upTo(2).map(() => group.join({ bufferSize: 2 }))
    await store.append('busy', orders(5))
    await settle()
    for (const turn of upTo(20)) await store.append(`s-${turn}`, order(turn))
    await settle()
    expect(group.stats().outstanding).toBe(4)
    const waiting = members.map(member => member.next())
    const first = (await Promise.all(waiting)).map(({ value }) => value!)
    expect(first.map(({ event }) => event.stream)).toContain('busy')
    await store.close()
  })

  test('gives a member no more than it can take, until it settles one', async () => {
    const { store, group } = await groupScene()
    const member = group.join({ bufferSize: 2 })
    await appendEach(store, 's', orders(4))
    const [first] = await receive(member, 2)
    const third = member.next()
    expect(await stateOf(third)).toBe('pending')
    first!.ack()
    expect(numberOf((await third).value!.event)).toBe(2)
    await store.close()
  })

  test('holds no more messages than its buffers', async () => {
    const { store } = await groupScene()
    await appendEach(store, 's', orders(200))
    const group = store.group('readers', { historyBufferSize: 20, liveBufferSize: 30 })
    await settle()
    expect(group.stats().waiting).toBe(20)
    const member = group.join({ bufferSize: 1000 })
    for (const message of await receive(member, 200)) message.ack()
    await member.return()
    await appendEach(store, 's', orders(100, 200))
    await settle()
    expect(group.stats().waiting).toBe(30)
    await store.close()
  })

  test('over one stream, or with a filter, gives what is meant', async () => {
    const { store } = await groupScene()
    for (const turn of upTo(10)) await store.append(`s-${turn % 2}`, order(turn))
    const ofStream = store.group('of stream', { stream: 's-1', from: 2 }).join()
    expect(numbersOf(await receive(ofStream, 3))).toEqual([5, 7, 9])
    const filtered = store.group('filtered', { filter: { streams: ['s-0'] } }).join()
    expect(numbersOf(await receive(filtered, 5))).toEqual([0, 2, 4, 6, 8])
    await store.close()
  })

  test('has the filter of the call, though the caller changes his own behind it', async () => {
    const { store } = await groupScene()
    for (const turn of upTo(4)) await store.append(`s-${turn % 2}`, order(turn))
    const streams = ['s-0']
    const types = ['OrderPlaced']
    const filtered = store.group('filtered', { filter: { streams } })
    const ofStream = store.group('of stream', { stream: 's-0', filter: { types } })
    streams[0] = 's-1'
    types[0] = 'Other'
    expect(numbersOf(await receive(filtered.join(), 2))).toEqual([0, 2])
    expect(numbersOf(await receive(ofStream.join(), 2))).toEqual([0, 2])
    await store.close()
  })

  test('from the end begins there, and remembers where that was', async () => {
    for (const stream of [undefined, 's']) {
      const { disk, store, group } = await groupScene({ stream, from: 'end' })
      await appendEach(store, 's', orders(3))
      await settle()
      await store.close()
      const again = await groupScene({ stream, from: 'end' }, disk)
      await again.store.append('s', order(3))
      expect(numbersOf(await receive(again.group.join(), 4))).toEqual([0, 1, 2, 3])
      expect(group.stats().acked).toBe(0)
      await again.store.close()
    }
  })

  test('takes no more members than it may have', async () => {
    const { store, group } = await groupScene({ maxSubscriberCount: 2 })
    const one = group.join()
    group.join()
    expect(() => group.join()).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await one.return()
    group.join()
    await store.close()
  })

  test('is open once under a name', async () => {
    const { store, group } = await groupScene()
    expect(() => store.group('workers')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await group.close()
    const again = store.group('workers')
    expect(() => group.join()).toThrow(expect.objectContaining({ code: 'STORE_CLOSED' }))
    await again.close()
    await store.close()
  })
})

describe('a message', () => {
  test('that is not settled in time goes to another member; a late answer has no effect', async () => {
    const { clock, store, group } = await groupScene()
    const [slow, other] = [group.join({ bufferSize: 1 }), group.join({ bufferSize: 1 })]
    await store.append('s', order(0))
    const [message] = await receive(slow, 1)
    clock.advance(29_999)
    expect(group.stats().timedOut).toBe(0)
    clock.advance(1)
    const [again] = await receive(other, 1)
    expect(again).toMatchObject({ retryCount: 1, isReplay: false })
    message!.ack()
    expect(group.stats()).toMatchObject({ outstanding: 1, acked: 0, timedOut: 1 })
    again!.ack()
    again!.nack('park')
    expect(group.stats()).toMatchObject({ outstanding: 0, acked: 1, parked: 0 })
    await store.close()
  })

  test('is retried until it was retried too often, then parked', async () => {
    const { store, group } = await groupScene({ maxRetryCount: 3 })
    const member = group.join()
    await store.append('s', order(0))
    for (const retryCount of upTo(4)) {
      const [message] = await receive(member, 1)
      expect(message!.retryCount).toBe(retryCount)
      message!.nack('retry', 'no luck')
    }
    await settle()
    expect(group.stats()).toMatchObject({ retried: 3, parked: 1, outstanding: 0, waiting: 0 })
    expect(await parkedIn(store)).toMatchObject([{ stream: 's', revision: 0, retryCount: 3, reason: 'no luck' }])
    expect(await group.parkedCount()).toBe(1)
    await store.close()
  })

  test('is retried 10 times by default, by timeouts as by answers', async () => {
    const { clock, store, group } = await groupScene()
    const member = group.join()
    await store.append('s', order(0))
    for (const _ of upTo(11)) {
      await receive(member, 1)
      clock.advance(30_000)
    }
    await settle()
    expect(group.stats()).toMatchObject({ retried: 10, timedOut: 11, parked: 1 })
    await store.close()
  })

  test('can be parked at once, or skipped', async () => {
    const { store, group } = await groupScene()
    const member = group.join()
    await appendEach(store, 's', orders(2))
    const [one, other] = await receive(member, 2)
    one!.nack('park', 'poison')
    other!.nack('skip')
    await settle()
    expect(group.stats()).toMatchObject({ parked: 1, skipped: 1, outstanding: 0 })
    await store.close()
  })

  test('that is parked while the store takes no appends is parked as soon as it does', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { maxPendingAppends: 1 })
    const group = store.group('workers')
    const member = group.join()
    await store.append('s', order(0))
    const [message] = await receive(member, 1)
    const held = disk.hold('writeDurably')
    const appending = store.append('s', order(1))
    await held.reached
    message!.nack('park', 'poison')
    expect(await isQuiet(member)).toBe(true)
    held.release()
    await appending
    expect(await group.parkedCount()).toBe(1)
    expect(group.stats()).toMatchObject({ parked: 1, retried: 0, waiting: 0 })
    await store.close()
  })

  test('that waits to be parked counts in the buffers: the group does not read on', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { maxPendingAppends: 1 })
    await store.append('s', orders(40))
    const held = disk.hold('writeDurably')
    const appending = store.append('s', order(40))
    await held.reached
    const group = store.group('workers', { historyBufferSize: 5, liveBufferSize: 5 })
    const member = group.join({ bufferSize: 1 })
    let count = 0
    for (let next = member.next(); (await stateOf(next)) === 'resolved'; next = member.next()) {
      ;(await next).value!.nack('park')
      count++
    }
    expect(count).toBeGreaterThan(0)
    expect(count).toBeLessThanOrEqual(11)
    held.release()
    await appending
    await store.close()
  })

  test('that cannot be parked on a full disk is given out again after checkPointAfterMs', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    const group = store.group('workers', { checkPointAfterMs: 1000 })
    const member = group.join()
    await store.append('s', order(0))
    const [message] = await receive(member, 1)
    disk.failNext({ op: 'writeDurably', error: 'ENOSPC' })
    message!.nack('park', 'poison')
    const again = member.next()
    await settle()
    clock.advance(999)
    expect(await stateOf(again)).toBe('pending')
    expect(group.stats()).toMatchObject({ parked: 0, waiting: 1 })
    clock.advance(1)
    expect((await again).value!.event).toEqual(message!.event)
    await store.close()
  })

  test('that cannot be parked because the writer failed ends the group', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const member = store.group('workers').join()
    await store.append('s', order(0))
    const [message] = await receive(member, 1)
    disk.failNext({ op: 'writeDurably', error: 'EIO' })
    await rejectionOf(store.append('s', order(1)))
    message!.nack('park', 'poison')
    expect(await rejectionOf(member.next())).toMatchObject({ code: 'WRITER_FAILED' })
    await store.close()
  })

  test('that is parked stays so in a group that has ended: whoever has it given out again is told why', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const group = store.group('workers')
    const member = group.join()
    await store.append('s', orders(2))
    const [parked, message] = await receive(member, 2)
    parked!.nack('park')
    expect(await group.parkedCount()).toBe(1)
    disk.failNext({ op: 'writeDurably', error: 'EIO' })
    await rejectionOf(store.append('s', order(2)))
    message!.nack('park')
    await rejectionOf(member.next())
    expect(await rejectionOf(group.replayParked())).toMatchObject({ code: 'WRITER_FAILED' })
    expect(await group.parkedCount()).toBe(1)
    await store.close()
  })

  test('is parked with so much of its reason as a record has room for', async () => {
    const { store, group } = await groupScene()
    const member = group.join()
    await store.append('s', order(0))
    const [message] = await receive(member, 1)
    message!.nack('park', 'poison '.repeat(1000))
    expect(await group.parkedCount()).toBe(1)
    expect(await parkedIn(store)).toMatchObject([{ stream: 's', reason: expect.stringMatching(/^(poison ){200}/) }])
    await store.close()
  })

  test('answered with stop ends its member; others get what it had', async () => {
    const { store, group } = await groupScene()
    const [one, other] = [group.join(), group.join({ bufferSize: 100 })]
    await appendEach(store, 's', orders(6))
    const [first] = await receive(one, 1)
    first!.nack('stop')
    expect(await one.next()).toMatchObject({ done: true })
    expect(numbersOf(await receive(other, 6)).sort()).toEqual(upTo(6))
    expect(group.stats()).toMatchObject({ members: 1, retried: 0 })
    await store.close()
  })

  test('answered with what is no answer is not settled: the caller is told, and may answer again', async () => {
    const { store, group } = await groupScene()
    const member = group.join()
    await store.append('s', order(0))
    const [message] = await receive(member, 1)
    const noAnswers = [['Retry'], [''], [undefined], ['toString'], ['park', new Error('poison')], ['retry', 1n], ['skip', null]]
    for (const answer of noAnswers as [never, never][]) {
      expect(() => message!.nack(...answer)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      expect(group.stats()).toMatchObject({ outstanding: 1, waiting: 0, retried: 0 })
    }
    message!.ack()
    expect(group.stats()).toMatchObject({ outstanding: 0, acked: 1 })
    expect(() => message!.nack('Retry' as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await store.close()
  })

  test('of a member that leaves goes to the others, without counting as retried', async () => {
    const { store, group } = await groupScene()
    const controller = new AbortController()
    const one = group.join({ signal: controller.signal })
    await appendEach(store, 's', orders(5))
    await receive(one, 2)
    const reason = new Error('shutting down')
    const waiting = group.join({ signal: controller.signal, bufferSize: 1 })
    controller.abort(reason)
    expect(await rejectionOf(one.next())).toBe(reason)
    expect(await rejectionOf(waiting.next())).toBe(reason)
    const messages = await receive(group.join(), 5)
    expect(numbersOf(messages).sort()).toEqual(upTo(5))
    expect(messages.every(message => message.retryCount === 0)).toBe(true)
    await store.close()
  })
})

describe('a call that is wrong', () => {
  test.each([
    [{ strategy: 'fair' }],
    [{ maxRetries: 3 }],
    [{ maxRetryCount: -1 }],
    [{ messageTimeoutMs: 0 }],
    [{ liveBufferSize: 0.5 }],
    [{ minCheckPointCount: 10, maxCheckPointCount: 5 }],
    [{ filter: { streams: [] } }],
    [{ stream: '' }],
    [{ from: -3 }],
  ])('%j is an InvalidArgumentError', async options => {
    const store = await openStore()
    expect(() => store.group('workers', options as never)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    await store.close()
  })
})
