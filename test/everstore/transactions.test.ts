/** What everstore's transactions promise (E1 to E14), through ours. Where Tailrace differs, the test says why. */
import { expect, test } from 'vitest'
import type { NewEvent, RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { Transaction } from '../../src/store/transaction.ts'
import { all, openStore, rejectionOf, upTo, withStore } from '../store/words.ts'
import { CrashModel } from '../support/crash-states.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const JOURNAL = '/user/a'
const COMMITTED = { committed: true }

function a(type: string, n = 0): NewEvent {
  return { type, data: { n } }
}

type AnyTransaction = Transaction<{ type: string; data: unknown }>

async function typesIn(events: AsyncIterable<RecordedEvent>): Promise<string[]> {
  return (await all(events)).map(({ type }) => type)
}

/** Two transactions that were opened at the same point; what the second's commit says when the first has committed. */
async function conflictOf(store: EventStore, first: string[], second: string[]): Promise<string[] | null> {
  const [one, other] = [store.transaction(JOURNAL), store.transaction(JOURNAL)]
  expect(await one.commit(first.map(type => a(type)))).toMatchObject(COMMITTED)
  const result = await other.commit(second.map(type => a(type)))
  return result.committed ? null : result.conflicts.map(({ type }) => type)
}

test('E1: a journal has a hierarchical name, and holds exactly what was committed to it', async () => {
  // In everstore it is a file of that name. Here a name never becomes a file name; text files are the journals' business.
  const disk = new MemoryDisk()
  const store = await openStore(disk)
  await store.transaction(JOURNAL).commit(a('A', 1))
  const events = await all(store.transaction(JOURNAL).events())
  expect(events).toMatchObject([{ stream: JOURNAL, revision: 0, type: 'A', data: { n: 1 } }])
  await store.close()
  expect([...disk.snapshot().keys()].filter(path => path.includes('user'))).toEqual([])
})

test('E2: a name that is none is refused when the transaction is opened, and leaves nothing behind', async () => {
  // What everstore refuses for the sake of its file system is a name here: no leading slash, '/', '..' and '//'.
  await withStore({}, async store => {
    for (const name of ['', 'n'.repeat(1025), 'ü'.repeat(513), 'a\nb', 'a\0b', '\ud800', 5 as unknown as string, '$system']) {
      expect(() => store.transaction(name)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
    }
    expect(await all(store.streams())).toEqual([])
    for (const name of ['user', '/', '/a/../b', '/a//b', 'n'.repeat(1024)]) {
      expect(await store.transaction(name).commit(a('A'))).toMatchObject(COMMITTED)
    }
    expect(await all(store.streams())).toHaveLength(5)
  })
})

test('E3: a journal exists from its first commit on, also after a restart', async () => {
  const disk = new MemoryDisk()
  const first = await openStore(disk)
  expect(await first.exists(JOURNAL)).toBe(false)
  const transaction = first.transaction(JOURNAL)
  await all(transaction.events())
  await transaction.rollback()
  expect(await first.exists(JOURNAL)).toBe(false)
  await first.transaction(JOURNAL).commit(a('A'))
  expect(await first.exists(JOURNAL)).toBe(true)
  await first.close()
  const second = await openStore(disk)
  expect(await second.exists(JOURNAL)).toBe(true)
  await second.close()
})

test('E4: a journal that nobody has written is empty, which is no error; each transaction is one of its own', async () => {
  await withStore({}, async store => {
    const three = upTo(3).map(() => store.transaction(JOURNAL))
    for (const transaction of three) expect(await all(transaction.events())).toEqual([])
    await three[0]!.rollback()
    expect(await three[1]!.commit(a('A'))).toMatchObject(COMMITTED)
    expect(await three[2]!.commit(a('B'))).toMatchObject(COMMITTED)
  })
})

test('E5: what is read in a transaction stays the same, whatever others commit', async () => {
  await withStore({ chunkSizeBytes: 4096 }, async store => {
    await store.append(JOURNAL, [a('A'), a('B')])
    const transaction = store.transaction(JOURNAL)
    const begun = transaction.events()[Symbol.asyncIterator]()
    expect((await begun.next()).value).toMatchObject({ type: 'A' })
    for (const n of upTo(60)) await store.append(JOURNAL, a('Later', n))
    expect((await begun.next()).value).toMatchObject({ type: 'B' })
    expect((await begun.next()).done).toBe(true)
    expect(await typesIn(transaction.events())).toEqual(['A', 'B'])
    expect(await typesIn(transaction.readFrom(1))).toEqual(['B'])
    expect(await typesIn(transaction.readFrom(2))).toEqual([])
  })
})

test('E6: reading on from where the last read ended gives exactly what is new', async () => {
  await withStore({}, async store => {
    await store.append(JOURNAL, [a('A'), a('B'), a('C')])
    const known = await all(store.transaction(JOURNAL).events())
    await store.append(JOURNAL, [a('D'), a('E')])
    expect(await typesIn(store.transaction(JOURNAL).readFrom(known.length))).toEqual(['D', 'E'])
  })
})

test('E7: each event tells the time of its commit', async () => {
  // Everstore strips it unless it is asked for; here it is a field beside type and data.
  const clock = new ManualClock()
  await withStore({ clock }, async store => {
    await store.transaction(JOURNAL).commit(a('A'))
    clock.advance(1500)
    await store.transaction(JOURNAL).commit(a('B'))
    const [first, second] = await all(store.transaction(JOURNAL).events())
    expect(second!.created.getTime() - first!.created.getTime()).toBe(1500)
  })
})

test('E8: a journal of 10 MB is read in parts of bounded size: all events, in order, once', async () => {
  await withStore({}, async store => {
    const payload = new Uint8Array(4096)
    for (const n of upTo(25)) {
      await store.append(
        JOURNAL,
        upTo(100).map(i => ({ type: 'A', data: payload, metadata: { n: 100 * n + i } })),
      )
    }
    const seen: number[] = []
    for await (const batch of store.transaction(JOURNAL).events().batches()) {
      expect(batch.length * payload.length).toBeLessThanOrEqual(64 * 1024)
      for (const { metadata } of batch) seen.push((metadata as { n: number }).n)
    }
    expect(seen).toEqual(upTo(2500))
  })
})

test('E9: the events of a commit are there together or not at all, whatever a crash leaves, and share one time', async () => {
  const disk = new SimulatedDisk()
  const store = await openStore(disk)
  await store.append(JOURNAL, a('Before'))
  disk.mark('begun')
  const result = await store.transaction(JOURNAL).commit([a('A'), a('B'), a('C')])
  disk.mark('committed')
  expect(result).toMatchObject({ committed: true, ack: { firstRevision: 1, lastRevision: 3 } })
  const times = (await all(store.readStream(JOURNAL, { from: 1 }))).map(({ created }) => created.getTime())
  expect(new Set(times).size).toBe(1)
  const seen = new Set<number>()
  for (const state of new CrashModel(disk, { randomCount: 8, sampleLimit: 8 }).states()) {
    if (!state.marks.some(({ label }) => label === 'begun')) continue
    const reopened = await openStore(state.disk)
    const count = (await all(reopened.transaction(JOURNAL).events())).length
    const wasTold = state.marks.some(({ label }) => label === 'committed')
    expect(wasTold ? [4] : [1, 4], state.describe()).toContain(count)
    seen.add(count)
    await reopened.close()
  }
  expect([...seen].sort()).toEqual([1, 4])
  await store.close()
})

test('E10: a commit conflicts with one of the same type, and not with one of another', async () => {
  // Everstore's code lets {A, C} pass behind {A} and refuses {} always; its README means what is tested here.
  const table: [string[], string[], string[] | null][] = [
    [['A'], ['A'], ['A']],
    [['A'], ['B'], null],
    [['A'], ['A', 'C'], ['A']],
    [['A', 'B'], ['C', 'B', 'D'], ['B']],
    [['A'], [], null],
  ]
  for (const [first, second, conflicts] of table) {
    await withStore({}, async store => {
      await store.append(JOURNAL, a('A'))
      expect(await conflictOf(store, first, second), `${second} after ${first}`).toEqual(conflicts)
    })
  }
})

test('E10: what was there before, and what stands in other journals, is no conflict', async () => {
  await withStore({}, async store => {
    await store.append(JOURNAL, a('A'))
    const transaction = store.transaction(JOURNAL)
    await store.append('/user/b', a('A'))
    expect(await transaction.commit(a('A'))).toMatchObject(COMMITTED)
  })
})

test('E11: of two that create a journal with the same type one wins; with different types both do', async () => {
  // In everstore creating is a type of its own, ES_NewJournal, that never decides alone. Here it is none.
  await withStore({}, async store => {
    expect(await conflictOf(store, ['A'], ['A'])).toEqual(['A'])
  })
  await withStore({}, async store => {
    expect(await conflictOf(store, ['A'], ['B'])).toBeNull()
  })
})

test('E12: a conflict is a value with the events that stand against it, so that the application can decide again', async () => {
  await withStore({}, async store => {
    const transaction = store.transaction(JOURNAL)
    await store.append(JOURNAL, [a('A', 1), a('B', 2), a('A', 3)])
    const result = await transaction.commit(a('A', 9))
    expect(result).toMatchObject({ committed: false, more: false })
    const { conflicts } = result as { conflicts: readonly RecordedEvent[] }
    expect(conflicts).toMatchObject([
      { type: 'A', revision: 0, data: { n: 1 } },
      { type: 'A', revision: 2, data: { n: 3 } },
    ])
    expect(await store.head(JOURNAL)).toBe(2)
    // It is as it was: opened where it was opened, the same commit meets the same events, and another type none.
    expect(await transaction.commit(a('A', 9))).toMatchObject({ committed: false })
    expect(await transaction.commit(a('C', 9))).toMatchObject(COMMITTED)
  })
})

test('E12: it is decided again, with what was committed meanwhile, until nothing stands against it', async () => {
  await withStore({}, async store => {
    await store.append(JOURNAL, a('A', 1))
    const transaction = store.transaction(JOURNAL)
    await store.append(JOURNAL, a('A', 10))
    const total = async (of: AnyTransaction) =>
      (await all(of.events())).reduce((sum, { data }) => sum + (data as { n: number }).n, 0)
    const decisions: number[] = []
    const result = await transaction.commit(a('A', await total(transaction)), {
      retry: async conflicts => {
        decisions.push(conflicts.length)
        if (decisions.length === 1) await store.append(JOURNAL, a('A', 100))
        return a('A', await total(transaction))
      },
    })
    expect(result).toMatchObject(COMMITTED)
    // The second decision saw the second rival.
    expect(decisions).toEqual([1, 1])
    expect((await all(store.readStream(JOURNAL))).map(({ data }) => (data as { n: number }).n)).toEqual([1, 10, 100, 111])
  })
})

test('E13: what is rolled back was never written, and takes no more calls', async () => {
  await withStore({}, async store => {
    const transaction = store.transaction(JOURNAL)
    await transaction.rollback()
    await transaction.rollback()
    const over = { code: 'TRANSACTION_CLOSED', reason: 'rolled_back' }
    expect(await rejectionOf(transaction.commit(a('A')))).toMatchObject(over)
    expect(await rejectionOf(all(transaction.events()))).toMatchObject(over)
    expect(store.lastPosition).toBe(0)
  })
})

test('E14: a transaction that nobody uses for longer than its time is over; others go on, and nothing waits for it', async () => {
  const clock = new ManualClock()
  await withStore({ clock }, async store => {
    const [idle, used, patient] = [
      store.transaction(JOURNAL, { idleTimeoutMs: 1000 }),
      store.transaction(JOURNAL, { idleTimeoutMs: 1000 }),
      store.transaction('/user/b'),
    ]
    const { timerCount } = clock
    for (const _ of upTo(4)) {
      clock.advance(500)
      await all(used.events())
    }
    const over = { code: 'TRANSACTION_CLOSED', reason: 'expired', outcome: 'rejected' }
    expect(await rejectionOf(idle.commit(a('A')))).toMatchObject(over)
    expect(await rejectionOf(all(idle.readFrom(0)))).toMatchObject(over)
    expect(await used.commit(a('A'))).toMatchObject(COMMITTED)
    clock.advance(57_000)
    expect(await patient.commit(a('A'))).toMatchObject(COMMITTED)
    for (const n of upTo(1000)) store.transaction(`/many/${n}`)
    expect(clock.timerCount).toBeLessThanOrEqual(timerCount + 1)
  })
})
