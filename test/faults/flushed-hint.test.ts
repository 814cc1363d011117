import { beforeAll, describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import { decodeFlushedSlot, encodeFlushedSlot } from '../../src/format/flushed-slot.ts'
import { PROOF_RECORD_SIZE } from '../../src/format/log-record.ts'
import { rejectionOf } from '../support/promises.ts'
import { eventsOf, typesIn } from '../support/readings.ts'
import { appendEvents, changed, contentOf, fileOf, openStore, recordEnd } from '../support/store-content.ts'

const HINT = fileOf('flushed')
const options = { chunkSizeBytes: 8192 }
type Content = Map<string, Uint8Array>

/** The hint is never needed: with any of these, everything is found. It is only evidence, when it says that more was durable. */
const closed = () => contentOf(store => appendEvents(store, 10, 1000), options)
const killed = () => contentOf(store => appendEvents(store, 10, 1000), { ...options, isKilled: true })
const types = Array.from({ length: 10 }, (_, index) => String(index))

let foreign: Uint8Array
beforeAll(async () => {
  foreign = (await contentOf(store => appendEvents(store, 20, 1000), options)).get(HINT)!
})

const harmless: [string, (bytes: Uint8Array) => unknown][] = [
  ['missing', () => null],
  ['empty', () => new Uint8Array(0)],
  ['short', bytes => bytes.slice(0, 63)],
  ['longer', bytes => Buffer.concat([bytes, Buffer.alloc(200, 9)])],
  ['zeros', bytes => bytes.fill(0)],
  ['garbage', () => new Uint8Array(64).fill(0xa5)],
  ['torn', bytes => bytes.fill(0, 32)],
  ['of another store, and far ahead', () => foreign],
  ['of a version to come', bytes => bytes.fill(9, 8, 9)],
]

describe.each<[string, () => Promise<Content>]>([
  ['after a close', closed],
  ['after a kill', killed],
])('%s', (_, made) => {
  test.each(harmless)('a hint that is %s is no hint', async (_, change) => {
    const content = changed(await made(), HINT, change)
    const store = await openStore(content, options)
    expect(store.recovery).toMatchObject({ events: 10, truncatedBytes: 0 })
    expect(await typesIn(store)).toEqual(types)
    await store.append('orders', { type: 'after', data: 1 }, { expectedRevision: 9 })
    await store.close()
  })

  test('an old hint is as good as none', async () => {
    const old = (await contentOf(store => appendEvents(store, 1), options)).get(HINT)!
    const content = await made()
    const storeId = content.get(fileOf(0))!.subarray(16, 32)
    const { position } = decodeFlushedSlot(old)!
    const stale = changed(content, HINT, () => new Uint8Array(encodeFlushedSlot({ storeId, position })))
    expect(await typesIn(await openStore(stale, options))).toEqual(types)
  })

  test('any bit of it flipped: it is no hint, or it says the same', async () => {
    const content = await made()
    const size = content.get(HINT)!.length
    for (let bit = 0; bit < size * 8; bit++) {
      const flipped = changed(content, HINT, bytes => {
        bytes[bit >> 3]! ^= 1 << (bit & 7)
      })
      const store = await openStore(flipped, options)
      expect(store.recovery.events).toBe(10)
      await store.close()
    }
  })

  test.each([1, 28, 1000, 5000, 100_000])('a hint %i bytes ahead of the log: something that was durable is lost', async ahead => {
    const content = await made()
    const storeId = content.get(fileOf(0))!.subarray(16, 32)
    const events = await eventsOf(await openStore(content, options))
    const lastRecord = events.at(-1)!.position
    const end = 8192 + recordEnd(content.get(fileOf(1))!, lastRecord - 8192)
    const position = (end + PROOF_RECORD_SIZE + ahead) as LogPosition
    const lying = changed(content, HINT, () => new Uint8Array(encodeFlushedSlot({ storeId, position })))
    for (const mode of [options, { ...options, readOnly: true }]) {
      expect(await rejectionOf(openStore(lying, mode))).toMatchObject({ code: 'CORRUPT_LOG' })
    }
  })
})

test('the hint is never taken for the position to write at', async () => {
  const content = await closed()
  const zeroed = changed(content, HINT, bytes => bytes.fill(0))
  const store = await openStore(zeroed, options)
  const ack = await store.append('orders', { type: 'after', data: 1 })
  expect(ack.position).toBeGreaterThan(8192)
  expect(await typesIn(store)).toEqual([...types, 'after'])
})
