import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import type { AppendCondition, NewEvent, RecordedEvent } from '../../src/core/events.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { all, appendEach, openStore, rejectionOf, SMALL_CHUNKS, sized, upTo, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

function of(type: string): NewEvent {
  return { type, data: 'x' }
}

type FailIf = AppendCondition['failIf']

/** The conflicts of an append on this condition; null when nothing stands against it. */
async function conflictsOf(store: EventStore, failIf: FailIf, after: number): Promise<string[] | null> {
  try {
    await store.append('checks', [], { condition: { failIf, after } })
    return null
  } catch (error) {
    const { code, conflicts } = error as { code: string; conflicts: { stream: string; revision: number }[] }
    if (code !== 'CONDITION_FAILED') throw error
    return conflicts.map(({ stream, revision }) => `${revision}@${stream}`)
  }
}

/** a: A B A, b: B; returns the position of each. */
async function scene(store: EventStore): Promise<number[]> {
  const calls: [string, string][] = [
    ['a', 'A'],
    ['a', 'B'],
    ['b', 'B'],
    ['a', 'A'],
  ]
  const positions: number[] = []
  for (const [stream, type] of calls) positions.push((await store.append(stream, of(type))).position)
  return positions
}

/** The same in memory, and in files that are read anew for every question. */
function inBoth(what: string, play: (store: EventStore, positions: number[]) => Promise<void>): void {
  test.each(['memory', 'files'])(`${what} (%s)`, async place => {
    const disk = new MemoryDisk()
    const first = await openStore(disk, SMALL_CHUNKS)
    const positions = await scene(first)
    if (place === 'memory') {
      await play(first, positions)
      return first.close()
    }
    await first.append('filler', sized(3500))
    await first.append('filler', of('Filler'))
    await first.close()
    const second = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    await play(second, positions)
    await second.close()
  })
}

describe('against a condition stands what was committed behind its position', () => {
  inBoth('with one of its types', async (store, [first, second, third, fourth]) => {
    expect(await conflictsOf(store, { types: ['A'] }, 0)).toEqual(['0@a', '2@a'])
    expect(await conflictsOf(store, { types: ['A'] }, first!)).toEqual(['2@a'])
    expect(await conflictsOf(store, { types: ['A'] }, fourth! - 1)).toEqual(['2@a'])
    expect(await conflictsOf(store, { types: ['A'] }, fourth!)).toBeNull()
    expect(await conflictsOf(store, { types: ['B'] }, second!)).toEqual(['0@b'])
    expect(await conflictsOf(store, { types: ['B'] }, third!)).toBeNull()
    expect(await conflictsOf(store, { types: ['C'] }, 0)).toBeNull()
    expect(await conflictsOf(store, { types: ['C', 'B'] }, 0)).toEqual(['1@a', '0@b'])
  })

  test('and keeps nothing but its own bytes in memory, however the condition was told', async () => {
    await withStore({}, async store => {
      for (const stream of ['a', 'b'])
        await appendEach(
          store,
          stream,
          upTo(300).map(() => ({ type: 'A', data: Buffer.alloc(1000) })),
        )
      for (const failIf of [{ types: ['A'] }, { streams: ['a'] }]) {
        const { conflicts } = await rejectionOf(store.append('checks', [], { condition: { failIf, after: 0 } }))
        expect(conflicts).toHaveLength(100)
        for (const { bytes } of conflicts as RecordedEvent[]) expect(bytes.buffer.byteLength).toBeLessThan(2000)
      }
    })
  })

  test('and while it is looked for, nothing of what is written meanwhile is kept in memory', async () => {
    const disk = new SimulatedDisk()
    const first = await openStore(disk)
    await scene(first)
    await first.close()
    const second = await openStore(disk, { cacheBytes: 0 })
    const reading = disk.hold('read', { path: '.chunk' })
    const refusal = conflictsOf(second, { types: ['A'] }, 0)
    await reading.reached
    const written = async () => {
      const data = Buffer.alloc(1000)
      await second.append('c', { type: 'C', data })
      return new WeakRef(data)
    }
    const data = await written()
    const isKept = () => {
      collectGarbage()
      return data.deref() !== undefined
    }
    await expect.poll(isKept).toBe(false)
    reading.release()
    expect(await refusal).toEqual(['0@a', '2@a'])
    await second.close()
  })

  test('is looked for in 16 refusals at once, and in all of them in the end', async () => {
    const disk = new SimulatedDisk()
    const first = await openStore(disk)
    await scene(first)
    await first.close()
    const second = await openStore(disk, { cacheBytes: 0 })
    let reached = 0
    const held = upTo(40).map(nth => disk.hold('read', { path: '.chunk', nth: nth + 1 }))
    for (const each of held) void each.reached.then(() => reached++)
    const refusals = Promise.all(upTo(40).map(() => conflictsOf(second, { types: ['A'] }, 0)))
    await held[0]!.reached
    await settle()
    expect(reached).toBe(16)
    for (const each of held) each.release()
    for (const conflicts of await refusals) expect(conflicts).toEqual(['0@a', '2@a'])
    await second.close()
  })

  inBoth('in one of its streams', async (store, [, second, third, fourth]) => {
    expect(await conflictsOf(store, { streams: ['a'] }, second!)).toEqual(['2@a'])
    expect(await conflictsOf(store, { streams: ['a'] }, fourth!)).toBeNull()
    expect(await conflictsOf(store, { streams: ['b', 'nobody'] }, 0)).toEqual(['0@b'])
    expect(await conflictsOf(store, { streams: ['b', 'b'] }, 0)).toEqual(['0@b'])
    expect(await conflictsOf(store, { streams: ['b'] }, third!)).toBeNull()
    expect(await conflictsOf(store, { streams: ['a', 'b'] }, second!)).toEqual(['0@b', '2@a'])
  })

  inBoth('with one of its types in one of its streams', async (store, [first, second]) => {
    expect(await conflictsOf(store, { types: ['B'], streams: ['a'] }, 0)).toEqual(['1@a'])
    expect(await conflictsOf(store, { types: ['B'], streams: ['a'] }, second!)).toBeNull()
    expect(await conflictsOf(store, { types: ['A'], streams: ['b'] }, 0)).toBeNull()
    expect(await conflictsOf(store, { types: ['A', 'B'], streams: ['a', 'b'] }, first!)).toEqual(['1@a', '0@b', '2@a'])
  })

  test('that names what it named when it was called, whatever becomes of the list', async () => {
    await withStore({}, async store => {
      await store.append('a', of('A'))
      const streams = ['a']
      const refusal = rejectionOf(store.append('b', of('B'), { condition: { failIf: { streams }, after: 0 } }))
      streams[0] = 'b'
      expect((await refusal)['conflicts']).toMatchObject([{ stream: 'a' }])
    })
  })

  test('up to a hundred are shown, and whether there are more', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      for (const count of [100, 101]) {
        while (((await store.head('a')) ?? -1) + 1 < count) await store.append('a', of('A'))
        for (const failIf of [{ types: ['A'] }, { streams: ['a'] }, { types: ['A'], streams: ['a'] }]) {
          const error = await rejectionOf(store.append('b', of('B'), { condition: { failIf, after: 0 } }))
          expect(error).toMatchObject({ code: 'CONDITION_FAILED', outcome: 'rejected', more: count > 100 })
          expect((error['conflicts'] as { revision: number }[]).map(({ revision }) => revision)).toEqual(upTo(100))
        }
      }
    })
  })

  test('though it was on its way when the condition was looked at', async () => {
    await withStore({}, async store => {
      const after = store.lastPosition
      const rival = store.append('a', of('A'))
      const late = rejectionOf(store.append('b', of('B'), { condition: { failIf: { types: ['A'] }, after } }))
      await rival
      expect(await late).toMatchObject({ code: 'CONDITION_FAILED', conflicts: [{ stream: 'a', type: 'A' }] })
    })
  })

  test('and not what was taken back because the disk was full', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    disk.failNext({ op: 'writeDurably', error: 'ENOSPC' })
    const condition = { failIf: { types: ['A'] }, after: 0 }
    const lost = rejectionOf(store.append('a', of('A')))
    expect(await lost).toMatchObject({ code: 'DISK_FULL' })
    expect(await store.append('b', of('B'), { condition })).toMatchObject({ firstRevision: 0 })
    await store.close()
  })
})

describe('what was scavenged still stands against a condition', () => {
  /** Of s only the last event is left, and behind `after` one of type A is gone. */
  async function scavenged(check: (store: EventStore, after: number) => Promise<void>): Promise<void> {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await store.append('s', of('B'))
    const after = store.lastPosition
    await store.append('s', of('A'))
    await store.append('s', of('C'))
    await store.erase('s', 1)
    await store.scavenge()
    expect((await all(store.readStream('s'))).map(({ type }) => type)).toEqual(['B', 'C'])
    await check(store, after)
    await store.close()
    const reopened = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    await check(reopened, after)
    await reopened.close()
  }

  test('by its type', async () => {
    await scavenged(async (store, after) => {
      expect(await conflictsOf(store, { types: ['A'] }, after)).toEqual([])
      expect(await conflictsOf(store, { types: ['A'] }, store.lastPosition)).toBeNull()
    })
  })

  test('by its type and stream: nobody knows what stood in a gap', async () => {
    await scavenged(async (store, after) => {
      expect(await conflictsOf(store, { types: ['A'], streams: ['s'] }, after)).toEqual([])
      expect(await conflictsOf(store, { types: ['A'], streams: ['other'] }, after)).toBeNull()
      expect(await conflictsOf(store, { types: ['never'], streams: ['s'] }, after)).toBeNull()
    })
  })

  test('also when it was the last of its stream, or all of it', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await store.append('s', [of('B'), of('A')])
      await store.append('t', of('A'))
      const after = store.lastPosition
      await store.append('s', of('A'))
      await store.delete('s')
      await store.scavenge()
      expect(await conflictsOf(store, { types: ['A'], streams: ['s'] }, after)).toEqual([])
      expect(await conflictsOf(store, { types: ['A'], streams: ['t'] }, after)).toBeNull()
    })
  })

  test('and a gap that lies before the position does not', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await store.append('s', [of('A'), of('A'), of('B')])
      await store.erase('s', 1)
      await store.scavenge()
      const after = store.lastPosition
      await store.append('s', of('C'))
      await store.append('t', of('A'))
      expect(await conflictsOf(store, { types: ['A'], streams: ['s'] }, after)).toBeNull()
    })
  })
})
