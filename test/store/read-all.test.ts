import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { Random } from '../support/random.ts'
import { all, numbers, openStore, order, orders, positions, rejectionOf, SMALL_CHUNKS, sized, upTo, withStore } from './words.ts'

const SEED = 'read all'

/** The same log twice: in the store that wrote it, which has it in memory, and in one that was opened later. */
let fresh: EventStore
let reopened: EventStore
let log: number[]

beforeAll(async () => {
  const random = new Random(SEED)
  const disk = new MemoryDisk()
  fresh = await openStore(disk, SMALL_CHUNKS)
  for (let turn = 0; turn < 80; turn++) {
    await fresh.append(`stream-${turn % 3}`, random.chance(0.3) ? orders(1 + random.int(4)) : sized(random.int(700)))
  }
  log = await positions(fresh.readAll())
  reopened = await openStore(new MemoryDisk(disk.snapshot()), SMALL_CHUNKS)
})

afterAll(async () => {
  await fresh.close()
  await reopened.close()
})

const stores = () => [['in memory', fresh] as const, ['from files', reopened] as const]

describe(`readAll (seed ${SEED})`, () => {
  test('gives all events of all streams in the order of their positions', async () => {
    for (const [where, store] of stores()) expect(await positions(store.readAll()), where).toEqual(log)
    expect(log).toEqual([...log].sort((one, other) => one - other))
    expect(new Set(log).size).toBe(log.length)
    expect(Math.max(...log)).toBe(fresh.lastPosition)
  })

  test('backwards gives the same, newest first', async () => {
    for (const [where, store] of stores()) {
      expect(await positions(store.readAll({ direction: 'backwards' })), where).toEqual([...log].reverse())
    }
  })

  test('from one behind the last event gives nothing: so one asks for what is new', async () => {
    for (const [where, store] of stores())
      expect(await positions(store.readAll({ from: store.lastPosition + 1 })), where).toEqual([])
  })

  test('from one behind any event gives the next, over all chunk boundaries', async () => {
    for (const [where, store] of stores()) {
      for (const [index, position] of log.entries()) {
        expect(await positions(store.readAll({ from: position + 1, maxCount: 2 })), `${where}: ${position}`).toEqual(
          log.slice(index + 1, index + 3),
        )
      }
    }
  })

  test('from the position of an event gives it first, in both directions', async () => {
    for (const [where, store] of stores()) {
      for (const [index, position] of log.entries()) {
        expect(await positions(store.readAll({ from: position, maxCount: 2 })), where).toEqual(log.slice(index, index + 2))
        expect(await positions(store.readAll({ from: position, maxCount: 2, direction: 'backwards' })), where).toEqual(
          log.slice(Math.max(0, index - 1), index + 1).reverse(),
        )
      }
    }
  })

  test('from any position gives what comes at or behind it, and backwards what comes at or before it', async () => {
    for (const [where, store] of stores()) {
      for (let position = 0; position < store.lastPosition + 200; position += 61) {
        const forwards = log.filter(at => at >= position)
        expect(await positions(store.readAll({ from: position })), `${where}: forwards from ${position}`).toEqual(forwards)
        const backwards = log.filter(at => at <= position).reverse()
        const read = await positions(store.readAll({ from: position, direction: 'backwards' }))
        expect(read, `${where}: backwards from ${position}`).toEqual(backwards)
      }
    }
  })

  test('from start and from end', async () => {
    for (const [where, store] of stores()) {
      expect(await positions(store.readAll({ from: 'start' })), where).toEqual(log)
      expect(await positions(store.readAll({ from: 'end' })), where).toEqual([])
      expect(await positions(store.readAll({ from: 'start', direction: 'backwards' })), where).toEqual(log.slice(0, 1))
      expect(await positions(store.readAll({ from: 'end', direction: 'backwards' })), where).toEqual([...log].reverse())
      expect(await positions(store.readAll({ from: Number.MAX_SAFE_INTEGER })), where).toEqual([])
      expect(await positions(store.readAll({ from: Number.MAX_SAFE_INTEGER, direction: 'backwards' })), where).toHaveLength(
        log.length,
      )
    }
  })

  test('in pages of any size, forwards and back, misses nothing and gives nothing twice (KurrentDB 59)', async () => {
    for (const [where, store] of stores()) {
      for (const maxCount of [1, 2, 7, 50]) {
        const forwards: number[] = []
        for (let from = 0; ; ) {
          const page = await positions(store.readAll({ from, maxCount }))
          if (page.length === 0) break
          forwards.push(...page)
          from = page.at(-1)! + 1
        }
        expect(forwards, `${where}, ${maxCount} a page`).toEqual(log)
        const back: number[] = []
        for (let from = store.lastPosition as number; from >= 0; ) {
          const page = await positions(store.readAll({ from, maxCount, direction: 'backwards' }))
          if (page.length === 0) break
          back.push(...page)
          from = page.at(-1)! - 1
        }
        expect(back, `${where}, ${maxCount} a page, backwards`).toEqual([...log].reverse())
      }
    }
  })

  test('with maxCount gives at most so many, and of 0 none', async () => {
    for (const [where, store] of stores()) {
      for (const maxCount of [0, 1, 5, log.length, log.length + 1]) {
        expect(await positions(store.readAll({ maxCount })), where).toEqual(log.slice(0, maxCount))
      }
    }
  })

  test('in batches gives the same events', async () => {
    for (const [where, store] of stores()) {
      const batches: (readonly RecordedEvent[])[] = await all(store.readAll().batches())
      expect(batches.every(batch => batch.length > 0)).toBe(true)
      expect(
        batches.flat().map(event => event.position as number),
        where,
      ).toEqual(log)
    }
  })
})

describe('a read of the log', () => {
  test('of an empty store is empty, in both directions and from anywhere', async () => {
    await withStore({}, async store => {
      for (const from of ['start', 'end', 0, 128, 5000] as const) {
        expect(await all(store.readAll({ from }))).toEqual([])
        expect(await all(store.readAll({ from, direction: 'backwards' }))).toEqual([])
      }
    })
  })

  test('ends where the log ended at its first next(), whatever is appended meanwhile', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await Promise.all(orders(100).map(event => store.append('s', event)))
      const reading = store.readAll()[Symbol.asyncIterator]()
      await store.append('s', order(100))
      const seen = [(await reading.next()).value.data.number]
      for (const number of upTo(200)) await store.append('s', order(101 + number))
      for (let next = await reading.next(); !next.done; next = await reading.next()) {
        seen.push((next.value.data as { number: number }).number)
      }
      expect(seen).toEqual(upTo(101))
    })
  })

  test('ends there also when its chunk is completed and forgotten by the memory in the middle of the read', async () => {
    await withStore({ chunkSizeBytes: 2 ** 20 }, async store => {
      await Promise.all(upTo(600).map(number => store.append('s', { type: 'T', data: { number, padding: 'x'.repeat(900) } })))
      const reading = store.readAll()[Symbol.asyncIterator]()
      const seen = [((await reading.next()).value.data as { number: number }).number]
      // More than the slabs that are kept: the read goes on in the file, of a chunk that has meanwhile more records.
      for (let turn = 0; turn < 20; turn++) await store.append('other', sized(900_000))
      for (let next = await reading.next(); !next.done; next = await reading.next()) {
        seen.push((next.value.data as { number: number }).number)
      }
      expect(seen).toEqual(upTo(600))
    })
  })

  test('backwards through completed chunks larger than a batch gives everything', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk, { chunkSizeBytes: 2 ** 20 })
    await Promise.all(upTo(1500).map(number => first.append('s', { type: 'T', data: { number, padding: 'x'.repeat(900) } })))
    await first.close()
    const store = await openStore(disk, { readOnly: true })
    expect(await numbers(store.readAll({ direction: 'backwards' }))).toEqual(upTo(1500).reverse())
    await store.close()
  })

  test('backwards in batches that end anywhere in a record gives everything', async () => {
    await withStore({}, async store => {
      for (const size of [1, 3, 7, 20]) {
        await Promise.all(upTo(7000).map(number => store.append('s', { type: 'x'.repeat(size), data: { number } })))
      }
      expect(await numbers(store.readAll({ direction: 'backwards' }))).toHaveLength(28_000)
    })
  })

  test('begins anew with each iteration', async () => {
    await withStore({}, async store => {
      const reading = store.readAll()
      await store.append('s', order(0))
      expect(await numbers(reading)).toEqual([0])
      await store.append('s', order(1))
      expect(await numbers(reading)).toEqual([0, 1])
      expect((await all(reading.batches())).flat()).toHaveLength(2)
    })
  })

  test('that is broken off can be left where it is', async () => {
    await withStore({}, async store => {
      await store.append('s', orders(10))
      for await (const event of store.readAll()) if (event.revision === 3) break
      const reading = store.readAll()[Symbol.asyncIterator]()
      await reading.next()
      expect(await reading.return!()).toMatchObject({ done: true })
      expect(await reading.next()).toMatchObject({ done: true })
    })
  })

  test('never takes a payload for a record, whatever position it is asked for', async () => {
    const disk = new MemoryDisk()
    const writer = await openStore(disk, SMALL_CHUNKS)
    await writer.append('s', order(0))
    const [real] = await all(writer.readAll())
    const at = 128 + 46 + 's'.length + 'OrderPlaced'.length + real!.bytes.length + 46 + 's'.length + 'Forged'.length
    // The record of the first event, as it stands in the file, moved to where the payload will stand.
    const record = Buffer.from(
      disk
        .snapshot()
        .get('/data/000000.chunk')!
        .subarray(128, 128 + 46 + 1 + 11 + real!.bytes.length),
    )
    record.writeBigUInt64LE(BigInt(at), 8)
    await writer.append('s', { type: 'Forged', data: record })
    for (let turn = 0; turn < 5; turn++) await writer.append('s', sized(3000))
    await writer.close()
    const store = await openStore(disk)
    const expected = (await positions(store.readAll())).filter(position => position >= at)
    expect(await positions(store.readAll({ from: at }))).toEqual(expected)
    await store.close()
  })
})

describe('a call that is wrong', () => {
  test.each([
    [{ from: -1 }],
    [{ from: 1.5 }],
    [{ from: 'middle' as never }],
    [{ from: Number.NaN }],
    [{ direction: 'sideways' as never }],
    [{ maxCount: -1 }],
    [{ maxCount: 1.5 }],
    [{ maxCount: '3' as never }],
  ])('%o is an InvalidArgumentError', async options => {
    await withStore({}, async store => {
      const call = async () => all(store.readAll(options))
      expect(await rejectionOf(call())).toMatchObject({ code: 'INVALID_ARGUMENT' })
      const other = async () => all(store.readStream('s', options))
      expect(await rejectionOf(other())).toMatchObject({ code: 'INVALID_ARGUMENT' })
    })
  })
})
