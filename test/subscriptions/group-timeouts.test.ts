import { describe, expect, test } from 'vitest'
import type { GroupMember } from '../../src/subscriptions/group-member.ts'
import { appendEach, order, orders, upTo } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { groupScene, isQuiet, numbersOf, parkedIn, receive } from './group-words.ts'
import { numberOf } from './words.ts'

/** A member that has one message in hand and others in its buffer, and no longer asks. */
async function stuckScene() {
  const scene = await groupScene()
  const stuck = scene.group.join({ bufferSize: 5 })
  await appendEach(scene.store, 's', orders(5))
  const [inHand] = await receive(stuck, 1)
  await settle()
  return { ...scene, stuck, inHand: inHand! }
}

/** The next messages: their numbers, and how often each was retried. */
async function received(member: GroupMember, count: number) {
  const messages = await receive(member, count)
  return messages.map(({ event, retryCount }) => [numberOf(event), retryCount])
}

describe('the time for an answer', () => {
  test('begins when the handler gets the message: a buffer that takes longer than that does no harm', async () => {
    const { clock, store, group } = await groupScene({ messageTimeoutMs: 300, maxRetryCount: 3 })
    await appendEach(store, 's', orders(100))
    const member = group.join({ bufferSize: 20 })
    const handled: number[] = []
    for (const _ of upTo(100)) {
      const [message] = await receive(member, 1)
      clock.advance(38)
      handled.push(...numbersOf([message!]))
      message!.ack()
    }
    expect(handled).toEqual(upTo(100))
    expect(group.stats()).toMatchObject({ acked: 100, timedOut: 0, retried: 0, parked: 0 })
    await store.close()
  })

  test('begins for each of several that are in hand at a time', async () => {
    const { clock, store, group } = await groupScene({ messageTimeoutMs: 100 })
    const member = group.join()
    await appendEach(store, 's', orders(3))
    const messages: Awaited<ReturnType<typeof receive>> = []
    for (const _ of upTo(3)) {
      messages.push(...(await receive(member, 1)))
      clock.advance(40)
    }
    expect(group.stats()).toMatchObject({ timedOut: 1, outstanding: 2 })
    for (const message of messages) message.ack()
    expect(group.stats()).toMatchObject({ timedOut: 1, acked: 2 })
    expect(await received(member, 1)).toEqual([[0, 1]])
    await store.close()
  })

  test('is none for what waits while others are handled, and never parks what no handler has seen', async () => {
    const { clock, store, group, stuck } = await stuckScene()
    for (const _ of upTo(100)) {
      clock.advance(30_000)
      await settle()
    }
    expect(group.stats()).toMatchObject({ timedOut: 1, retried: 1, parked: 0, waiting: 5, outstanding: 0 })
    expect(await received(stuck, 5)).toEqual([
      [0, 1],
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 0],
    ])
    expect(await parkedIn(store)).toEqual([])
    await store.close()
  })
})

describe('a member that asks for nothing until a message is late', () => {
  test('gives what it has not read to the others; that is no retry', async () => {
    const { clock, store, group, inHand } = await stuckScene()
    const other = group.join()
    clock.advance(29_999)
    expect(group.stats()).toMatchObject({ outstanding: 5, timedOut: 0 })
    clock.advance(1)
    expect(await received(other, 5)).toEqual([
      [0, 1],
      [1, 0],
      [2, 0],
      [3, 0],
      [4, 0],
    ])
    inHand.ack()
    expect(group.stats()).toMatchObject({ acked: 0, outstanding: 5, timedOut: 1, retried: 1 })
    await store.close()
  })

  test('does so, too, when it has settled all that it had in hand, or never had any', async () => {
    for (const hadAny of [true, false]) {
      const { clock, store, group } = await groupScene()
      const member = group.join({ bufferSize: 4 })
      await appendEach(store, 's', orders(4))
      await settle()
      if (hadAny) for (const message of await receive(member, 1)) message.ack()
      const other = group.join()
      clock.advance(30_000)
      const rest = upTo(4).slice(hadAny ? 1 : 0)
      expect(await received(other, rest.length)).toEqual(rest.map(number => [number, 0]))
      expect(group.stats()).toMatchObject({ timedOut: 0, retried: 0 })
      await store.close()
    }
  })

  test('gets no other message until it asks, and then as before', async () => {
    const { clock, store, group, stuck } = await stuckScene()
    const other = group.join({ bufferSize: 5 })
    clock.advance(30_000)
    for (const message of await receive(other, 5)) message.ack()
    await appendEach(store, 's', orders(6, 5))
    expect(numbersOf(await receive(other, 5))).toEqual([5, 6, 7, 8, 9])
    await settle()
    expect(group.stats()).toMatchObject({ waiting: 1, members: 2 })
    expect(numbersOf(await receive(stuck, 1))).toEqual([10])
    await store.close()
  })

  test('pinned: gives its streams to others while it does', async () => {
    const { clock, store, group } = await groupScene({ strategy: 'pinned' })
    const [stuck, other] = [group.join({ bufferSize: 100 }), group.join({ bufferSize: 100 })]
    const streams = ['a', 'b', 'c', 'd', 'e', 'f']
    for (const stream of streams) await store.append(stream, orders(2))
    await receive(stuck, 1)
    let asking = other.next()
    let otherCount = 0
    for (; (await stateOf(asking)) === 'resolved'; asking = other.next()) {
      ;(await asking).value!.ack()
      otherCount++
    }
    clock.advance(30_000)
    const messages = [(await asking).value!, ...(await receive(other, 11 - otherCount))]
    for (const name of streams) {
      const moved = numbersOf(messages.filter(({ event }) => event.stream === name))
      expect([[], [0, 1]]).toContainEqual(moved)
    }
    expect(otherCount).toBeGreaterThan(0)
    expect(await isQuiet(other)).toBe(true)
    await store.close()
  })

  test('while it waits for another message goes on as before', async () => {
    const { clock, store, group } = await groupScene()
    const member = group.join()
    await store.append('s', order(0))
    await receive(member, 1)
    const next = member.next()
    clock.advance(30_000)
    expect((await next).value).toMatchObject({ retryCount: 1 })
    expect(group.stats()).toMatchObject({ outstanding: 1, waiting: 0 })
    await store.close()
  })
})
