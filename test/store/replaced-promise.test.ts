/** zone.js and bluebird put a `Promise` of their own in the place of the global one: what async functions return is none of those. */
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ConditionFailedError } from '../../src/core/errors.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { openStore, order, orders, rejectionOf, SMALL_CHUNKS } from './words.ts'

const OPTIONS = { ...SMALL_CHUNKS, cacheBytes: 0 }
const ID = '00000000-0000-4000-8000-000000000001'

const { Promise: NativePromise } = globalThis

beforeEach(() => {
  globalThis.Promise = class<T> extends NativePromise<T> {} as PromiseConstructor
})
afterEach(() => {
  globalThis.Promise = NativePromise
})

test('under another global Promise, what stands in index files is found as ever', async () => {
  const disk = new MemoryDisk()
  const first = await openStore(disk, OPTIONS)
  await first.append('early', { type: 'Early', data: 1, id: ID })
  for (const event of orders(200)) await first.append('orders', event)
  await first.close()

  const store = await openStore(disk, OPTIONS)
  expect(await store.append('early', { type: 'Early', data: 1, id: ID })).toMatchObject({ duplicate: true, lastRevision: 0 })
  const conditions = [{ types: ['Early'] }, { streams: ['early'] }, { types: ['Early'], streams: ['early'] }]
  for (const failIf of conditions) {
    const refused = await rejectionOf(store.append('late', order(0), { condition: { failIf, after: 0 } }))
    expect(refused).toBeInstanceOf(ConditionFailedError)
  }
  let count = 0
  for await (const _ of store.readStream('orders')) count++
  expect(count).toBe(200)
  const streams: string[] = []
  for await (const { stream } of store.streams()) streams.push(stream)
  expect(streams.sort()).toEqual(['early', 'orders'])
  expect(await store.head('orders')).toBe(199)
  await store.close()
})
