import { getEventListeners } from 'node:events'
import { describe, expect, test } from 'vitest'
import { InvalidArgumentError, StoreClosedError } from '../../src/core/errors.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { stableHash } from '../../src/subscriptions/stable-hash.ts'
import type { TopicRecord } from '../../src/subscriptions/topic-record.ts'
import { openStore, rejectionOf, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

async function take(records: AsyncIterator<TopicRecord>, count: number): Promise<TopicRecord[]> {
  const taken: TopicRecord[] = []
  while (taken.length < count) taken.push((await records.next()).value as TopicRecord)
  return taken
}

const valuesOf = (records: readonly TopicRecord[]) => records.map(({ value }) => value)

describe('a topic', () => {
  test('puts a key into one partition, for ever (V19, V20)', async () => {
    // These numbers must never change: records of a key would no longer be in one place.
    expect(['', 'a', 'customer-1', 'customer-2', 'ärger'].map(stableHash)).toEqual([
      2872998923, 444641715, 3902211816, 121537910, 4124644223,
    ])
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 4 })
      for (const key of upTo(50).map(number => `customer-${number % 10}`)) {
        expect((await topic.produce({ key, value: 1 })).partition).toBe(topic.partitionOf(key))
        expect(topic.partitionOf(key)).toBe(stableHash(key) % 4)
      }
    })
  })

  test('takes its first records as it takes all others: as JSON says, and refused where it says nothing', async () => {
    class Money {
      toJSON() {
        return { cents: 5 }
      }
    }
    await withStore({}, async store => {
      const topic = store.topic('payments')
      const unawaited = await rejectionOf(topic.produce({ value: Promise.resolve(1) as never }))
      expect(unawaited).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('got Promise') })
      const value = new Money() as never
      await Promise.all([topic.produce({ value }), topic.produce({ value })])
      await topic.produce({ value })
      expect(valuesOf(await take(topic.read(0), 3))).toEqual([{ cents: 5 }, { cents: 5 }, { cents: 5 }])
    })
  })

  test('spreads keys over its partitions', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 8 })
      const counts = upTo(8).map(() => 0)
      for (const number of upTo(8000)) counts[topic.partitionOf(`customer-${number}`)]!++
      expect(Math.min(...counts)).toBeGreaterThan(850)
      expect(Math.max(...counts)).toBeLessThan(1150)
    })
  })

  test('gives the records of a partition offsets without gaps, in the order of the calls (V20)', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 3 })
      const acks = await Promise.all(upTo(60).map(value => topic.produce({ key: `k-${value % 7}`, value })))
      for (const partition of upTo(3)) {
        const offsets = acks.filter(ack => ack.partition === partition).map(ack => ack.offset)
        expect(offsets).toEqual(upTo(offsets.length))
      }
      expect(await topic.ends()).toEqual(upTo(3).map(partition => acks.filter(ack => ack.partition === partition).length))
    })
  })

  test('without a key goes to one partition after the other', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 3 })
      const acks = await Promise.all(upTo(6).map(value => topic.produce({ value })))
      expect(acks.map(ack => ack.partition)).toEqual([0, 1, 2, 0, 1, 2])
    })
  })

  test('gives back partition, offset, timestamp, key, value and headers (V17)', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders')
      await topic.produce({ key: 'customer-1', value: { total: 12 }, headers: { trace: 'abc' } })
      await topic.produce({ value: new Uint8Array([1, 2, 3]) })
      const [first, second] = await take(topic.read(0), 2)
      expect(first).toMatchObject({ partition: 0, offset: 0, key: 'customer-1', value: { total: 12 }, headers: { trace: 'abc' } })
      expect(first!.timestamp).toBeInstanceOf(Date)
      expect(second).toMatchObject({ offset: 1, key: null, value: new Uint8Array([1, 2, 3]), headers: {} })
    })
  })

  test('is read from an offset, from the end, and on (V6, V7)', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const topic = store.topic('orders')
      for (const value of upTo(100)) await topic.produce({ value })
      expect(valuesOf(await take(topic.read(0), 100))).toEqual(upTo(100))
      expect(valuesOf(await take(topic.read(0, { from: 90 }), 2))).toEqual([90, 91])
      const later = take(topic.read(0, { from: 'end' }), 2)
      await topic.produce({ value: 100 })
      await topic.produce({ value: 101 })
      expect(valuesOf(await later)).toEqual([100, 101])
    })
  })

  test('keeps its number of partitions: another one is refused before a record is written or read', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    await store.topic('orders', { partitions: 3 }).produce({ key: 'a', value: 1 })
    expect(() => store.topic('orders', { partitions: 4 })).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    expect(store.topic('orders')).toBe(store.topic('orders', { partitions: 3 }))
    await store.close()
    const again = await openStore(disk)
    const other = again.topic('orders', { partitions: 4 })
    const wrong = [other.produce({ key: 'a', value: 2 }), other.read(0).next(), other.group('g').join().next(), other.ends()]
    for (const promise of wrong) expect(await rejectionOf(promise)).toMatchObject({ code: 'INVALID_ARGUMENT' })
    await again.close()
  })

  test('that was asked for with another number of partitions than it has is there with its own all the same', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    await store.topic('orders', { partitions: 3 }).produce({ key: 'a', value: 1 })
    await store.close()
    const again = await openStore(disk)
    expect(await rejectionOf(again.topic('orders').produce({ value: 2 }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    const topic = again.topic('orders', { partitions: 3 })
    await topic.produce({ key: 'a', value: 2 })
    expect(valuesOf(await take(topic.read(topic.partitionOf('a')), 2))).toEqual([1, 2])
    expect(again.topic('orders')).toBe(topic)
    await again.close()
  })

  test('whose store is closed before anybody asks just ends what is read of it, also while followers still write', async () => {
    for (const isWriting of [true, false]) {
      const store = await openStore()
      const topic = store.topic('orders')
      await topic.produce({ value: 1 })
      const records = topic.read(0)
      if (isWriting) store.group('workers')
      const closing = store.close()
      expect(await records.next()).toEqual({ value: undefined, done: true })
      await closing
    }
  })

  test('that has another number of partitions holds on to no signal of who wanted to read it', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    await store.topic('orders', { partitions: 3 }).produce({ value: 1 })
    await store.close()
    const again = await openStore(disk)
    const { signal } = new AbortController()
    const records = again.topic('orders').read(0, { signal })
    expect(await rejectionOf(records.next())).toMatchObject({ code: 'INVALID_ARGUMENT' })
    expect(getEventListeners(signal, 'abort')).toEqual([])
    await again.close()
  })

  test('serialises a value inside the call, also the first', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders')
      const value = { total: 1 }
      const first = topic.produce({ value })
      value.total = 2
      await first
      const second = topic.produce({ value })
      value.total = 3
      await second
      expect(valuesOf(await take(topic.read(0), 2))).toEqual([{ total: 1 }, { total: 2 }])
    })
  })

  test('takes no record behind the call of close, also while followers still write what they have to', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders')
      await topic.produce({ value: 1 })
      store.group('workers')
      const closing = store.close()
      expect(await rejectionOf(topic.produce({ value: 2 }))).toMatchObject({ code: 'STORE_CLOSED' })
      expect(() => topic.group('late')).toThrow(StoreClosedError)
      await closing
    })
  })

  test('ends where its next record will be, also when a partition was deleted', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders')
      for (const value of upTo(3)) await topic.produce({ value })
      await store.delete('topic-orders-0')
      expect(await topic.ends()).toEqual([3])
      expect(await topic.group('mailers').lag()).toMatchObject([{ end: 3 }])
      expect(await topic.produce({ value: 3 })).toMatchObject({ offset: 3 })
    })
  })

  test('has a partition for texts alone', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 4 })
      for (const key of [5, undefined, null, ['customer-1'], new Uint8Array(2)] as never[])
        expect(() => topic.partitionOf(key)).toThrow(InvalidArgumentError)
    })
  })

  test.each([
    [null, 'a record must be an object'],
    ['text', 'a record must be an object'],
    [{ value: 1, headers: 5 }, 'headers must be a plain object of texts, got 5'],
    [{ value: 1, headers: null }, 'headers must be a plain object of texts, got null'],
    [{ value: 1, headers: ['a'] }, 'headers must be a plain object of texts, got ["a"]'],
    [{ value: 1, headers: new Map([['trace', 'abc']]) }, 'headers must be a plain object of texts, got Map'],
    [{ value: 1, headers: new Headers({ trace: 'abc' }) }, 'headers must be a plain object of texts, got {}'],
    [{ value: 1, headers: { trace: 'abc', tries: 5 } }, 'header "tries" must be a text, got 5'],
    [{ value: 1, headers: { trace: undefined } }, 'header "trace" must be a text, got undefined'],
    [{ value: 1, headers: { at: new Date(Number.NaN) } }, 'header "at" must be a text, got Invalid Date'],
    [{ value: 1, key: 5 }, 'key must be a text, got 5'],
  ])('refuses the record %j, and nothing is written', async (record, message) => {
    await withStore({}, async store => {
      const topic = store.topic('orders')
      expect(await rejectionOf(topic.produce(record as never))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining(message),
      })
      expect(store.lastPosition).toBe(0)
      expect(await topic.ends()).toEqual([0])
    })
  })

  test('does not have a name under which a group of another topic keeps its offsets', async () => {
    await withStore({}, async store => {
      expect(() => store.topic('group-7-orders2-mailers')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      for (const name of ['group-chat', 'group-', 'my-group-7-a']) await store.topic(name).produce({ value: 1 })
    })
  })

  test.each([[{ partitions: 0 }], [{ partitions: 1.5 }]])('with %j is an InvalidArgumentError', async options => {
    await withStore({}, async store => {
      expect(() => store.topic('orders', options)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      expect(() => store.topic('')).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      const topic = store.topic('orders', { partitions: 2 })
      expect(() => topic.read(2)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    })
  })
})

describe('a group of a topic', () => {
  test('goes on behind its committed offsets after a restart (V27)', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    const topic = store.topic('orders', { partitions: 2 })
    for (const value of upTo(20)) await topic.produce({ value })
    const member = topic.group('mailers').join()
    const first = await take(member, 8)
    await member.commit()
    await take(member, 5)
    await store.close()
    const again = await openStore(disk)
    const rest = await take(again.topic('orders', { partitions: 2 }).group('mailers').join(), 12)
    expect([...valuesOf(first), ...valuesOf(rest)].sort((one, other) => Number(one) - Number(other))).toEqual(upTo(20))
    await again.close()
  })

  test('shows the lag of each partition', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 2 })
      const group = topic.group('mailers')
      for (const value of upTo(10)) await topic.produce({ value })
      expect(await group.lag()).toEqual([
        { partition: 0, committed: 0, end: 5, lag: 5 },
        { partition: 1, committed: 0, end: 5, lag: 5 },
      ])
      const member = group.join()
      const taken = await take(member, 7)
      await member.commit()
      const lags = await group.lag()
      for (const { partition, committed, lag } of lags) {
        expect(committed).toBe(taken.filter(record => record.partition === partition).length)
        expect(lag).toBe(5 - committed)
      }
    })
  })

  test('shares the partitions out among its members, anew when one comes or goes', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 4 })
      const group = topic.group('mailers')
      const one = group.join()
      expect(one.partitions).toEqual([0, 1, 2, 3])
      const other = group.join()
      expect([one.partitions, other.partitions]).toEqual([
        [0, 2],
        [1, 3],
      ])
      for (const value of upTo(8)) await topic.produce({ value })
      const [ofOne, ofOther] = await Promise.all([take(one, 4), take(other, 4)])
      expect(new Set(ofOne.map(record => record.partition))).toEqual(new Set([0, 2]))
      expect(new Set(ofOther.map(record => record.partition))).toEqual(new Set([1, 3]))
      await other.commit()
      await other.return()
      expect(one.partitions).toEqual([0, 1, 2, 3])
      await Promise.all(upTo(4).map(value => topic.produce({ value: 8 + value })))
      // What it had taken itself does not come again, nor what the other one had committed.
      expect(valuesOf(await take(one, 4)).sort()).toEqual([10, 11, 8, 9])
    })
  })

  test('gives what a member did not commit to the one who gets its partition', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 1 })
      const group = topic.group('mailers')
      const [one, idle] = [group.join(), group.join()]
      for (const value of upTo(4)) await topic.produce({ value })
      const waiting = idle.next()
      await take(one, 2)
      await one.commit()
      await take(one, 1)
      expect(await stateOf(waiting)).toBe('pending')
      await one.return()
      expect((await waiting).value).toMatchObject({ offset: 2 })
    })
  })

  test('a commit that is refused leaves the other members, and the next one, as they were', async () => {
    // At some of these moments the other member waits for what the commit will leave.
    for (const turns of upTo(40)) {
      await withStore({ maxPendingAppends: 1 }, async store => {
        const topic = store.topic('orders', { partitions: 2 })
        for (const value of upTo(10)) await topic.produce({ value })
        const group = topic.group('mailers')
        const one = group.join()
        const taken = await take(one, 4)
        const other = group.join()
        const waiting = other.next()
        for (const _ of upTo(turns)) await null
        const elsewhere = store.append('elsewhere', { type: 't', data: 1 })
        expect(await rejectionOf(one.commit())).toMatchObject({ code: 'QUEUE_FULL' })
        await elsewhere
        expect((await waiting).value, `after ${turns} turns`).toMatchObject({ partition: 1, offset: 0 })
        await one.commit()
        expect((await group.lag())[0]!.committed).toBe(taken.filter(({ partition }) => partition === 0).length)
      })
    }
  })

  test.each([0, 1, 2])('a member goes on with its other partitions when partition %i can never be read', async dead => {
    await withStore({}, async store => {
      const topic = store.topic('orders', { partitions: 3 })
      for (const value of upTo(9)) await topic.produce({ value })
      await store.tombstone(`topic-orders-${dead}`)
      const member = topic.group('mailers').join()
      const taken: TopicRecord[] = []
      for (const _ of upTo(20)) {
        const { value } = await member.next().catch((error: { code: string }) => {
          expect(error.code).toBe('STREAM_DELETED')
          return { value: undefined }
        })
        if (value !== undefined) taken.push(value)
      }
      for (const partition of upTo(3)) {
        const offsets = taken.filter(record => record.partition === partition).map(({ offset }) => offset)
        expect(offsets).toEqual(partition === dead ? [] : upTo(3))
      }
    })
  })

  test('a member goes on after a read that failed, with what it had not handed out', async () => {
    const disk = new SimulatedDisk()
    const options = { ...SMALL_CHUNKS, cacheBytes: 0 }
    const store = await openStore(disk, options)
    const value = 'x'.repeat(2000)
    for (const _ of upTo(200)) await store.topic('orders', { partitions: 2 }).produce({ value })
    await store.close()
    const again = await openStore(disk, options)
    const member = again.topic('orders', { partitions: 2 }).group('mailers').join()
    const taken: TopicRecord[] = []
    let planned = 0
    let failures = 0
    while (taken.length < 200 && failures < 10) {
      if (taken.length === 40 * planned) {
        disk.failNext({ op: 'read', error: 'EIO' })
        planned++
      }
      const { value } = await member.next().catch((error: { code: string }) => {
        expect(error.code).toBe('READ_FAILED')
        failures++
        return { value: undefined }
      })
      if (value !== undefined) taken.push(value)
    }
    expect(failures).toBeGreaterThan(0)
    for (const partition of upTo(2)) {
      expect(taken.filter(record => record.partition === partition).map(({ offset }) => offset)).toEqual(upTo(100))
    }
    await again.close()
  })

  test('each has its own place', async () => {
    await withStore({}, async store => {
      const topic = store.topic('orders')
      await topic.produce({ value: 1 })
      for (const name of ['mailers', 'auditors']) {
        const member = topic.group(name).join()
        expect(valuesOf(await take(member, 1))).toEqual([1])
        await member.commit()
      }
    })
  })

  test('a member ends by its signal, by return, and with the store', async () => {
    const store = await openStore()
    const group = store.topic('orders', { partitions: 2 }).group('mailers')
    const controller = new AbortController()
    const [one, other, last] = [group.join({ signal: controller.signal }), group.join(), group.join()]
    const waiting = [one, other, last].map(member => member.next())
    await settle()
    const reason = new Error('enough')
    controller.abort(reason)
    expect(await rejectionOf(waiting[0]!)).toBe(reason)
    await other.return()
    expect(await waiting[1]).toMatchObject({ done: true })
    expect(last.partitions).toEqual([0, 1])
    await store.close()
    expect(await waiting[2]).toMatchObject({ done: true })
  })
})
