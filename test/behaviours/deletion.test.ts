/** Behaviours 41 to 44 of KurrentDB's engine: deletion. Where Tailrace differs, the test says why. */
import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { all, openStore, orders, rejectionOf, revisions, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { backwards, event, events, read, withEvents } from './words.ts'

const DELETED = { code: 'STREAM_DELETED', outcome: 'rejected' }
const WRONG = { code: 'WRONG_EXPECTED_REVISION' }

describe('behaviour 41: a stream that is deleted for good', () => {
  test('can be neither read nor appended to, whatever is expected, and not be deleted again', async () => {
    await withEvents(3, async store => {
      await store.tombstone('s')
      expect(await rejectionOf(read(store))).toMatchObject(DELETED)
      expect(await rejectionOf(backwards(store))).toMatchObject(DELETED)
      for (const expectedRevision of ['any', 'no_stream', 'stream_exists', 0, 2] as const) {
        expect(await rejectionOf(store.append('s', event(9), { expectedRevision }))).toMatchObject(DELETED)
        expect(await rejectionOf(store.append('s', [], { expectedRevision }))).toMatchObject(DELETED)
      }
      for (const call of [
        store.tombstone('s'),
        store.delete('s'),
        store.setMetadata('s', {}),
        store.metadata('s'),
        store.erase('s', 0),
      ]) {
        expect(await rejectionOf(call)).toMatchObject({ ...DELETED, stream: 's' })
      }
      expect(await store.head('s')).toBeNull()
      expect(await store.exists('s')).toBe(false)
      expect(await all(store.streams())).toEqual([])
    })
  })

  test('takes the stream with its metadata along', async () => {
    await withEvents(1, async store => {
      await store.setMetadata('s', { maxCount: 3 })
      await store.tombstone('s')
      expect(await rejectionOf(all(store.readStream('$$s')))).toMatchObject(DELETED)
    })
  })

  test('stays so after a restart, and takes no retry, either', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    await first.append('s', events(0, 2), { expectedRevision: 'no_stream' })
    await first.tombstone('s')
    await first.close()
    const second = await openStore(disk)
    expect(await rejectionOf(second.append('s', events(0, 2), { expectedRevision: 'no_stream' }))).toMatchObject(DELETED)
    expect(await rejectionOf(read(second))).toMatchObject(DELETED)
    await second.close()
  })

  test('stays so when nothing of it is left: behind a scavenge, and after a restart', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk, SMALL_CHUNKS)
    await first.append('s', events(0, 3))
    await first.tombstone('s')
    await first.scavenge()
    expect(await all(first.readAll())).toEqual([])
    expect(await rejectionOf(first.append('s', event(9)))).toMatchObject(DELETED)
    await first.close()
    const second = await openStore(disk, SMALL_CHUNKS)
    expect(await rejectionOf(second.append('s', event(9)))).toMatchObject(DELETED)
    expect(await rejectionOf(read(second))).toMatchObject(DELETED)
    await second.close()
  })

  test('holds for appends that were called while the deletion was on its way', async () => {
    await withEvents(1, async store => {
      const deleting = store.tombstone('s')
      expect(await rejectionOf(store.append('s', event(9)))).toMatchObject(DELETED)
      await deleting
    })
  })

  test('takes nothing from others, and a commit with it writes nothing', async () => {
    await withEvents(1, async store => {
      await store.append('t', event(0))
      await store.tombstone('s')
      const commit = store.commit([
        { stream: 't', events: event(1) },
        { stream: 's', events: event(2) },
      ])
      expect(await rejectionOf(commit)).toMatchObject({ ...DELETED, stream: 's' })
      expect(await revisions(store.readStream('t'))).toEqual([0])
    })
  })

  test('asks for the expected revision first', async () => {
    await withEvents(3, async store => {
      expect(await rejectionOf(store.tombstone('s', { expectedRevision: 1 }))).toMatchObject({ ...WRONG, actual: 2 })
      expect(await read(store)).toEqual([0, 1, 2])
      await store.tombstone('s', { expectedRevision: 2 })
      expect(await store.exists('s')).toBe(false)
    })
  })
})

describe('behaviour 42: a soft deletion', () => {
  test('ends reads with StreamNotFoundError', async () => {
    await withEvents(3, async store => {
      const ack = await store.delete('s')
      expect(ack).toEqual({ stream: 's', position: expect.any(Number) })
      expect(await rejectionOf(read(store))).toMatchObject({ code: 'STREAM_NOT_FOUND' })
      expect(await store.head('s')).toBeNull()
      expect(await store.exists('s')).toBe(false)
      expect(await all(store.streams())).toEqual([])
    })
  })

  test.each(['any', 'no_stream', 2] as const)('lets an append with %s go on behind the last revision', async expected => {
    await withEvents(3, async store => {
      await store.delete('s')
      expect(await store.append('s', event(9), { expectedRevision: expected })).toMatchObject({ firstRevision: 3 })
      expect(await read(store)).toEqual([3])
      expect(await backwards(store)).toEqual([3])
      expect(await all(store.streams())).toEqual([{ stream: 's', firstRevision: 3, lastRevision: 3 }])
    })
  })

  test('is truncateBefore, and keeps the rest of the metadata', async () => {
    await withEvents(3, async store => {
      await store.setMetadata('s', { maxCount: 7, owner: { name: 'ada' } })
      await store.delete('s')
      expect(await store.metadata('s')).toEqual({ maxCount: 7, owner: { name: 'ada' }, truncateBefore: 3 })
    })
  })

  test('covers every append that was called before it', async () => {
    await withEvents(1, async store => {
      const appends = upTo(5).map(n => store.append('s', event(n)))
      await store.delete('s')
      expect((await Promise.all(appends)).at(-1)).toMatchObject({ lastRevision: 5 })
      expect(await store.exists('s')).toBe(false)
    })
  })

  test('covers no append that was called behind it: the stream begins anew with that', async () => {
    await withEvents(1, async store => {
      const before = store.append('s', event(1))
      const deleting = store.delete('s')
      const behind = upTo(5).map(n => store.append('s', event(n + 2)))
      await Promise.all([before, deleting, ...behind])
      expect(await read(store)).toEqual([2, 3, 4, 5, 6])
      await store.scavenge()
      expect(await read(store)).toEqual([2, 3, 4, 5, 6])
    })
  })

  test('of what is not there changes nothing', async () => {
    await withStore({}, async store => {
      await store.delete('s')
      expect(await store.metadata('s')).toEqual({})
      await store.append('s', event(0))
      await store.delete('s')
      await store.delete('s')
      expect(await revisions(store.readStream('$$s'))).toEqual([0])
    })
  })

  test('asks for the expected revision', async () => {
    await withEvents(3, async store => {
      expect(await rejectionOf(store.delete('s', { expectedRevision: 1 }))).toMatchObject({ ...WRONG, actual: 2 })
      expect(await rejectionOf(store.delete('s', { expectedRevision: 'no_stream' }))).toMatchObject(WRONG)
      expect(await read(store)).toEqual([0, 1, 2])
      await store.delete('s', { expectedRevision: 2 })
      expect(await store.exists('s')).toBe(false)
    })
  })

  test('holds after a restart; the next append goes on', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    await first.append('s', orders(3))
    await first.delete('s')
    await first.close()
    const second = await openStore(disk)
    expect(await second.exists('s')).toBe(false)
    expect(await second.append('s', event(9), { expectedRevision: 'no_stream' })).toMatchObject({ firstRevision: 3 })
    await second.close()
  })

  test('beside a stream that is appended to all the time comes to an end', async () => {
    // Its calls take some turns of the event loop: appends in memory alone would let nobody else have a turn.
    const store = await openStore(new SimulatedDisk({ shuffle: true }))
    await store.append('s', event(0))
    let isDone = false
    const writer = (async () => {
      for (let n = 1; !isDone; n++) await store.append('s', event(n))
    })()
    await store.delete('s')
    isDone = true
    await writer
    expect((await store.metadata('s')).truncateBefore).toBeGreaterThan(0)
    await store.close()
  })
})

describe('behaviour 43: a soft-deleted stream', () => {
  test('is refused with StreamDeletedError to whom it must exist', async () => {
    await withEvents(3, async store => {
      await store.delete('s')
      expect(await rejectionOf(store.append('s', event(9), { expectedRevision: 'stream_exists' }))).toMatchObject(DELETED)
    })
  })

  test('begins anew once: the second no_stream is refused, its retry is a duplicate', async () => {
    await withEvents(3, async store => {
      await store.delete('s')
      const ack = await store.append('s', event(9), { expectedRevision: 'no_stream' })
      expect(await rejectionOf(store.append('s', event(10), { expectedRevision: 'no_stream' }))).toMatchObject({
        ...WRONG,
        actual: 3,
      })
      expect(await store.append('s', event(9), { expectedRevision: 'no_stream' })).toEqual({ ...ack, duplicate: true })
    })
  })

  test('of two that begin it anew at the same time one wins', async () => {
    await withEvents(3, async store => {
      await store.delete('s')
      const both = await Promise.allSettled([9, 10].map(n => store.append('s', event(n), { expectedRevision: 'no_stream' })))
      expect(both.map(({ status }) => status)).toEqual(['fulfilled', 'rejected'])
    })
  })
})

describe('behaviour 44: a tombstone', () => {
  test('ends a stream that was soft-deleted', async () => {
    await withEvents(3, async store => {
      await store.delete('s')
      await store.tombstone('s')
      expect(await rejectionOf(store.append('s', event(9)))).toMatchObject(DELETED)
    })
  })

  test('ends a stream that was never written', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    await first.tombstone('s')
    expect(await rejectionOf(first.append('s', event(9), { expectedRevision: 'no_stream' }))).toMatchObject(DELETED)
    expect(await rejectionOf(read(first))).toMatchObject(DELETED)
    await first.close()
    const second = await openStore(disk)
    expect(await rejectionOf(second.append('s', event(9)))).toMatchObject(DELETED)
    await second.close()
  })
})
