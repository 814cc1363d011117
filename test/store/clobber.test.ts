/**
 * Does a buffer that is used again corrupt what a reader holds? Recent bytes live in slabs that are reused, blocks in a cache, and
 * what is read is decoded late: so what a read handed out is looked at after megabytes have gone through the same memory.
 */
import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { Random } from '../support/random.ts'
import { all, openStore, sized, upTo } from './words.ts'

const SEED = 'clobber'

/** Appends 40 events that can be told from any others. */
async function appendMarked(store: EventStore): Promise<string[]> {
  const random = new Random(SEED)
  const expected: string[] = []
  for (const number of upTo(40)) {
    const bytes = random.bytes(2000)
    const event =
      number % 2 === 0 ? { type: `T${number}`, data: bytes } : { type: `T${number}`, data: { number, text: hex(bytes) } }
    await store.append(`marked-${number % 3}`, { ...event, metadata: { number } })
    expected.push(`T${number} ${number} ${hex(bytes)}`)
  }
  return expected
}

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString('hex')

/** Decodes an event now, not when it was read. */
function decoded(event: RecordedEvent): string {
  const { number } = event.metadata as { number: number }
  const text = event.contentType === 'binary' ? hex(event.bytes) : (event.data as { text: string }).text
  return `${event.type} ${number} ${text}`
}

async function held(store: EventStore): Promise<RecordedEvent[][]> {
  return [
    await all(store.readAll({ maxCount: 40 })),
    await all(store.readAll({ direction: 'backwards' })).then(events => events.reverse().slice(0, 40)),
    (await Promise.all(upTo(3).map(stream => all(store.readStream(`marked-${stream}`))))).flat(),
  ]
}

/** More than all slabs, kept and free, of bytes that are not those held. */
async function appendMegabytes(store: EventStore): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await store.append('noise', sized(500_000))
}

describe('what a read handed out', () => {
  test("is the reader's: megabytes of appends later it says the same", async () => {
    const store = await openStore(new MemoryDisk(), { chunkSizeBytes: 4 * 2 ** 20 })
    const expected = await appendMarked(store)
    const reads = await held(store)
    await appendMegabytes(store)
    for (const events of reads) expect(events.map(decoded).sort()).toEqual([...expected].sort())
    await store.close()
  })

  test("from files is the reader's, too: the cache forgets its blocks and nothing changes", async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    const expected = await appendMarked(first)
    await first.close()
    const store = await openStore(disk, { cacheBytes: 65_536 })
    const reads = await held(store)
    await appendMegabytes(store)
    await all(store.readStream('noise'))
    for (const events of reads) expect(events.map(decoded).sort()).toEqual([...expected].sort())
    await store.close()
  })

  test('may be overwritten by the reader, and the next read does not see it', async () => {
    for (const cacheBytes of [0, 32 * 2 ** 20]) {
      const disk = new MemoryDisk()
      const first = await openStore(disk)
      const expected = await appendMarked(first)
      for (const store of [first, await openStore(new MemoryDisk(disk.snapshot()), { cacheBytes })]) {
        for (const events of await held(store)) {
          for (const event of events) {
            event.bytes.fill(0xff)
            if (event.contentType === 'binary') (event.data as Uint8Array).fill(0xff)
          }
        }
        for (const events of await held(store)) expect(events.map(decoded).sort()).toEqual([...expected].sort())
        await store.close()
      }
    }
  })

  test('is still there when the store is closed', async () => {
    const store = await openStore()
    const expected = await appendMarked(store)
    const [events] = await held(store)
    await store.close()
    expect(events!.map(decoded)).toEqual(expected)
  })

  test('is left alone by readers beside it and writers before it, from a seed', async () => {
    const random = new Random(`${SEED} together`)
    const store = await openStore(new MemoryDisk(), { chunkSizeBytes: 2 ** 20, cacheBytes: 200_000 })
    const expected = await appendMarked(store)
    const keep: RecordedEvent[][] = []
    await Promise.all([
      (async () => {
        for (let turn = 0; turn < 60; turn++) await store.append('noise', sized(random.int(600_000)))
      })(),
      ...upTo(4).map(async reader => {
        for (let turn = 0; turn < 10; turn++) {
          keep.push(await all(store.readStream(`marked-${(reader + turn) % 3}`)))
          keep.push((await all(store.readAll({ maxCount: 40 }))).slice(0, 40))
        }
      }),
    ])
    const known = new Set(expected)
    for (const events of keep) for (const event of events) expect(known.has(decoded(event))).toBe(true)
    await store.close()
  })
})

describe('what an appender hands in', () => {
  test('is his again when the append has settled', async () => {
    const store = await openStore()
    const data = new Uint8Array(5000).fill(1)
    await store.append('s', { type: 'T', data, metadata: data })
    data.fill(2)
    await store.append('s', { type: 'T', data })
    data.fill(3)
    const read = await all(store.readStream('s'))
    expect(read.map(event => event.bytes[0])).toEqual([1, 2])
    expect((read[0]!.metadata as Uint8Array)[4999]).toBe(1)
    await store.close()
  })
})
