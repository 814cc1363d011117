import { describe, expect, test } from 'vitest'
import { all, appendEach, openStore, order, orders, rejectionOf, SMALL_CHUNKS, sized, upTo } from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { takeNumbers } from './words.ts'

/** A writer, and a reader that follows it; both clocks go on when the test says so. */
async function writerAndReader() {
  const disk = new SimulatedDisk()
  const clock = new ManualClock()
  const writer = await openStore(disk, { ...SMALL_CHUNKS, clock })
  const readerClock = new ManualClock()
  const pass = async () => {
    await settle()
    clock.advance(10)
    await settle()
    readerClock.advance(10)
    await settle()
  }
  await pass()
  const reader = await openStore(disk, { readOnly: true, clock: readerClock })
  const end = async () => {
    await reader.close()
    await writer.close()
  }
  return { disk, writer, reader, readerClock, pass, end }
}

describe('a subscription to a store that another process writes', () => {
  test('gives what is there and then what comes, over roll-overs, without being asked to look', async () => {
    const { writer, reader, pass, end } = await writerAndReader()
    await appendEach(writer, 's', orders(20))
    await pass()
    const subscription = reader.subscribe({ filter: { streams: ['s'] } })
    expect(await takeNumbers(subscription, 20)).toEqual(upTo(20))
    for (const turn of upTo(10)) {
      const taking = takeNumbers(subscription, 20)
      await settle()
      await appendEach(writer, 's', orders(20, 20 * (turn + 1)))
      await writer.append('big', sized(2500))
      await pass()
      expect(await taking).toEqual(upTo(20).map(number => 20 * (turn + 1) + number))
    }
    await end()
  })

  test('to one stream, too', async () => {
    const { writer, reader, pass, end } = await writerAndReader()
    const taking = takeNumbers(reader.subscribe({ stream: 's' }), 2)
    await settle()
    await writer.append('other', order(9))
    await writer.append('s', orders(2))
    await pass()
    expect(await taking).toEqual([0, 1])
    await end()
  })

  test('that begins at the end begins there now, not where the store looked last', async () => {
    const { writer, reader, pass, end } = await writerAndReader()
    await appendEach(writer, 's', orders(5))
    await appendEach(writer, 'topic-t-0', orders(5))
    await pass()
    const subscriptions = [reader.subscribe({ from: 'end' }), reader.subscribe({ from: 'end', stream: 's' })]
    await settle()
    const taking = subscriptions.map(subscription => takeNumbers(subscription, 1))
    await settle()
    await writer.append('s', order(5))
    await pass()
    expect(await Promise.all(taking)).toEqual([[5], [5]])
    await end()
  })

  test('that begins at the end has the filter of the call, though the caller changes his own behind it', async () => {
    const { writer, reader, pass, end } = await writerAndReader()
    const types = ['OrderPlaced']
    const taking = takeNumbers(reader.subscribe({ from: 'end', stream: 's', filter: { types } }), 1)
    types[0] = 'Other'
    await settle()
    await writer.append('s', order(0))
    await pass()
    expect(await stateOf(taking)).toBe('resolved')
    await end()
  })

  test('looks only while somebody waits', async () => {
    const { writer, reader, readerClock, pass, end } = await writerAndReader()
    await writer.append('s', orders(2))
    await pass()
    const subscription = reader.subscribe()
    expect(await takeNumbers(subscription, 2)).toEqual([0, 1])
    expect(readerClock.timerCount).toBe(0)
    const next = subscription.next()
    await settle()
    expect(readerClock.timerCount).toBe(1)
    await subscription.return()
    expect(await next).toMatchObject({ done: true })
    await pass()
    expect(readerClock.timerCount).toBe(0)
    await end()
  })

  test('is told when the log can no longer be read, and so are reads: what is missing is not passed off as the end', async () => {
    const { disk, writer, reader, pass, end } = await writerAndReader()
    const next = reader.subscribe().next()
    expect(await stateOf(next)).toBe('pending')
    disk.failNext({ op: 'read', path: '.chunk', error: 'EIO', times: 'forever' })
    await writer.append('s', order(0))
    await pass()
    expect(await rejectionOf(next)).toMatchObject({ code: 'READ_FAILED' })
    expect(await rejectionOf(all(reader.readAll()))).toMatchObject({ code: 'READ_FAILED' })
    await end()
  })

  test('cannot be a group: what its members settle could not be written down', async () => {
    const { reader, end } = await writerAndReader()
    expect(() => reader.group('workers')).toThrow(expect.objectContaining({ code: 'READ_ONLY_STORE' }))
    await end()
  })

  test('sees of a consumer and of a topic’s group how far they are behind by now, however often it asks', async () => {
    const { writer, reader, pass, end } = await writerAndReader()
    const [mailer, watched] = [writer.consumer('mailer'), reader.consumer('mailer')]
    const [group, watchedGroup] = [writer.topic('t').group('g'), reader.topic('t').group('g')]
    const member = group.join()
    for (const value of upTo(3)) {
      await writer.topic('t').produce({ value })
      await writer.append('s', sized(500))
      await pass()
      expect(await watched.lag()).toBeGreaterThan(500)
      expect(await watchedGroup.lag()).toEqual([{ partition: 0, committed: value, end: value + 1, lag: 1 }])
      await mailer.next()
      await mailer.next()
      await mailer.commit()
      await member.next()
      await member.commit()
      await pass()
      expect(await watched.lag()).toBeLessThan(500)
      expect(await watchedGroup.lag()).toEqual([{ partition: 0, committed: value + 1, end: value + 1, lag: 0 }])
    }
    await end()
  })

  test('ends when its store is closed, while the writer goes on', async () => {
    const { writer, reader, end } = await writerAndReader()
    const next = reader.subscribe().next()
    expect(await stateOf(next)).toBe('pending')
    await reader.close()
    expect(await next).toMatchObject({ done: true })
    await writer.append('s', order(0))
    await end()
  })
})
