import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { read, withEvents } from '../behaviours/words.ts'
import { settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { all, openStore, order, orders, rejectionOf, revisions, SMALL_CHUNKS, sized, upTo, withStore } from './words.ts'

describe('an erasure', () => {
  test('stands in the stream $erased, and leaves the event until the next scavenge', async () => {
    await withEvents(3, async store => {
      const ack = await store.erase('s', 1)
      const [request] = await all(store.readStream('$erased'))
      expect(request).toMatchObject({ position: ack.position, type: '$erase', data: { stream: 's', revision: 1 } })
      expect(await read(store)).toEqual([0, 1, 2])
    })
  })

  test.each([
    ['s', 3],
    ['t', 0],
  ] as const)('of what is not there is refused: %s %i', async (stream, revision) => {
    await withEvents(3, async store => {
      expect(await rejectionOf(store.erase(stream, revision))).toMatchObject({ code: 'STREAM_NOT_FOUND', stream })
      expect(await store.exists('$erased')).toBe(false)
    })
  })

  test('of an event that is no longer shown is taken, for it stands in the log', async () => {
    await withEvents(3, async store => {
      await store.delete('s')
      await store.erase('s', 1)
      expect(await all(store.readStream('$erased'))).toHaveLength(1)
    })
  })

  test.each([-1, 1.5, Number.NaN])('of revision %d is a wrong call', async revision => {
    await withEvents(3, async store => {
      expect(await rejectionOf(store.erase('s', revision))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    })
  })
})

describe('a change', () => {
  test('stands in line with appends to its stream: what was called before it comes before it', async () => {
    await withStore({}, async store => {
      const calls = [
        store.append('s', orders(3)),
        store.setMetadata('s', { maxCount: 1 }),
        store.append('s', orders(3)),
        store.tombstone('s'),
      ]
      const late = rejectionOf(store.append('s', order(9)))
      const places = (await Promise.all(calls)).map(({ position }) => position)
      expect(places).toEqual([...places].sort((one, other) => one - other))
      expect(await late).toMatchObject({ code: 'STREAM_DELETED' })
    })
  })

  test('is one commit with a check of the stream: both or neither', async () => {
    await withEvents(3, async store => {
      await rejectionOf(store.tombstone('s', { expectedRevision: 0 }))
      await rejectionOf(store.setMetadata('s', { maxCount: 1 }, { expectedRevision: 5 }))
      expect(await all(store.readAll({ includeSystem: true }))).toHaveLength(3)
    })
  })

  test('that truncates behind what was just appended hides the stream from nobody who asked before', async () => {
    const disk = new SimulatedDisk()
    const first = await openStore(disk, SMALL_CHUNKS)
    await first.append('s', orders(3))
    await first.append('filler', sized(3580))
    await first.setMetadata('s', { truncateBefore: 2 })
    await first.close()
    const store = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    // Appends know from here on where the stream ends.
    await rejectionOf(store.append('s', order(3), { expectedRevision: 0 }))
    const lookUp = disk.hold('read', { path: '000000-000000.index' })
    const head = store.head('s')
    await lookUp.reached
    await store.append('s', order(3))
    await store.setMetadata('s', { truncateBefore: 3 })
    lookUp.release()
    expect(await head).toBe(2)
    await store.close()
  })

  test('of a stream under the name of one of the house is a wrong call', async () => {
    await withStore({}, async store => {
      for (const name of ['$$s', '$erased', '', 'a\nb', 'n'.repeat(1025)]) {
        for (const call of [store.setMetadata(name, {}), store.delete(name), store.tombstone(name), store.erase(name, 0)]) {
          expect(await rejectionOf(call), name).toMatchObject({ code: 'INVALID_ARGUMENT' })
        }
      }
      expect(await all(store.readAll({ includeSystem: true }))).toEqual([])
    })
  })

  test('is refused by a store that is open for reading, and by one that is closed', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    await store.append('s', order(0))
    await store.close()
    const reading = await openStore(disk, { readOnly: true })
    const erasing = [reading.erase('s', 0), reading.erase('s', 1), reading.erase('missing', 0)]
    for (const call of [reading.setMetadata('s', {}), reading.delete('s'), reading.tombstone('s'), ...erasing]) {
      expect(await rejectionOf(call)).toMatchObject({ code: 'READ_ONLY_STORE' })
    }
    expect(await reading.metadata('s')).toEqual({})
    await reading.close()
    for (const call of [store.setMetadata('s', {}), store.delete('s'), store.metadata('s')]) {
      expect(await rejectionOf(call)).toMatchObject({ code: 'STORE_CLOSED' })
    }
  })
})

describe('a deletion', () => {
  test('keeps what somebody else says of the stream at the same time', async () => {
    for (const first of ['delete', 'metadata']) {
      const store = await openStore(new SimulatedDisk({ shuffle: true }))
      await store.append('s', orders(3))
      const calls = [() => store.delete('s'), () => store.setMetadata('s', { owner: 'ada' })]
      await Promise.all((first === 'delete' ? calls : calls.reverse()).map(call => call()))
      const metadata = await store.metadata('s')
      expect(metadata['owner']).toBe('ada')
      await store.close()
    }
  })

  test('with an exact revision does not delete what came behind', async () => {
    await withEvents(3, async store => {
      const deleting = store.delete('s', { expectedRevision: 2 })
      const appending = store.append('s', order(3))
      const error = await rejectionOf(deleting)
      expect(error).toMatchObject({ code: 'WRONG_EXPECTED_REVISION', stream: 's', expected: 2, actual: 3 })
      await appending
      expect(await read(store)).toEqual(upTo(4))
    })
  })

  test('of several callers is one', async () => {
    await withEvents(3, async store => {
      await Promise.all(upTo(5).map(() => store.delete('s')))
      expect(await revisions(store.readStream('$$s'))).toEqual([0])
    })
  })
})

describe('an erasure that was carried out', () => {
  test('is asked for once: behind a scavenge the event and the request are gone, in memory and in every file', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    for (const n of upTo(30)) await store.append('s', { type: 'T', data: `secret-${n}-${'x'.repeat(200)}` })
    await store.erase('s', 7)
    await store.erase('s', 29)
    await store.scavenge()
    const left = upTo(29).filter(n => n !== 7)
    expect(await read(store)).toEqual(left)
    expect(await all(store.readStream('$erased'))).toEqual([])
    expect(await store.head('s')).toBe(29)
    expect(await rejectionOf(store.erase('s', 7))).toMatchObject({ code: 'STREAM_NOT_FOUND' })
    await store.append('s', order(30))
    await store.close()
    await settle()
    for (const [path, bytes] of disk.snapshot()) {
      for (const n of [7, 29]) expect(Buffer.from(bytes).includes(`secret-${n}-`), path).toBe(false)
    }
    const again = await openStore(disk, SMALL_CHUNKS)
    expect(await read(again)).toEqual([...left, 30])
    await again.close()
  })
})
