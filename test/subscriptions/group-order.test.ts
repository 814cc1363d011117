import { describe, expect, test } from 'vitest'
import { appendEach, orders, upTo } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { Random } from '../support/random.ts'
import { groupScene, numbersOf, receive } from './group-words.ts'

const STRATEGIES = ['pinned', 'single'] as const

describe.each(STRATEGIES)('%s: a stream of which nothing is retried stays in order', strategy => {
  test('when a member leaves with much, and the next one with little', async () => {
    const { store, group } = await groupScene({ strategy })
    await appendEach(store, 's', orders(5))
    for (const bufferSize of [3, 1]) {
      const member = group.join({ bufferSize })
      await settle()
      await member.return()
    }
    expect(numbersOf(await receive(group.join(), 5))).toEqual(upTo(5))
    await store.close()
  })

  test('when a member stops at the first message of several', async () => {
    const { store, group } = await groupScene({ strategy })
    await appendEach(store, 's', orders(5))
    const [first] = await receive(group.join(), 1)
    await settle()
    first!.nack('stop')
    const messages = await receive(group.join(), 5)
    expect(numbersOf(messages)).toEqual(upTo(5))
    expect(messages.every(({ retryCount }) => retryCount === 0)).toBe(true)
    await store.close()
  })

  test('when a member stops while another one is there', async () => {
    const { store, group } = await groupScene({ strategy })
    const [one, other] = [group.join(), group.join()]
    const asking = [one.next(), other.next()] as const
    await appendEach(store, 's', orders(5))
    const isOnes = (await stateOf(asking[0])) === 'resolved'
    const [stopped, waiting] = isOnes ? asking : [asking[1], asking[0]]
    ;(await stopped).value!.nack('stop')
    const messages = [(await waiting).value!, ...(await receive(isOnes ? other : one, 4))]
    expect(numbersOf(messages)).toEqual(upTo(5))
    await store.close()
  })

  test(`over many members that settle some, and then leave or stop (seed ${strategy})`, async () => {
    const random = new Random(strategy)
    const { store, group } = await groupScene({ strategy })
    await appendEach(store, 's', orders(100))
    let settled = 0
    while (settled < 100) {
      const bufferSize = 1 + random.int(Math.min(10, 100 - settled))
      const member = group.join({ bufferSize })
      const messages = await receive(member, 1 + random.int(bufferSize))
      expect(numbersOf(messages)).toEqual(upTo(messages.length).map(number => settled + number))
      const count = random.int(messages.length + 1)
      for (const message of messages.slice(0, count)) message.ack()
      settled += count
      const rest = messages.slice(count)
      if (rest.length > 0 && random.chance(0.5)) random.pick(rest).nack('stop')
      else await member.return()
    }
    expect(group.stats()).toMatchObject({ acked: 100, retried: 0, waiting: 0 })
    await store.close()
  })
})
