import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { Journals } from '../../src/journals/journals.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { TopicRecord } from '../../src/subscriptions/topic-record.ts'
import { all, appendEach, numbers, openStore, order, orders, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { numberOf, takeNumbers } from './words.ts'

/** What the systems can do from which this one took its ideas: one test for each, named as in the list of them. */

async function withJournals(store: EventStore, scene: (directory: string) => void): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-facts-'))
  try {
    const journals = await Journals.open(store, directory)
    await journals.catchUp()
    await journals.close()
    scene(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

async function takeRecords(records: AsyncIterator<TopicRecord>, count: number): Promise<TopicRecord[]> {
  const taken: TopicRecord[] = []
  while (taken.length < count) taken.push((await records.next()).value as TopicRecord)
  return taken
}

describe('everstore', () => {
  test('E15: journals are text, one event a line, for cat, grep and awk', async () => {
    await withStore({}, async store => {
      await store.append('orders', [order(1), { type: 'OrderShipped', data: { number: 1 } }, order(2)])
      await withJournals(store, directory => {
        const text = execFileSync('cat', ['orders.log'], { cwd: directory, encoding: 'utf8' })
        const rows = text.split('\n').slice(0, -1)
        expect(rows).toHaveLength(3)
        for (const row of rows) expect(row).toMatch(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3} \S+ \S/)
        const script = `grep ' OrderPlaced ' orders.log | cut -f1 | awk '{ print $2, $3 }'`
        const words = execFileSync('sh', ['-c', script], { cwd: directory, encoding: 'utf8' })
        expect(words).toBe('OrderPlaced {"number":1}\nOrderPlaced {"number":2}\n')
      })
    })
  })

  test('E16: what has LF or NUL in it never corrupts a journal', async () => {
    await withStore({}, async store => {
      const text = 'one\ntwo\0three\r\n'
      await store.append('orders', [
        { type: 'Text', data: new Uint8Array(Buffer.from(text)) },
        { type: 'Json', data: { text } },
        { type: 'With\u2028line', data: 1, metadata: { text } },
      ])
      await withJournals(store, directory => {
        const bytes = readFileSync(join(directory, 'orders.log'))
        expect(bytes.filter(byte => byte === 0x0a)).toHaveLength(3)
        expect(bytes.includes(0)).toBe(false)
        expect(bytes.toString().split('\n')[0]).toContain('one\\ntwo\\0three\\r\\n')
      })
    })
  })

  test('E28: an entity loads its snapshot and folds the tail; without snapshots it is the same; the largest size holds', async () => {
    const disk = new MemoryDisk()
    const append = (state: readonly number[], event: RecordedEvent) => [...state, numberOf(event)]
    const first = await openStore(disk, SMALL_CHUNKS)
    await appendEach(first, 'account', orders(100))
    await first.entity('account', append, { initial: [] }).get()
    await appendEach(first, 'account', orders(7, 100))
    await first.close()
    const store = await openStore(disk, SMALL_CHUNKS)
    const folded: number[] = []
    const counting = (state: readonly number[], event: RecordedEvent) => {
      folded.push(numberOf(event))
      return append(state, event)
    }
    expect(await store.entity('account', counting, { initial: [] }).get()).toEqual(upTo(107))
    expect(folded.splice(0)).toEqual(upTo(7).map(number => 100 + number))
    expect(await store.entity('account', counting, { initial: [], snapshotAfterCount: 0 }).get()).toEqual(upTo(107))
    expect(folded).toHaveLength(107)
    const before = await store.head('$snapshot-account')
    await store.entity('account', append, { initial: [], version: 2, snapshotAfterCount: 1, maxSnapshotBytes: 100 }).get()
    expect(await store.head('$snapshot-account')).toBe(before)
    await store.close()
  })

  test('E29: an entity folds only what is new, whoever committed it', async () => {
    await withStore({}, async store => {
      const folded: number[] = []
      const entity = store.entity(
        'account',
        (sum: number, event: RecordedEvent) => {
          folded.push(numberOf(event))
          return sum + numberOf(event)
        },
        { initial: 0 },
      )
      await appendEach(store, 'account', orders(50))
      expect(await entity.get()).toBe(1225)
      folded.length = 0
      await store.commit([
        { stream: 'account', events: orders(2, 50) },
        { stream: 'other', events: orders(9) },
      ])
      expect(await entity.get()).toBe(1326)
      expect(folded).toEqual([50, 51])
    })
  })
})

describe('voik', () => {
  test('V6: iterating from the start gives every record once, in order, over rotations, and ends cleanly', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const topic = store.topic('orders')
      for (const value of upTo(300)) await topic.produce({ value })
      expect(store.lastPosition).toBeGreaterThan(5 * 4096)
      const events = await all(store.readStream('topic-orders-0'))
      expect(events.map(({ data }) => data)).toEqual(upTo(300))
      const records = topic.read(0)
      expect((await takeRecords(records, 300)).map(({ value }) => value)).toEqual(upTo(300))
      const last = records.next()
      await records.return!()
      expect(await last).toMatchObject({ done: true })
    })
  })

  test('V7: from the horizon comes the oldest record that is kept, from an offset the one with that number', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const topic = store.topic('orders')
      for (const value of upTo(200)) await topic.produce({ value })
      const firstOf = async (from: number | 'start') => (await takeRecords(topic.read(0, { from }), 1))[0]
      expect(await firstOf('start')).toMatchObject({ offset: 0, value: 0 })
      expect(await firstOf(150)).toMatchObject({ offset: 150, value: 150 })
      await store.setMetadata('topic-orders-0', { truncateBefore: 120 })
      await store.scavenge()
      expect(await firstOf('start')).toMatchObject({ offset: 120, value: 120 })
      expect(await firstOf(0)).toMatchObject({ offset: 120, value: 120 })
      expect(await firstOf(150)).toMatchObject({ offset: 150, value: 150 })
    })
  })

  test('V17: a record has partition, offset, timestamp, key, value and headers', async () => {
    const clock = { now: () => Date.UTC(2024, 5, 1), monotonic: () => 0, after: () => () => {} }
    await withStore({ clock }, async store => {
      const topic = store.topic('orders', { partitions: 3 })
      const { partition } = await topic.produce({ key: 'a', value: { total: 1 }, headers: { trace: 'x' } })
      await topic.produce({ key: 'a', value: { total: 2 } })
      const [first, second] = await takeRecords(topic.read(partition), 2)
      const timestamp = new Date(Date.UTC(2024, 5, 1))
      expect(first).toEqual({ partition, offset: 0, timestamp, key: 'a', value: { total: 1 }, headers: { trace: 'x' } })
      expect(second).toEqual({ partition, offset: 1, timestamp, key: 'a', value: { total: 2 }, headers: {} })
    })
  })

  test('V19: each topic has its own records', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    for (const value of upTo(10))
      for (const name of ['orders', 'orders-0', 'bills']) await store.topic(name).produce({ value: { name, value } })
    await store.close()
    const again = await openStore(disk)
    for (const name of ['orders', 'orders-0', 'bills']) {
      const records = await takeRecords(again.topic(name).read(0), 10)
      expect(records.map(({ value }) => value)).toEqual(upTo(10).map(value => ({ name, value })))
      expect(await again.topic(name).ends()).toEqual([10])
    }
    await again.close()
  })

  test('V20: a key has one partition for ever, and offsets grow by one in each partition', async () => {
    const disk = new MemoryDisk()
    const partitionOfKey = new Map<string, number>()
    const ends = [0, 0, 0, 0]
    for (const life of upTo(3)) {
      const store = await openStore(disk)
      const topic = store.topic('orders', { partitions: 4 })
      for (const number of upTo(60)) {
        const key = `customer-${number % 20}`
        const { partition, offset } = await topic.produce({ key, value: life })
        expect(partitionOfKey.get(key) ?? partition).toBe(partition)
        partitionOfKey.set(key, partition)
        expect(offset).toBe(ends[partition]!++)
      }
      expect(await topic.ends()).toEqual(ends)
      await store.close()
    }
    expect(new Set(partitionOfKey.values()).size).toBe(4)
  })

  test('V27: a named consumer resumes behind its committed offset', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await appendEach(store, 's', orders(30))
    for (const value of upTo(30)) await store.topic('orders').produce({ value })
    const consumer = store.consumer('mailer', { filter: { streams: ['s'] }, commit: 'explicit' })
    await takeNumbers(consumer, 12)
    await consumer.commit()
    await takeNumbers(consumer, 5)
    const member = store.topic('orders').group('mailers').join()
    await takeRecords(member, 12)
    await member.commit()
    await takeRecords(member, 5)
    await store.close()
    const again = await openStore(disk, SMALL_CHUNKS)
    const rest = upTo(18).map(number => 12 + number)
    expect(await takeNumbers(again.consumer('mailer', { filter: { streams: ['s'] } }), 18)).toEqual(rest)
    const records = await takeRecords(again.topic('orders').group('mailers').join(), 18)
    expect(records.map(({ value }) => value)).toEqual(rest)
    await again.close()
  })
})

/** An id that says from which event another one was made: made twice, it is a duplicate. */
function idFrom({ id }: RecordedEvent): string {
  return `${(Number.parseInt(id[0]!, 16) ^ 8).toString(16)}${id.slice(1)}`
}

/** Orders stand by order; here they are put by customer. Ends when everything is there. */
async function repartition(store: EventStore, upToCount: number): Promise<void> {
  const consumer = store.consumer('by-customer', { filter: { streamPrefix: 'order-' } })
  let count = 0
  for await (const event of consumer) {
    const { customer } = event.data as { customer: number }
    await store.append(`customer-${customer}`, { id: idFrom(event), type: event.type, data: event.data as { number: number } })
    if (++count === upToCount) return
  }
}

describe('event streams', () => {
  test('S6: can be aggregated and repartitioned by projections', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk, SMALL_CHUNKS)
    for (const number of upTo(120)) {
      await first.append(`order-${number % 40}`, { type: 'OrderPlaced', data: { number, customer: number % 7 } })
    }
    // It is stopped amid its work, before it could commit its place: it makes some of them again.
    await repartition(first, 50)
    await first.close()
    const store = await openStore(disk, SMALL_CHUNKS)
    const rest = repartition(store, Number.POSITIVE_INFINITY)
    const projection = store.project({
      name: 'orders-by-customer',
      filter: { streamPrefix: 'order-' },
      initial: {} as Record<string, number>,
      when: {
        OrderPlaced: (counts: Record<string, number>, event: RecordedEvent) => {
          const { customer } = event.data as { customer: number }
          return { ...counts, [customer]: (counts[customer] ?? 0) + 1 }
        },
      },
    })
    const counts: Record<number, number> = await projection.state()
    expect(counts).toEqual(Object.fromEntries(upTo(7).map(customer => [customer, customer === 0 ? 18 : 17])))
    await settle(200)
    for (const customer of upTo(7)) {
      const expected = upTo(120).filter(number => number % 7 === customer)
      expect(await numbers(store.readStream(`customer-${customer}`))).toEqual(expected)
      expect(counts[customer]).toBe(expected.length)
    }
    await store.close()
    await rest
  })
})
