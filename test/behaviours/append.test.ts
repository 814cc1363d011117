/** Behaviours 30 to 40 of KurrentDB's engine: append, expected revision, idempotency. Where Tailrace differs, the test says why. */
import { describe, expect, test } from 'vitest'
import type { ExpectedRevision, NewEvent } from '../../src/core/events.ts'
import { MIB } from '../../src/core/limits.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { all, openStore, rejectionOf, revisions, SMALL_CHUNKS, sized, upTo, withStore } from '../store/words.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { event, events, idsIn } from './words.ts'

const WRONG = { code: 'WRONG_EXPECTED_REVISION', outcome: 'rejected' }

function append(store: EventStore, what: NewEvent | readonly NewEvent[], expectedRevision?: ExpectedRevision) {
  return store.append('s', what, { expectedRevision })
}

/** A stream with the events 0 to n - 1, one append each. */
async function withEvents(store: EventStore, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await append(store, event(n))
}

describe('behaviour 30: a new stream', () => {
  test.each(['no_stream', 'any'] as const)('takes %s as number 0', async expected => {
    await withStore({}, async store => {
      expect(await append(store, event(0), expected)).toMatchObject({ firstRevision: 0, duplicate: false })
    })
  })

  test.each([0, 'stream_exists'] as const)('refuses %s', async expected => {
    await withStore({}, async store => {
      expect(await rejectionOf(append(store, event(0), expected))).toMatchObject({ ...WRONG, actual: null })
      expect(await store.exists('s')).toBe(false)
    })
  })
})

test('behaviour 30: a stream that is there refuses no_stream, of events with ids and without, and takes stream_exists', async () => {
  await withStore({}, async store => {
    await withEvents(store, 2)
    for (const what of [event(5), { type: 'Happened', data: 5 }, []]) {
      expect(await rejectionOf(append(store, what, 'no_stream'))).toMatchObject({ ...WRONG, actual: 1 })
    }
    expect(await append(store, event(2), 'stream_exists')).toMatchObject({ firstRevision: 2 })
  })
})

test('behaviour 31: exact n appends n + 1; n - 1 and n + 1 with new ids are refused, and the refusal says where the stream is', async () => {
  await withStore({}, async store => {
    await withEvents(store, 3)
    expect(await append(store, event(3), 2)).toMatchObject({ firstRevision: 3 })
    expect(await rejectionOf(append(store, event(4), 2))).toMatchObject({ ...WRONG, actual: 3 })
    expect(await rejectionOf(append(store, event(4), 4))).toMatchObject({ ...WRONG, actual: 3 })
    expect(await idsIn(store, 's')).toEqual(events(0, 4).map(({ id }) => id))
  })
})

test('behaviour 32: the same event with the same exact revision again: original revision and position, nothing written', async () => {
  await withStore({}, async store => {
    await withEvents(store, 2)
    const first = await append(store, event(2), 1)
    await append(store, event(3))
    const written = store.stats().writer
    expect(await append(store, event(2), 1)).toEqual({ ...first, duplicate: true })
    expect(store.stats().writer).toEqual(written)
  })
})

describe('behaviour 33: a batch that was appended with no_stream', () => {
  test('again is a duplicate', async () => {
    await withStore({}, async store => {
      const first = await append(store, events(0, 3), 'no_stream')
      expect(await append(store, events(0, 3), 'no_stream')).toEqual({ ...first, duplicate: true })
    })
  })

  test('its beginning with the same revision is a duplicate, with the place of that beginning', async () => {
    await withStore({}, async store => {
      await append(store, events(0, 3), 'no_stream')
      const [, second] = await all(store.readStream('s'))
      expect(await append(store, events(0, 2), 'no_stream')).toEqual({
        stream: 's',
        firstRevision: 0,
        lastRevision: 1,
        position: second!.position,
        duplicate: true,
      })
    })
  })

  test('with more events behind it is refused', async () => {
    await withStore({}, async store => {
      await append(store, events(0, 3), 'no_stream')
      expect(await rejectionOf(append(store, events(0, 4), 'no_stream'))).toMatchObject({ ...WRONG, actual: 2 })
      expect(await revisions(store.readStream('s'))).toEqual([0, 1, 2])
    })
  })
})

describe('behaviour 34: behind 0em1 1e0 2e1', () => {
  const scene = (what: string, then: (store: EventStore) => Promise<void>): void => {
    test(what, () =>
      withStore({}, async store => {
        await append(store, event(0), 'no_stream')
        await append(store, event(1), 0)
        await append(store, event(2), 1)
        await then(store)
      }),
    )
  }

  scene('0any, 1any and 1any again, 1e0 are duplicates', async store => {
    expect(await append(store, event(0))).toMatchObject({ firstRevision: 0, duplicate: true })
    expect(await append(store, event(1))).toMatchObject({ firstRevision: 1, duplicate: true })
    expect(await append(store, event(1))).toMatchObject({ firstRevision: 1, duplicate: true })
    expect(await append(store, event(1), 0)).toMatchObject({ firstRevision: 1, duplicate: true })
    expect(await revisions(store.readStream('s'))).toEqual([0, 1, 2])
  })

  scene('0e2, which is where the stream is, is appended again though the id is known', async store => {
    expect(await append(store, event(0), 2)).toMatchObject({ firstRevision: 3, duplicate: false })
  })

  scene('0e1 and 0e3 are refused', async store => {
    expect(await rejectionOf(append(store, event(0), 1))).toMatchObject({ ...WRONG, actual: 2 })
    expect(await rejectionOf(append(store, event(0), 3))).toMatchObject({ ...WRONG, actual: 2 })
  })
})

test('behaviour 35: one id six times in a batch: six events; the retry reports revision 0 to 5, where KurrentDB reports what its memory says', async () => {
  const six = upTo(6).map(() => event(7))
  await withStore({}, async store => {
    const first = await append(store, six, 'any')
    expect(first).toMatchObject({ firstRevision: 0, lastRevision: 5 })
    expect(await append(store, six, 'any')).toEqual({ ...first, duplicate: true })
    expect(await append(store, six, 'no_stream')).toEqual({ ...first, duplicate: true })
  })
})

describe('behaviour 36: ids of which only some are known', () => {
  test('with an exact revision are refused, and nothing is written', async () => {
    await withStore({}, async store => {
      await withEvents(store, 3)
      expect(await rejectionOf(append(store, [event(1), event(9)], 0))).toMatchObject({ ...WRONG, actual: 2 })
      expect(await revisions(store.readStream('s'))).toEqual([0, 1, 2])
    })
  })

  test('with any are refused when the first is known, and appended when it is not', async () => {
    await withStore({}, async store => {
      await withEvents(store, 3)
      expect(await rejectionOf(append(store, [event(1), event(9)]))).toMatchObject({
        ...WRONG,
        actual: 2,
        message: expect.stringContaining("stream 's' has ids of this append already"),
      })
      expect(await append(store, [event(9), event(1)])).toMatchObject({ firstRevision: 3, duplicate: false })
    })
  })

  test.each([
    'any',
    'no_stream',
    'stream_exists',
  ] as const)('of a deleted stream are refused with %s, because of the ids', async expected => {
    await withStore({}, async store => {
      await withEvents(store, 3)
      await store.delete('s')
      expect(await rejectionOf(append(store, [event(1), event(9)], expected))).toMatchObject({
        ...WRONG,
        message: expect.stringContaining("stream 's' has ids of this append already"),
      })
    })
  })

  test('with any are refused when others stand between: KurrentDB takes them for a retry, but no append ever wrote them so', async () => {
    await withStore({}, async store => {
      await withEvents(store, 3)
      expect(await rejectionOf(append(store, [event(0), event(2)]))).toMatchObject(WRONG)
    })
  })
})

test('behaviour 37: no events: a check that writes nothing, and is refused where the stream is not', async () => {
  await withStore({}, async store => {
    await withEvents(store, 2)
    const written = store.stats().writer
    const checked = { stream: 's', firstRevision: null, lastRevision: null, position: expect.any(Number), duplicate: false }
    expect(await append(store, [])).toEqual(checked)
    expect(await append(store, [], 1)).toEqual(checked)
    expect(await rejectionOf(append(store, [], 0))).toMatchObject({ ...WRONG, actual: 1 })
    expect(store.stats().writer).toEqual(written)
  })
})

describe('behaviour 38: a batch', () => {
  test('larger than a chunk is refused, and the log goes on', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const error = await rejectionOf(
        append(
          store,
          upTo(5).map(() => sized(1000)),
        ),
      )
      expect(error).toMatchObject({ code: 'RECORD_TOO_LARGE', outcome: 'rejected' })
      expect(await append(store, event(0))).toMatchObject({ firstRevision: 0 })
    })
  })

  test('that does not fit into the rest of a chunk stands in the next one as a whole', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await append(store, sized(2500))
      await append(
        store,
        upTo(3).map(() => sized(800)),
      )
      const positions = (await all(store.readStream('s'))).map(({ position }) => Math.floor(position / 4096))
      expect(positions).toEqual([0, 1, 1, 1])
    })
  })

  test('over 16 MiB is refused in a chunk of any size', async () => {
    await withStore({}, async store => {
      expect(await rejectionOf(append(store, sized(16 * MIB)))).toMatchObject({ code: 'RECORD_TOO_LARGE' })
    })
  })
})

describe('behaviour 39: a retry while its first attempt is on its way', () => {
  test.each(['no_stream', 'any', 'exact'] as const)('gets the outcome of that attempt: %s', async kind => {
    await withStore({}, async store => {
      if (kind === 'exact') await append(store, event(0))
      const expected = kind === 'exact' ? 0 : kind
      const [first, second, third] = await Promise.all(upTo(3).map(() => append(store, events(1, 3), expected)))
      expect(first).toMatchObject({ duplicate: false })
      expect(second).toEqual({ ...first, duplicate: true })
      expect(third).toEqual(second)
      expect((await idsIn(store, 's')).slice(-2)).toEqual([event(1).id, event(2).id])
    })
  })

  test.each([
    'no_stream',
    'any',
  ] as const)('is refused like it when the disk is full, and can be made again: %s', async expected => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    disk.failNext({ op: 'writeDurably', error: 'ENOSPC' })
    const attempts = await Promise.allSettled([append(store, event(0), expected), append(store, event(0), expected)])
    for (const attempt of attempts) {
      expect(attempt).toMatchObject({ status: 'rejected', reason: { code: 'DISK_FULL', outcome: 'rejected', retryable: true } })
    }
    expect(await append(store, event(0), expected)).toMatchObject({ firstRevision: 0, duplicate: false })
    expect(await append(store, event(0), expected)).toMatchObject({ firstRevision: 0, duplicate: true })
    await store.close()
  })

  test('is never told that all is well, nor that nothing was written, when the first attempt may be lost', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    disk.failNext({ op: 'writeDurably', error: 'EIO' })
    const attempts = await Promise.allSettled([append(store, event(0), 'no_stream'), append(store, event(0), 'no_stream')])
    expect(attempts).toMatchObject([{ reason: { outcome: 'unknown' } }, { reason: { outcome: 'unknown' } }])
    await store.close()
  })

  test('comes after a first attempt that is being flushed when the writer fails: not even then is it told that nothing was written', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const flush = disk.hold('writeDurably')
    const first = append(store, event(0), 'any')
    await flush.reached
    const others = [append(store, event(0), 'any'), store.commit([{ stream: 's', events: [event(0)] }]), append(store, event(1))]
    flush.fail('EIO')
    const outcomes = (await Promise.allSettled([first, ...others])).map(
      settled => (settled as PromiseRejectedResult).reason.outcome,
    )
    expect(outcomes).toEqual(['unknown', 'unknown', 'unknown', 'rejected'])
    await store.close()
  })

  test('and its condition holds it back: when the writer fails it was not written', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    disk.failNext({ op: 'writeDurably', error: 'EIO' })
    const condition = { failIf: { streams: ['s'] }, after: 0 }
    const attempts = await Promise.allSettled([append(store, event(0), 'any'), store.append('other', event(1), { condition })])
    expect(attempts).toMatchObject([
      { reason: { code: 'WRITER_FAILED', outcome: 'unknown' } },
      { reason: { code: 'WRITER_FAILED', outcome: 'rejected' } },
    ])
    await store.close()
  })
})

describe('behaviour 39: a retry after a restart: KurrentDB forgets what was appended with any', () => {
  test.each(['no_stream', 'any', 'stream_exists', 'exact'] as const)('is a duplicate: %s', async kind => {
    const disk = new MemoryDisk()
    const expected = kind === 'exact' ? 0 : kind
    const first = await openStore(disk, SMALL_CHUNKS)
    if (kind !== 'no_stream') await append(first, event(0))
    const ack = await append(first, events(1, 4), expected)
    for (let n = 0; n < 50; n++) await first.append(`other-${n}`, sized(300))
    await first.close()
    const second = await openStore(disk, SMALL_CHUNKS)
    expect(await append(second, events(1, 4), expected)).toEqual({ ...ack, duplicate: true })
    await second.close()
  })

  test('of the first event alone, then of the batch: both are duplicates', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    const ack = await append(first, events(0, 3))
    await first.close()
    const second = await openStore(disk)
    expect(await append(second, event(0))).toMatchObject({ firstRevision: 0, lastRevision: 0, duplicate: true })
    expect(await append(second, events(0, 3))).toEqual({ ...ack, duplicate: true })
    await second.close()
  })

  test('of an id that another stream has is none, before and after', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    await first.append('other', event(0))
    expect(await append(first, event(0))).toMatchObject({ firstRevision: 0, duplicate: false })
    await first.close()
    const second = await openStore(disk)
    expect(await second.append('third', event(0))).toMatchObject({ firstRevision: 0, duplicate: false })
    expect(await append(second, event(0))).toMatchObject({ firstRevision: 0, duplicate: true })
    await second.close()
  })
})

test('behaviour 40: many writers on one stream: numbers are dense, exactly one wins each exact revision', async () => {
  await withStore(SMALL_CHUNKS, async store => {
    let wins = 0
    await Promise.all(
      upTo(10).map(async writer => {
        for (let n = 0; n < 20; n++) {
          const head = await store.head('s')
          const ack = await append(store, event(1000 * writer + n), head ?? 'no_stream').catch(() => null)
          if (ack === null) continue
          // Whoever wins stands directly behind what it expected: nobody else won the same revision.
          expect(ack.firstRevision).toBe((head ?? -1) + 1)
          wins++
        }
      }),
    )
    expect(await revisions(store.readStream('s'))).toEqual(upTo(wins))
  })
})
