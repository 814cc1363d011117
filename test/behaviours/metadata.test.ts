/** Behaviours 45 to 49 of KurrentDB's engine: what is kept of a stream. Where Tailrace differs, the test says why. */
import { describe, expect, test } from 'vitest'
import type { StreamMetadata } from '../../src/core/stream-metadata.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { all, openStore, orders, rejectionOf, revisions, upTo, withStore } from '../store/words.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { backwards, event, events, read, withEvents } from './words.ts'

const WRONG = { code: 'WRONG_EXPECTED_REVISION' }

describe('behaviour 45: maxCount', () => {
  test('shows the last n, forwards and backwards; readAll still has all', async () => {
    await withEvents(10, async store => {
      await store.setMetadata('s', { maxCount: 3 })
      expect(await read(store)).toEqual([7, 8, 9])
      expect(await backwards(store)).toEqual([9, 8, 7])
      expect(await revisions(store.readAll())).toEqual(upTo(10))
      expect(await all(store.streams())).toEqual([{ stream: 's', firstRevision: 7, lastRevision: 9 }])
    })
  })

  test('a read from below goes on at the first that is kept; one that ends below is empty', async () => {
    await withEvents(10, async store => {
      await store.setMetadata('s', { maxCount: 3 })
      expect(await read(store, { from: 2, maxCount: 2 })).toEqual([7, 8])
      expect(await backwards(store, { from: 5 })).toEqual([])
      expect(await backwards(store, { from: 8, maxCount: 5 })).toEqual([8, 7])
    })
  })

  test('moves on with each append', async () => {
    await withEvents(3, async store => {
      await store.setMetadata('s', { maxCount: 2 })
      await store.append('s', events(0, 4))
      expect(await read(store)).toEqual([5, 6])
    })
  })
})

describe('behaviour 46: maxAge', () => {
  async function aged(metadata: StreamMetadata, check: (store: EventStore) => Promise<void>): Promise<void> {
    const clock = new ManualClock()
    await withStore({ clock, chunkSizeBytes: 4096 }, async store => {
      for (const order of orders(10)) {
        await store.append('s', order)
        clock.advance(1000)
      }
      await store.setMetadata('s', metadata)
      await check(store)
      clock.advance(60_000)
      expect(await read(store)).toEqual([])
      expect(await backwards(store)).toEqual([])
    })
  }

  test('shows young events only; when all are old the stream is there, and empty', async () => {
    await aged({ maxAge: 4 }, async store => {
      expect(await read(store)).toEqual([6, 7, 8, 9])
      expect(await backwards(store, { maxCount: 3 })).toEqual([9, 8, 7])
      expect(await read(store, { from: 2, maxCount: 2 })).toEqual([6, 7])
    })
  })

  test('together with maxCount and truncateBefore the strictest wins', async () => {
    await aged({ maxAge: 4, maxCount: 3, truncateBefore: 8 }, async store => {
      expect(await read(store)).toEqual([8, 9])
      await store.setMetadata('s', { maxAge: 4, maxCount: 3, truncateBefore: 2 })
      expect(await read(store)).toEqual([7, 8, 9])
      await store.setMetadata('s', { maxAge: 4, maxCount: 8, truncateBefore: 2 })
      expect(await read(store)).toEqual([6, 7, 8, 9])
    })
  })
})

describe('behaviour 47: metadata that makes no sense', () => {
  // KurrentDB takes anything and ignores the whole of it when a field is wrong. We refuse it where it is said.
  test.each([
    { maxCount: 0 },
    { maxCount: -1 },
    { maxCount: 1.5 },
    { maxCount: 2 ** 60 },
    { maxCount: '3' },
    { maxAge: 0 },
    { truncateBefore: -1 },
    { truncateBefore: null },
    [],
    null,
    'text',
  ])('is refused, and what was set before holds: %j', async metadata => {
    await withEvents(4, async store => {
      await store.setMetadata('s', { maxCount: 2 })
      const error = await rejectionOf(store.setMetadata('s', metadata as StreamMetadata))
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(await store.metadata('s')).toEqual({ maxCount: 2 })
      expect(await read(store)).toEqual([2, 3])
    })
  })

  test.each<[string, unknown]>([
    ['bytes', new Uint8Array([1, 2])],
    ['a Buffer', Buffer.from('{"maxCount":2}')],
    ['a Map', new Map([['maxCount', 2]])],
    ['a date', new Date(0)],
    ['what says null when it is serialised', { maxCount: 2, toJSON: () => null }],
    ['what says another count when it is serialised', { maxCount: 2, toJSON: () => ({ maxCount: -2 }) }],
  ])('is refused when it is %s, and appends go on', async (_name, metadata) => {
    await withEvents(4, async store => {
      const error = await rejectionOf(store.setMetadata('s', metadata as StreamMetadata))
      expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
      expect(await store.append('s', event(4))).toMatchObject({ firstRevision: 4 })
      expect(await store.metadata('s')).toEqual({})
    })
  })

  test("can't be appended by hand, nor can the store's own streams be deleted", async () => {
    await withEvents(1, async store => {
      for (const call of [
        store.append('$$s', { type: '$metadata', data: 'junk' }),
        store.commit([{ stream: '$$s', events: [] }]),
        store.setMetadata('$$s', {}),
        store.delete('$$s'),
        store.tombstone('$consumer'),
        store.erase('$$s', 0),
      ]) {
        expect(await rejectionOf(call)).toMatchObject({ code: 'INVALID_ARGUMENT' })
      }
    })
  })
})

describe('behaviour 48: metadata', () => {
  test('that is changed holds for the next read', async () => {
    await withEvents(5, async store => {
      await store.setMetadata('s', { maxCount: 2 })
      expect(await read(store)).toEqual([3, 4])
      await store.setMetadata('s', { truncateBefore: 1 })
      expect(await read(store)).toEqual([1, 2, 3, 4])
      await store.setMetadata('s', {})
      expect(await read(store)).toEqual([0, 1, 2, 3, 4])
    })
  })

  test('is read back as it was set, the last one; its stream shows the last one only', async () => {
    await withEvents(1, async store => {
      expect(await store.metadata('s')).toEqual({})
      await store.setMetadata('s', { maxCount: 2, tags: ['a'] })
      await store.setMetadata('s', { maxAge: 60, tags: ['b', null] })
      expect(await store.metadata('s')).toEqual({ maxAge: 60, tags: ['b', null] })
      const [last, ...others] = await all(store.readStream('$$s'))
      expect(last).toMatchObject({ stream: '$$s', revision: 1, type: '$metadata', data: { maxAge: 60, tags: ['b', null] } })
      expect(others).toEqual([])
    })
  })

  test('that is undefined is not set', async () => {
    await withEvents(1, async store => {
      const maxAge: number | undefined = undefined
      await store.setMetadata('s', { maxCount: 2, maxAge })
      expect(await store.metadata('s')).toEqual({ maxCount: 2 })
    })
  })

  test('can be set before the stream exists, which does not make it exist', async () => {
    await withStore({}, async store => {
      await store.setMetadata('s', { maxCount: 2 })
      expect(await store.exists('s')).toBe(false)
      // KurrentDB lets metadata alone pass for a stream that exists.
      expect(await rejectionOf(store.append('s', event(0), { expectedRevision: 'stream_exists' }))).toMatchObject(WRONG)
      await store.append('s', events(0, 4), { expectedRevision: 'no_stream' })
      expect(await read(store)).toEqual([2, 3])
    })
  })

  test('is changed only from the revision that is expected of it', async () => {
    await withEvents(1, async store => {
      await store.setMetadata('s', { maxCount: 2 }, { expectedRevision: 'no_stream' })
      const error = await rejectionOf(store.setMetadata('s', { maxCount: 3 }, { expectedRevision: 'no_stream' }))
      expect(error).toMatchObject({ ...WRONG, stream: '$$s', actual: 0 })
      await store.setMetadata('s', { maxCount: 3 }, { expectedRevision: 0 })
      expect(await store.metadata('s')).toEqual({ maxCount: 3 })
    })
  })

  test('of a stream with the longest name', async () => {
    await withStore({}, async store => {
      const stream = 'n'.repeat(1024)
      await store.append(stream, events(0, 3))
      await store.setMetadata(stream, { maxCount: 1 })
      expect(await revisions(store.readStream(stream))).toEqual([2])
    })
  })

  test('that could not be flushed does not hold', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    await store.append('s', events(0, 3))
    await store.setMetadata('s', { maxCount: 2 })
    disk.failNext({ op: 'writeDurably', error: 'ENOSPC' })
    expect(await rejectionOf(store.tombstone('s'))).toMatchObject({ code: 'DISK_FULL', outcome: 'rejected' })
    expect(await store.metadata('s')).toEqual({ maxCount: 2 })
    expect(await store.append('s', event(3))).toMatchObject({ firstRevision: 3 })
    await store.close()
  })
})

test('behaviour 49: revisions beyond 32 bits: expected, read from, truncated before', async () => {
  await withEvents(3, async store => {
    const large = 2 ** 40
    expect(await rejectionOf(store.append('s', event(9), { expectedRevision: large }))).toMatchObject({
      ...WRONG,
      expected: large,
    })
    expect(await read(store, { from: large })).toEqual([])
    expect(await backwards(store, { from: large })).toEqual([2, 1, 0])
    await store.setMetadata('s', { truncateBefore: large })
    expect(await store.exists('s')).toBe(false)
    expect(await store.append('s', event(9))).toMatchObject({ firstRevision: 3 })
  })
})
