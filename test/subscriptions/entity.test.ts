import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { all, appendEach, openStore, order, orders, rejectionOf, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { numberOf } from './words.ts'

/** Sums up numbers, and tells what it was asked to fold. */
function summing() {
  const folded: number[] = []
  const when = (sum: number, event: RecordedEvent) => {
    folded.push(numberOf(event))
    return sum + numberOf(event)
  }
  return { folded, when }
}

const initial = 0

class Balance {
  readonly cents = 0
}

describe('an entity', () => {
  test('folds only what is new (E29)', async () => {
    await withStore({}, async store => {
      const { folded, when } = summing()
      const entity = store.entity('account-1', when, { initial })
      await store.append('account-1', orders(10))
      await store.append('account-2', orders(10))
      expect(await entity.get()).toBe(45)
      expect(folded.splice(0)).toEqual(upTo(10))
      expect(await entity.get()).toBe(45)
      expect(folded).toEqual([])
      await store.append('account-1', [order(100), order(200)])
      expect(await entity.get()).toBe(345)
      expect(folded).toEqual([100, 200])
      expect(entity.revision).toBe(11)
    })
  })

  test('sees what others have committed before its next get (E29)', async () => {
    await withStore({}, async store => {
      const [one, other] = [summing(), summing()]
      const entities = [one, other].map(({ when }) => store.entity('account-1', when, { initial }))
      for (const number of upTo(20)) {
        await store.append('account-1', order(number), { expectedRevision: entities[0]!.revision ?? 'no_stream' })
        for (const entity of entities) expect(await entity.get()).toBe((number * (number + 1)) / 2)
      }
    })
  })

  test('of a stream that does not exist is what it is initially', async () => {
    await withStore({}, async store => {
      const entity = store.entity('account-1', summing().when, { initial })
      expect(await entity.get()).toBe(0)
      expect(entity.revision).toBeNull()
    })
  })

  test('goes on from a snapshot after a restart: the tail alone is folded (E28)', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await appendEach(store, 'account-1', orders(120))
    await store.entity('account-1', summing().when, { initial }).get()
    await appendEach(store, 'account-1', orders(10, 120))
    await store.close()
    const again = await openStore(disk, SMALL_CHUNKS)
    const { folded, when } = summing()
    expect(await again.entity('account-1', when, { initial }).get()).toBe((130 * 129) / 2)
    expect(folded).toEqual(upTo(10).map(number => 120 + number))
    await again.close()
  })

  test('without snapshots is the same, only later (E28)', async () => {
    await withStore({}, async store => {
      await appendEach(store, 'account-1', orders(300))
      const { folded, when } = summing()
      expect(await store.entity('account-1', when, { initial }).get()).toBe((300 * 299) / 2)
      expect(await store.exists('$snapshot-account-1')).toBe(true)
      expect(await store.entity('account-1', when, { initial, snapshotAfterCount: 0 }).get()).toBe((300 * 299) / 2)
      expect(await store.entity('account-1', when, { initial, version: 2, snapshotAfterCount: 1000 }).get()).toBe((300 * 299) / 2)
      expect(folded).toHaveLength(900)
    })
  })

  test('saves a snapshot after so many events, and none larger than it may be (E28)', async () => {
    await withStore({}, async store => {
      const append = (state: string, event: RecordedEvent) => `${state}${'x'.repeat(numberOf(event))}`
      const small = store.entity('small', append, { initial: '', snapshotAfterCount: 3 })
      const large = store.entity('large', append, { initial: '', snapshotAfterCount: 3, maxSnapshotBytes: 100 })
      for (const _ of upTo(10)) {
        for (const entity of [small, large]) {
          await store.append(entity.stream, order(20))
          await entity.get()
        }
      }
      expect(await store.head('$snapshot-small')).toBe(2)
      expect(await store.head('$snapshot-large')).toBe(0)
      const fresh = store.entity('large', append, { initial: '' })
      expect(await fresh.get()).toHaveLength(200)
    })
  })

  test.each<[string, unknown, (state: never, event: RecordedEvent) => unknown]>([
    ['a Map', new Map(), (state: Map<number, string>, { revision, type }) => new Map(state).set(revision, type)],
    [
      'one with a Map inside',
      { byType: new Map() },
      ({ byType }: { byType: Map<string, number> }, { type, revision }) => ({ byType: new Map(byType).set(type, revision) }),
    ],
    ['one with a date', { at: null }, (_state, { created }) => ({ at: created })],
    ['a BigInt', 0n, (sum: bigint, event) => sum + BigInt(numberOf(event))],
    ['an object of a class', () => new Balance(), (state: Balance) => state],
    [
      'an object without a prototype',
      () => Object.create(null),
      (counts: Record<string, number>) => Object.assign(counts, { constructor: (counts['constructor'] ?? 0) + 1 }),
    ],
    ['endless', [Number.POSITIVE_INFINITY], (state: number[]) => state],
    ['a list with a hole', [undefined], (state: undefined[]) => state],
  ])('has the same state with snapshots as without when it is %s, which JSON would not give back', async (_name, initial, when) => {
    await withStore({}, async store => {
      await store.append('account-1', orders(4))
      const states = []
      for (const snapshotAfterCount of [0, 1, 1])
        states.push(await store.entity<unknown>('account-1', when as never, { initial, snapshotAfterCount }).get())
      const [without, saving, saved] = states
      expect(saving).toStrictEqual(without)
      expect(saved).toStrictEqual(without)
      expect(await store.exists('$snapshot-account-1')).toBe(false)
    })
  })

  test('has snapshots also of a state with lists, nothing and fields that are undefined', async () => {
    await withStore({}, async store => {
      await store.append('account-1', orders(4))
      const initial = { list: [[0], {}], none: null, missing: undefined, text: 'Infinity' }
      const entity = () => store.entity('account-1', state => state, { initial, snapshotAfterCount: 1 })
      await entity().get()
      expect(await store.exists('$snapshot-account-1')).toBe(true)
      expect(await entity().get()).toEqual(initial)
    })
  })

  test('goes on from its snapshot when its stream was cut just behind it', async () => {
    await withStore({}, async store => {
      const entity = () => store.entity('account-1', summing().when, { initial })
      await appendEach(store, 'account-1', orders(100))
      await entity().get()
      await appendEach(store, 'account-1', orders(10, 100))
      await store.setMetadata('account-1', { truncateBefore: 100 })
      expect(await entity().get()).toBe((110 * 109) / 2)
    })
  })

  test('of a stream that was deleted begins anew, with a snapshot as without one (E28)', async () => {
    await withStore({}, async store => {
      const { when } = summing()
      const open = store.entity('account-1', when, { initial })
      const states = () =>
        Promise.all([
          open.get(),
          store.entity('account-1', when, { initial }).get(),
          store.entity('account-1', when, { initial, snapshotAfterCount: 0 }).get(),
        ])
      await appendEach(store, 'account-1', orders(100))
      expect(await states()).toEqual([4950, 4950, 4950])
      await store.delete('account-1')
      expect(await states()).toEqual([0, 0, 0])
      expect(open.revision).toBeNull()
      for (const number of [7, 8]) {
        await store.append('account-1', order(number))
        expect(await states()).toEqual(Array.from({ length: 3 }, () => (number === 7 ? 7 : 15)))
      }
    })
  })

  test('begins with what is left when events that it had not seen have grown too old, but not when some were erased', async () => {
    const clock = new ManualClock()
    await withStore({ ...SMALL_CHUNKS, clock }, async store => {
      const entity = store.entity('account-1', summing().when, { initial })
      await appendEach(store, 'account-1', orders(5))
      expect(await entity.get()).toBe(0 + 1 + 2 + 3 + 4)
      await appendEach(store, 'account-1', orders(3, 5))
      await store.erase('account-1', 5)
      await store.scavenge()
      expect(await entity.get()).toBe(10 + 6 + 7)
      await store.setMetadata('account-1', { maxAge: 10 })
      await store.append('account-1', order(8))
      clock.advance(20_000)
      await store.append('account-1', order(9))
      expect(await entity.get()).toBe(9)
    })
  })

  test('of a stream with the longest name is folded without snapshots', async () => {
    await withStore({}, async store => {
      const name = 'n'.repeat(1024)
      await appendEach(store, name, orders(200))
      const { when, folded } = summing()
      for (const _ of upTo(2)) expect(await store.entity(name, when, { initial }).get()).toBe((200 * 199) / 2)
      expect(folded).toHaveLength(400)
    })
  })

  test('whose stream lost events that it had not seen begins with what is left, as without a snapshot', async () => {
    await withStore({}, async store => {
      const entity = store.entity('account-1', summing().when, { initial })
      await appendEach(store, 'account-1', orders(10))
      expect(await entity.get()).toBe(45)
      await appendEach(store, 'account-1', orders(10, 10))
      await store.setMetadata('account-1', { truncateBefore: 15 })
      expect(await entity.get()).toBe(15 + 16 + 17 + 18 + 19)
    })
  })

  test('asked several times at once folds each event once', async () => {
    await withStore({}, async store => {
      const { folded, when } = summing()
      const entity = store.entity('account-1', when, { initial })
      await store.append('account-1', orders(5))
      expect(await Promise.all(upTo(5).map(() => entity.get()))).toEqual([10, 10, 10, 10, 10])
      expect(folded).toEqual(upTo(5))
    })
  })

  test('whose reducer throws begins anew with the next get', async () => {
    await withStore({}, async store => {
      let isBroken = true
      const push = (state: number[], event: RecordedEvent) => {
        if (isBroken && state.length === 2) throw new Error('no third')
        state.push(numberOf(event))
        return undefined
      }
      const entity = store.entity<number[]>('account-1', push, { initial: () => [] })
      await store.append('account-1', orders(4))
      expect(await rejectionOf(entity.get())).toMatchObject({ message: 'no third' })
      isBroken = false
      expect(await entity.get()).toEqual(upTo(4))
    })
  })

  test('is served in a store that is open for reading, where no snapshot can be saved', async () => {
    const disk = new MemoryDisk()
    const writer = await openStore(disk)
    await appendEach(writer, 's', orders(150))
    await writer.close()
    const reader = await openStore(disk, { readOnly: true })
    expect(await reader.entity('s', summing().when, { initial }).get()).toBe((150 * 149) / 2)
    await reader.close()
  })

  test('keeps its snapshots where unfiltered readers do not see them', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(100))
      await store.entity('s', summing().when, { initial }).get()
      expect(await all(store.readAll())).toHaveLength(100)
    })
  })
})
