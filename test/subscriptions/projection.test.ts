import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { all, appendEach, openStore, order, orders, rejectionOf, SMALL_CHUNKS, sized, upTo, withStore } from '../store/words.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { numberOf } from './words.ts'

interface Totals {
  count: number
  sum: number
}

const totals = (seen: number[] = []) => ({
  name: 'totals',
  initial: { count: 0, sum: 0 },
  when: {
    OrderPlaced: ({ count, sum }: Totals, event: RecordedEvent) => {
      seen.push(numberOf(event))
      return { count: count + 1, sum: sum + numberOf(event) }
    },
  },
})

const sumOf = (count: number) => ({ count, sum: upTo(count).reduce((sum, number) => sum + number, 0) })
const checkpoints = async (store: EventStore) => (await store.head('$projection-totals')) ?? -1

describe('a projection', () => {
  test('gives the state behind everything that was acknowledged before', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const projection = store.project(totals())
      expect(await projection.state()).toEqual(sumOf(0))
      for (const number of upTo(50)) {
        await store.append(`s-${number % 3}`, order(number))
        await store.append('other', sized(100))
        expect(await projection.state()).toEqual(sumOf(number + 1))
      }
    })
  })

  test('goes on from its checkpoint after a restart: each event counts once', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk, SMALL_CHUNKS)
    const seen: number[] = []
    await appendEach(first, 's', orders(60))
    expect(await first.project(totals(seen)).state()).toEqual(sumOf(60))
    await first.close()
    const again = await openStore(disk, SMALL_CHUNKS)
    await appendEach(again, 's', orders(20, 60))
    expect(await again.project(totals(seen)).state()).toEqual(sumOf(80))
    expect(seen).toEqual(upTo(80))
    await again.close()
  })

  test('counts each event once, wherever its store dies (seed projection)', async () => {
    const random = new Random('projection')
    const disk = new MemoryDisk()
    let image = disk.snapshot()
    for (const life of upTo(15)) {
      const lives = new MemoryDisk(image)
      const store = await openStore(lives, SMALL_CHUNKS)
      const projection = store.project({ ...totals(), checkpointAfterCount: 1 + random.int(20) })
      await appendEach(store, 's', orders(10, 10 * life))
      if (random.chance(0.5)) await projection.state()
      expect(await projection.state()).toEqual(sumOf(10 * (life + 1)))
      image = lives.snapshot()
      await store.close()
    }
  })

  test('saves its state after so many events', async () => {
    await withStore({}, async store => {
      const projection = store.project({ ...totals(), checkpointAfterCount: 10 })
      for (const number of upTo(35)) {
        await store.append('s', order(number))
        await projection.state()
      }
      expect(await checkpoints(store)).toBe(2)
      const [last] = (await all(
        store.readStream('$projection-totals', { direction: 'backwards', maxCount: 1 }),
      )) as RecordedEvent[]
      expect(last?.data).toMatchObject({ version: 0, state: sumOf(30) })
      await projection.close()
      expect(await checkpoints(store)).toBe(3)
    })
  })

  test('can be built anew', async () => {
    await withStore({}, async store => {
      const seen: number[] = []
      const projection = store.project(totals(seen))
      await appendEach(store, 's', orders(5))
      await projection.state()
      await projection.rebuild()
      expect(seen).toEqual([...upTo(5), ...upTo(5)])
      expect(await projection.state()).toEqual(sumOf(5))
    })
  })

  test('that is built anew twice at once counts each event once', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(1000))
      const projection = store.project(totals())
      await projection.state()
      await Promise.all([projection.rebuild(), projection.rebuild()])
      await appendEach(store, 's', orders(5, 1000))
      expect(await projection.state()).toEqual(sumOf(1005))
      await projection.close()
      expect(await store.project(totals()).state()).toEqual(sumOf(1005))
    })
  })

  test('that is asked while it is built anew gives no state with less in it, whenever it is asked', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(5))
      const projection = store.project(totals())
      await projection.state()
      for (const ticks of upTo(30)) {
        const rebuilding = projection.rebuild()
        for (const _ of upTo(ticks)) await null
        expect(await projection.state()).toEqual(sumOf(5))
        await rebuilding
      }
    })
  })

  test('that is closed while it is built anew leaves its name to the next one', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await appendEach(store, 's', orders(500))
      const projection = store.project({ ...totals(), checkpointAfterCount: 10 })
      await projection.state()
      const rebuilding = rejectionOf(projection.rebuild())
      await projection.close()
      expect(await rebuilding).toMatchObject({ code: 'STORE_CLOSED' })
      const next = store.project({ ...totals(), checkpointAfterCount: 10 })
      await next.state()
      await appendEach(store, 's', orders(30, 500))
      expect(await next.state()).toEqual(sumOf(530))
    })
  })

  test('whose notes could not be read is built anew when they can be', async () => {
    const disk = new SimulatedDisk()
    const before = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    await before.project(totals()).checkpoint()
    await appendEach(before, 's', orders(200))
    await before.close()
    const store = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    const fault = disk.failNext({ op: 'read', path: '.chunk', error: 'EIO', times: 'forever' })
    const projection = store.project(totals())
    expect(await rejectionOf(projection.state())).toMatchObject({ code: 'READ_FAILED' })
    fault.clear()
    await projection.rebuild()
    expect(await projection.state()).toEqual(sumOf(200))
    await store.close()
  })

  test('saves its state when it is told to, also before it has begun', async () => {
    const disk = new MemoryDisk()
    for (const life of upTo(3)) {
      const store = await openStore(disk)
      const projection = store.project({ name: 'count', initial: 0, when: (count: number) => count + 1 })
      await projection.checkpoint()
      await store.append('s', order(life))
      expect(await projection.state()).toBe(life + 1)
      await store.close()
    }
  })

  test('that is closed while a checkpoint is on its way leaves its name to the next one when that is written', async () => {
    await withStore({}, async store => {
      await appendEach(store, 's', orders(5))
      const projection = store.project(totals())
      await projection.state()
      const saving = projection.checkpoint()
      const closing = projection.close()
      expect(await rejectionOf(projection.checkpoint())).toMatchObject({ code: 'STORE_CLOSED' })
      await closing
      const next = store.project(totals())
      await store.append('s', order(5))
      expect(await next.state()).toEqual(sumOf(6))
      await next.checkpoint()
      await saving
    })
  })

  test('of which a checkpoint found no room is saved at close', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { maxPendingAppends: 1 })
    const projection = store.project(totals())
    for (const number of upTo(3)) await store.append('s', order(number))
    await projection.state()
    const stalled = disk.hold('writeDurably', { path: '.chunk' })
    const waiting = store.append('other', order(0))
    expect(await rejectionOf(projection.checkpoint())).toMatchObject({ code: 'QUEUE_FULL' })
    stalled.release()
    await waiting
    await projection.close()
    expect(await checkpoints(store)).toBe(0)
    await store.close()
  })

  test('that is built anew while there is no room does not go on from what was saved before, also after a crash', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { maxPendingAppends: 1 })
    let factor = 1
    const summed = {
      name: 'totals',
      initial: 0,
      when: { OrderPlaced: (sum: number, event: RecordedEvent) => sum + factor * numberOf(event) },
    }
    for (const number of upTo(4)) await store.append('s', order(number))
    const projection = store.project(summed)
    expect(await projection.state()).toBe(6)
    await projection.checkpoint()
    factor = 10
    const stalled = disk.hold('writeDurably', { path: '.chunk' })
    const waiting = store.append('other', order(0))
    const rebuilding = projection.rebuild()
    await stalled.reached
    await new Promise(resolve => setImmediate(resolve))
    stalled.release()
    await Promise.all([waiting, rebuilding])
    const again = await openStore(new MemoryDisk(disk.snapshot()))
    expect(await again.project(summed).state()).toBe(60)
    await again.close()
    await store.close()
  })

  test('is built anew when its version is another one, once', async () => {
    const disk = new MemoryDisk()
    const lives: number[][] = []
    for (const version of [1, 2, 2]) {
      const store = await openStore(disk)
      const seen: number[] = []
      if (lives.length === 0) await appendEach(store, 's', orders(4))
      expect(await store.project({ ...totals(seen), version }).state()).toEqual(sumOf(4))
      lives.push(seen)
      await store.close()
    }
    expect(lives).toEqual([upTo(4), upTo(4), []])
  })

  test('with one reducer for all events sees what its filter means', async () => {
    await withStore({}, async store => {
      for (const turn of upTo(6)) await store.append(`s-${turn % 2}`, order(turn))
      const projection = store.project<string[]>({
        name: 'names',
        filter: { streams: ['s-1'] },
        initial: () => [],
        when: (state, event) => {
          state.push(`${event.stream}/${event.revision}`)
          return undefined
        },
      })
      expect(await projection.state()).toEqual(['s-1/0', 's-1/1', 's-1/2'])
    })
  })

  test('whose reducer throws says so, and can be built anew', async () => {
    await withStore({}, async store => {
      let isBroken = true
      const projection = store.project({
        name: 'fragile',
        initial: 0,
        when: (count: number) => {
          if (isBroken && count === 2) throw new Error('three is too many')
          return count + 1
        },
      })
      await appendEach(store, 's', orders(4))
      expect(await rejectionOf(projection.state())).toMatchObject({ message: 'three is too many' })
      isBroken = false
      await projection.rebuild()
      expect(await projection.state()).toBe(4)
    })
  })

  test('whose reducer throws when it has changed half of the state saves nothing of that, whenever it is asked to', async () => {
    for (const ticks of upTo(20)) {
      await withStore({}, async store => {
        const projection = store.project({
          name: 'totals',
          initial: { begun: 0, done: 0 },
          when: state => {
            state.begun++
            if (state.begun === 3) throw new Error('three is too many')
            state.done++
          },
        })
        await appendEach(store, 's', orders(2))
        await projection.checkpoint()
        await store.append('s', order(2))
        for (const _ of upTo(ticks)) await null
        await projection.checkpoint().catch(() => {})
        for await (const { data } of store.readStream('$projection-totals')) {
          const { state } = data as { state: { begun: number; done: number } }
          expect(state.begun).toBe(state.done)
        }
      })
    }
  })

  test.each([
    ['a Map', new Map(), 'Map'],
    ['a BigInt', 0n, 'BigInt'],
  ])('whose state is %s says so when it is to be saved: nothing of it would be left', async (_name, initial, kind) => {
    await withStore({}, async store => {
      await store.append('s', order(0))
      const projection = store.project<unknown>({ name: 'totals', initial, when: state => state, checkpointAfterCount: 100 })
      await projection.state()
      const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(/^the state of the projection "totals" .*/) }
      const error = await rejectionOf(projection.checkpoint())
      expect(error).toMatchObject(refusal)
      expect(error.message).toContain(kind)
      expect(await rejectionOf(projection.close())).toMatchObject(refusal)
      expect(await store.exists('$projection-totals')).toBe(false)
    })
  })

  test('whose first state could not be made for a rebuild says so, and can be built anew', async () => {
    await withStore({}, async store => {
      let isBroken = false
      const initial = () => {
        if (isBroken) throw new Error('no state')
        return { count: 0 }
      }
      const projection = store.project({ name: 'totals', initial, when: ({ count }) => ({ count: count + 1 }) })
      await store.append('s', order(0))
      expect(await projection.state()).toEqual({ count: 1 })
      isBroken = true
      expect(await rejectionOf(projection.rebuild())).toMatchObject({ message: 'no state' })
      await store.append('s', order(1))
      expect(await rejectionOf(projection.state())).toMatchObject({ message: 'no state' })
      isBroken = false
      await projection.rebuild()
      expect(await projection.state()).toEqual({ count: 2 })
    })
  })

  test('is open once under a name, and not after it was closed', async () => {
    await withStore({}, async store => {
      const projection = store.project(totals())
      expect(() => store.project(totals())).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }))
      await projection.close()
      expect(await rejectionOf(projection.state())).toMatchObject({ code: 'STORE_CLOSED' })
      expect(await store.project(totals()).state()).toEqual(sumOf(0))
    })
  })

  test('serves in a store that is open for reading, too', async () => {
    const disk = new MemoryDisk()
    const writer = await openStore(disk)
    await appendEach(writer, 's', orders(7))
    await writer.close()
    const reader = await openStore(disk, { readOnly: true })
    expect(await reader.project({ ...totals(), checkpointAfterCount: 1 }).state()).toEqual(sumOf(7))
    await reader.close()
  })

  test.each([
    [{ name: '' }],
    [{ when: {} }],
    [{ when: { OrderPlaced: 7 } }],
    [{ when: undefined }],
    [{ version: -1 }],
    [{ checkpointAfterCount: 0 }],
    [{ filter: { types: [] } }],
  ])('with %j is an InvalidArgumentError', async wrong => {
    await withStore({}, async store => {
      expect(() => store.project({ ...totals(), ...wrong } as never)).toThrow(
        expect.objectContaining({ code: 'INVALID_ARGUMENT' }),
      )
    })
  })
})
