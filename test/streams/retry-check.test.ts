import { describe, expect, test } from 'vitest'
import type { ExpectedRevision } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { event, events } from '../behaviours/words.ts'
import { openStore, order, rejectionOf, SMALL_CHUNKS, sized, upTo, withStore } from '../store/words.ts'

const WRONG = { code: 'WRONG_EXPECTED_REVISION', outcome: 'rejected' }

function append(store: EventStore, list: Parameters<EventStore['append']>[1], expectedRevision: ExpectedRevision) {
  return store.append('s', list, { expectedRevision })
}

/** Enough to complete some chunks. */
async function rollOver(store: EventStore): Promise<void> {
  for (const _ of upTo(4)) await store.append('filler', sized(2000))
}

describe('a retry behind the expected revision', () => {
  test('is one however much has come since, in any part of the index, and after a restart', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    const acks = []
    for (const n of upTo(6)) {
      acks.push(await append(store, events(2 * n, 2 * n + 2), n === 0 ? 'no_stream' : 2 * n - 1))
      await rollOver(store)
    }
    await store.close()
    const reopened = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    for (const n of upTo(6)) {
      const ack = await append(reopened, events(2 * n, 2 * n + 2), n === 0 ? 'no_stream' : 2 * n - 1)
      expect(ack).toEqual({ ...acks[n], duplicate: true })
    }
    await reopened.close()
  })

  test('is none when one id is another, one is missing, or the event has none', async () => {
    await withStore({}, async store => {
      await append(store, [event(0), event(1), order(2), event(3)], 'no_stream')
      expect(await append(store, events(0, 2), 'no_stream')).toMatchObject({ duplicate: true })
      for (const list of [[event(0), event(9)], [event(9), event(1)], events(0, 3), [event(0), event(1), order(2)]]) {
        expect(await rejectionOf(append(store, list, 'no_stream'))).toMatchObject({ ...WRONG, actual: 3 })
      }
      expect(await rejectionOf(append(store, [event(3), event(4)], 2))).toMatchObject({ ...WRONG, actual: 3 })
    })
  })

  test('of a stream that began anew is found where it began again', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await append(store, events(0, 3), 'no_stream')
      await store.delete('s')
      const again = await append(store, events(3, 5), 'no_stream')
      await append(store, event(5), 4)
      expect(await append(store, events(3, 5), 'no_stream')).toEqual({ ...again, duplicate: true })
      expect(await append(store, events(0, 3), 'no_stream')).toMatchObject({ firstRevision: 0, duplicate: true })
    })
  })

  test('tells where the stream was when it was refused, though more was appended before the answer', async () => {
    await withStore({}, async store => {
      await append(store, events(0, 3), 'no_stream')
      const refused = rejectionOf(append(store, event(9), 0))
      const later = append(store, events(3, 6), 2)
      expect(await refused).toMatchObject({ ...WRONG, expected: 0, actual: 2 })
      await later
    })
  })

  test('rests on where the stream began when it was called, though that is changed before the answer', async () => {
    await withStore({}, async store => {
      await append(store, event(0), 'no_stream')
      await store.delete('s')
      const first = await append(store, event(1), 'no_stream')
      const retry = append(store, event(1), 'no_stream')
      const changed = store.setMetadata('s', {})
      expect(await retry).toEqual({ ...first, duplicate: true })
      await changed
    })
  })

  test('of what was scavenged is none', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await append(store, events(0, 4), 'no_stream')
      await store.setMetadata('s', { maxCount: 1 })
      await store.scavenge()
      expect(await rejectionOf(append(store, events(0, 2), 'no_stream'))).toMatchObject(WRONG)
      expect(await rejectionOf(append(store, event(2), 1))).toMatchObject(WRONG)
      expect(await append(store, event(3), 2)).toMatchObject({ firstRevision: 3, duplicate: true })
    })
  })
})

describe('a retry of a commit', () => {
  const commit = (store: EventStore, ids: readonly [number, number], expected: ExpectedRevision = 'any') =>
    store.commit([
      { stream: 'a', events: event(ids[0]), expectedRevision: expected },
      { stream: 'b', events: [] },
      { stream: 'c', events: event(ids[1]), expectedRevision: expected },
    ])

  test.each([
    'any',
    'no_stream',
  ] as const)('gets each stream’s revisions and the position of the last event: %s', async expected => {
    await withStore({}, async store => {
      const first = await commit(store, [1, 2], expected)
      await store.append('a', order(9))
      expect(await commit(store, [1, 2], expected)).toEqual({ ...first, duplicate: true })
    })
  })

  test('of which a part was never written is refused, and names the stream that was', async () => {
    await withStore({}, async store => {
      await commit(store, [1, 2])
      expect(await rejectionOf(commit(store, [9, 2]))).toMatchObject({ ...WRONG, stream: 'c', actual: 0 })
      expect(await rejectionOf(commit(store, [1, 9]))).toMatchObject({ ...WRONG, stream: 'a', actual: 0 })
      expect(await store.head('a')).toBe(0)
    })
  })
})
