import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { appendEach, order, orders, upTo } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { checkpointCount, groupScene, numbersOf, receive } from './group-words.ts'

const LIVES = ['new', 'closed before', 'killed before'] as const
type Life = (typeof LIVES)[number]

/** Events that the group settled in its earlier life, and its checkpoint after them. */
const EARLIER = 8

/** A group without options, as it is in one of its lives; nothing is left over from an earlier one. */
async function groupIn(life: Life) {
  if (life === 'new') return { ...(await groupScene()), checkpoints: 0 }
  const { disk, clock, store, group } = await groupScene()
  await appendEach(store, 'earlier', orders(EARLIER))
  for (const message of await receive(group.join(), EARLIER)) message.ack()
  await settle()
  clock.advance(1000)
  await settle()
  // The bytes of a process that was killed are those that it had written.
  const killed = new MemoryDisk(disk.snapshot())
  await store.close()
  const scene = await groupScene({}, life === 'killed before' ? killed : disk)
  return { ...scene, checkpoints: await checkpointCount(scene.store) }
}

describe.each(LIVES)('by default a group (%s)', life => {
  test('retries a message that is not settled within 30 seconds (messageTimeout)', async () => {
    const { clock, store, group } = await groupIn(life)
    const member = group.join()
    await store.append('s', order(0))
    await receive(member, 1)
    clock.advance(29_999)
    expect(group.stats()).toMatchObject({ timedOut: 0, retried: 0 })
    clock.advance(1)
    expect(group.stats()).toMatchObject({ timedOut: 1, retried: 1 })
    await store.close()
  })

  test('parks a message that was retried 10 times (maxRetryCount)', async () => {
    const { store, group } = await groupIn(life)
    const member = group.join()
    await store.append('s', order(0))
    for (const retryCount of upTo(11)) {
      expect(await group.parkedCount()).toBe(0)
      const [message] = await receive(member, 1)
      expect(message!.retryCount).toBe(retryCount)
      message!.nack('retry')
    }
    await settle()
    expect(await group.parkedCount()).toBe(1)
    await store.close()
  })

  test('holds 500 messages while it catches up (historyBufferSize)', async () => {
    const { disk, store } = await groupIn(life)
    await appendEach(store, 's', orders(600))
    await store.close()
    const again = await groupScene({}, disk)
    await settle(50)
    expect(again.group.stats().waiting).toBe(500)
    await again.store.close()
  })

  test('holds 500 messages once it has caught up (liveBufferSize)', async () => {
    const { store, group } = await groupIn(life)
    await settle()
    await appendEach(store, 's', orders(600))
    await settle(50)
    expect(group.stats().waiting).toBe(500)
    await store.close()
  })

  test('writes a checkpoint 1 second after a message was settled, not earlier (checkPointAfter)', async () => {
    const { clock, store, group, checkpoints } = await groupIn(life)
    const member = group.join()
    await appendEach(store, 's', orders(9))
    for (const message of await receive(member, 9)) message.ack()
    clock.advance(999)
    await settle()
    expect(await checkpointCount(store)).toBe(checkpoints)
    clock.advance(1)
    await settle()
    expect(await checkpointCount(store)).toBe(checkpoints + 1)
    await store.close()
  })

  test('writes none for fewer than 5 settled messages (minCheckPointCount)', async () => {
    const { clock, store, group, checkpoints } = await groupIn(life)
    const member = group.join()
    await appendEach(store, 's', orders(5))
    const messages = await receive(member, 5)
    for (const message of messages.slice(0, 4)) message.ack()
    clock.advance(20_000)
    await settle()
    expect(await checkpointCount(store)).toBe(checkpoints)
    messages[4]!.ack()
    clock.advance(1000)
    await settle()
    expect(await checkpointCount(store)).toBe(checkpoints + 1)
    await store.close()
  })

  test('writes one at once for 1,000 settled messages (maxCheckPointCount)', async () => {
    const { store, group, checkpoints } = await groupIn(life)
    const member = group.join({ bufferSize: 2000 })
    await appendEach(store, 's', orders(1000))
    const messages = await receive(member, 1000)
    for (const message of messages.slice(0, 999)) message.ack()
    await settle()
    expect(await checkpointCount(store)).toBe(checkpoints)
    messages[999]!.ack()
    await settle()
    expect(await checkpointCount(store)).toBe(checkpoints + 1)
    await store.close()
  })

  test('takes any number of members (maxSubscriberCount), and gives the messages to one after the other (RoundRobin)', async () => {
    const { store, group } = await groupIn(life)
    const members = upTo(200).map(() => group.join())
    await appendEach(store, 's', orders(400))
    for (const [index, member] of members.entries()) expect(numbersOf(await receive(member, 2))).toEqual([index, 200 + index])
    await store.close()
  })

  test('begins with the first event, or where its checkpoint says (startFrom)', async () => {
    const { disk, store } = await groupIn(life)
    await appendEach(store, 's', orders(3, EARLIER))
    await store.close()
    const { store: again, group } = await groupScene({}, disk)
    const member = group.join()
    expect(numbersOf(await receive(member, 3))).toEqual([EARLIER, EARLIER + 1, EARLIER + 2])
    expect(await stateOf(member.next())).toBe('pending')
    const fresh = again.group('another')
    const count = life === 'new' ? 3 : EARLIER + 3
    expect(numbersOf(await receive(fresh.join({ bufferSize: 100 }), count))).toHaveLength(count)
    await again.close()
  })
})
