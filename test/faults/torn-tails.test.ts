import { describe, expect, test } from 'vitest'
import { type CorruptLogError, UnsupportedFormatError } from '../../src/core/errors.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { COMMIT_RECORD_SIZE, PROOF_RECORD_SIZE } from '../../src/format/log-record.ts'
import { rejectionOf } from '../support/promises.ts'
import { Random } from '../support/random.ts'
import { eventsOf, typesIn } from '../support/readings.ts'
import { appendEvents, changed, contentOf, fileOf, nonZeroEnd, openStore, recordEnd } from '../support/store-content.ts'

const CHUNK = fileOf(0)
const options = { chunkSizeBytes: 8192 }
const event = (type: string, size: number) => ({ type, data: new Uint8Array(size).fill(7) })
const last = [event('a', 300), event('b', 700), event('c', 20)]

/** Two appends that were proven, and one of three events of which nothing says that it was durable. */
async function unprovenTail() {
  const content = await contentOf(
    async store => {
      await appendEvents(store, 2)
      await store.append('orders', last)
    },
    { ...options, isKilled: true },
  )
  const bytes = content.get(CHUNK)!
  const events = await eventsOf(await openStore(content, options))
  const start = events[2]!.position as number
  return { content, start, end: recordEnd(bytes, events[4]!.position) + COMMIT_RECORD_SIZE }
}

/** Opens the store, checks that the torn append is gone and reported, and that the log goes on behind what was whole. */
async function expectTruncated(content: Map<string, Uint8Array>, start: number): Promise<void> {
  const disk = new MemoryDisk(content)
  const store = await openStore(disk, options)
  expect(store.recovery).toMatchObject({ clean: false, events: 2 })
  // A whole record ends with up to three zeros, which count.
  const shown = Math.max(0, nonZeroEnd(content.get(CHUNK)!) - start)
  expect(store.recovery.truncatedBytes).toBeGreaterThanOrEqual(shown)
  expect(store.recovery.truncatedBytes).toBeLessThanOrEqual(shown + 3)
  expect(await typesIn(store)).toEqual(['0', '1'])
  await store.append('orders', event('after', 10), { expectedRevision: 1 })
  await store.close()
  const again = await openStore(disk, options)
  expect(again.recovery).toMatchObject({ clean: true, events: 3, truncatedBytes: 0 })
  expect(await typesIn(again)).toEqual(['0', '1', 'after'])
}

describe('an append that was torn by a crash', () => {
  test('wholly there, it is kept: it may have been acked', async () => {
    const { content } = await unprovenTail()
    const store = await openStore(content, options)
    expect(store.recovery).toMatchObject({ clean: false, events: 5, truncatedBytes: 0 })
    expect(await typesIn(store)).toEqual(['0', '1', 'a', 'b', 'c'])
  })

  test('cut at every byte, with zeros behind or with the end of the file: nothing of it is there', async () => {
    const { content, start, end } = await unprovenTail()
    for (let cut = start; cut < end; cut++) {
      const zeroed = changed(content, CHUNK, bytes => bytes.fill(0, cut))
      // Its last bytes are zero: to lose them is to lose nothing, as long as the file has its length.
      if (cut < nonZeroEnd(content.get(CHUNK)!)) await expectTruncated(zeroed, start)
      const cutOff = changed(content, CHUNK, bytes => bytes.slice(0, cut))
      await expectTruncated(cutOff, start)
    }
  })

  test('any of its sectors zero or garbage: nothing of it is there', async () => {
    const { content, start, end } = await unprovenTail()
    const random = new Random('sectors')
    for (let sector = Math.floor(start / 512); sector * 512 < end; sector++) {
      const from = Math.max(start, sector * 512)
      const to = Math.min(end, (sector + 1) * 512)
      for (const damage of [new Uint8Array(to - from), random.bytes(to - from)]) {
        const torn = changed(content, CHUNK, bytes => bytes.set(damage, from))
        await expectTruncated(torn, start)
      }
    }
  })

  test('all its events are there, but not their commit: nothing of it is there', async () => {
    const { content, start, end } = await unprovenTail()
    const uncommitted = changed(content, CHUNK, bytes => bytes.fill(0, end - COMMIT_RECORD_SIZE, end))
    await expectTruncated(uncommitted, start)
  })

  test('a log of nothing but a torn append opens empty', async () => {
    const content = await contentOf(store => store.append('orders', last), { ...options, isKilled: true })
    const torn = changed(content, CHUNK, bytes => bytes.fill(0, 128 + 50))
    const store = await openStore(torn, options)
    expect(store.recovery).toMatchObject({ clean: false, events: 0, truncatedBytes: 50 })
    expect(await store.exists('orders')).toBe(false)
    await store.append('orders', last, { expectedRevision: 'no_stream' })
  })
})

describe('damage to what was acknowledged', () => {
  test('any bit of a record with a proof behind it: the store is not opened, and nothing in it is changed', async () => {
    const content = await contentOf(store => appendEvents(store, 3, 30), options)
    const events = await eventsOf(await openStore(content, options))
    for (const { position } of events) {
      const start = position as number
      for (let bit = start * 8; bit < recordEnd(content.get(CHUNK)!, start) * 8; bit++) {
        const damaged = changed(content, CHUNK, bytes => {
          bytes[bit >> 3]! ^= 1 << (bit & 7)
        })
        const disk = new MemoryDisk(damaged)
        const refusal = await rejectionOf<CorruptLogError>(openStore(disk, options))
        expect(refusal).toMatchObject({ code: 'CORRUPT_LOG', file: CHUNK, position: start })
        expect(Buffer.compare(disk.snapshot().get(CHUNK)!, damaged.get(CHUNK)!)).toBe(0)
      }
    }
  })

  test('the same with nothing but another append behind it', async () => {
    const content = await contentOf(store => appendEvents(store, 3), { ...options, isKilled: true })
    const [first] = await eventsOf(await openStore(content, options))
    const damaged = changed(content, CHUNK, bytes => bytes.fill(0xff, first!.position + 60, first!.position + 70))
    expect(await rejectionOf(openStore(damaged, options))).toMatchObject({ code: 'CORRUPT_LOG', position: first!.position })
    expect(await rejectionOf(openStore(damaged, { ...options, readOnly: true }))).toMatchObject({ code: 'CORRUPT_LOG' })
  })

  test('an append that lost its end, though an append stands behind it', async () => {
    const content = await contentOf(
      async store => {
        await store.append('orders', last)
        await appendEvents(store, 1)
      },
      { ...options, isKilled: true },
    )
    const [, , , behind] = await eventsOf(await openStore(content, options))
    const damaged = changed(content, CHUNK, bytes => bytes.fill(0, behind!.position - COMMIT_RECORD_SIZE, behind!.position))
    expect(await rejectionOf(openStore(damaged, options))).toMatchObject({ code: 'CORRUPT_LOG', file: CHUNK })
  })

  test('a file cut below what the hint says was durable', async () => {
    const content = await contentOf(store => appendEvents(store, 3), options)
    const [last] = (await eventsOf(await openStore(content, options))).slice(-1)
    const end = recordEnd(content.get(CHUNK)!, last!.position) + PROOF_RECORD_SIZE
    for (const size of [end - 1, end - PROOF_RECORD_SIZE, end - 40, 200, 128]) {
      const cut = changed(content, CHUNK, bytes => bytes.slice(0, size))
      expect(await rejectionOf(openStore(cut, options))).toMatchObject({ code: 'CORRUPT_LOG', file: CHUNK })
    }
  })

  test('a sector of one place at another, of this chunk or of another one', async () => {
    const content = await contentOf(store => appendEvents(store, 12, 1000), options)
    for (const [from, to] of [
      [1, 3],
      [3, 1],
      [2, 9],
    ] as const) {
      const misplaced = changed(content, CHUNK, bytes => bytes.copyWithin(to * 512, from * 512, (from + 1) * 512))
      expect(await rejectionOf(readAllOf(misplaced))).toMatchObject({ code: 'CORRUPT_LOG' })
      const other = content.get(fileOf(1))!
      const foreign = changed(content, CHUNK, bytes => bytes.set(other.subarray(from * 512, (from + 1) * 512), to * 512))
      expect(await rejectionOf(readAllOf(foreign))).toMatchObject({ code: 'CORRUPT_LOG', file: CHUNK })
    }
  })
})

async function readAllOf(content: Map<string, Uint8Array>): Promise<string[]> {
  return typesIn(await openStore(content, options))
}

test('zeros are no record, however many: an empty chunk is empty', async () => {
  const content = await contentOf(async () => {}, options)
  const store = await openStore(content, options)
  expect(store.recovery).toMatchObject({ clean: true, events: 0, truncatedBytes: 0 })
})

test('a chunk of a newer format is refused by name, not as damage', async () => {
  const content = await contentOf(store => appendEvents(store, 1), options)
  const newer = changed(content, CHUNK, bytes => {
    bytes[8] = 9
  })
  const refusal = await rejectionOf<UnsupportedFormatError>(openStore(newer, options))
  expect(refusal).toBeInstanceOf(UnsupportedFormatError)
  expect(refusal.message).toContain(CHUNK)
})
