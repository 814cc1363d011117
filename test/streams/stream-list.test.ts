import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { all, openStore, order, orders, SMALL_CHUNKS, sized, upTo, withStore } from '../store/words.ts'
import { COLLIDING } from './index-model.ts'

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

const NAMES = [...upTo(40).map(n => `order-${n}`), ...COLLIDING.flat(), 'ü', 'üb', 'a']

async function listed(store: EventStore, prefix?: string): Promise<string[]> {
  return (await all(store.streams(prefix === undefined ? {} : { prefix }))).map(({ stream }) => stream).sort()
}

/** Every stream in every chunk, so that each part of the index has all of them. */
async function filled(disk: MemoryDisk, rounds = 4): Promise<EventStore> {
  const store = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
  for (const n of upTo(rounds)) {
    await Promise.all(NAMES.map(name => store.append(name, order(n))))
    await store.append('filler', sized(3000))
  }
  return store
}

describe('the list of streams', () => {
  test('has each stream once, with its first and last revision, whatever part of the index has it', async () => {
    const disk = new MemoryDisk()
    const store = await filled(disk)
    const expected = [...NAMES, 'filler'].sort()
    expect(await listed(store)).toEqual(expected)
    for (const { firstRevision, lastRevision } of await all(store.streams()))
      expect([firstRevision, lastRevision]).toEqual([0, 3])
    await store.close()
    const reopened = await openStore(disk, SMALL_CHUNKS)
    expect(await listed(reopened)).toEqual(expected)
    await reopened.close()
  })

  test('answers calls that come at once in their order', async () => {
    await withStore({}, async store => {
      for (const name of ['a', 'b', 'c']) await store.append(name, order(0))
      const iterator = store.streams()[Symbol.asyncIterator]()
      const answers = await Promise.all(upTo(4).map(() => iterator.next()))
      expect(answers.map(({ value, done }) => (done ? 'done' : value.stream)).sort()).toEqual(['a', 'b', 'c', 'done'])
    })
  })

  test('with a prefix has those that begin so, byte by byte', async () => {
    const store = await filled(new MemoryDisk(), 1)
    const names = [...NAMES, 'filler']
    for (const prefix of ['order-1', 'order-', 'order-99', 'f', '']) {
      expect(await listed(store, prefix), prefix).toEqual(names.filter(name => name.startsWith(prefix)).sort())
    }
    expect(await listed(store, 'ü')).toEqual(['ü', 'üb'])
    await store.close()
  })

  test("leaves out the store's own streams, and what is deleted, softly or for good", async () => {
    await withStore(SMALL_CHUNKS, async store => {
      for (const name of ['a', 'b', 'c', 'd']) await store.append(name, orders(3))
      await store.delete('a')
      await store.tombstone('b')
      await store.setMetadata('c', { truncateBefore: 2 })
      await store.setMetadata('never-written', { maxCount: 3 })
      await store.erase('d', 0)
      expect(await all(store.streams())).toEqual(
        expect.arrayContaining([
          { stream: 'c', firstRevision: 2, lastRevision: 2 },
          { stream: 'd', firstRevision: 0, lastRevision: 2 },
        ]),
      )
      expect(await listed(store)).toEqual(['c', 'd'])
    })
  })

  test('tells what a scavenge has left, also of the chunk that it completed itself', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await store.append('s', orders(5))
      await store.erase('s', 0)
      await store.scavenge()
      expect(await all(store.streams())).toEqual([{ stream: 's', firstRevision: 1, lastRevision: 4 }])
    })
  })

  test('goes on beside appends: all that were there when it began, each once', async () => {
    const store = await filled(new MemoryDisk())
    const seen: string[] = []
    for await (const { stream } of store.streams()) {
      seen.push(stream)
      await store.append(`later-${seen.length}`, sized(300))
    }
    const before = seen.filter(stream => !stream.startsWith('later'))
    expect(before.sort()).toEqual([...NAMES, 'filler'].sort())
    expect(new Set(seen).size).toBe(seen.length)
    await store.close()
  })

  test('tells of each stream what is there when it comes by: a stream that went on and kept only that was never away', async () => {
    const disk = new MemoryDisk()
    await (await filled(disk)).close()
    const store = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    const walk = store.streams()[Symbol.asyncIterator]()
    const { stream: first } = (await walk.next()).value
    for (const name of [...NAMES, 'filler']) {
      await store.append(name, order(4))
      if (name !== 'a') await store.setMetadata(name, { truncateBefore: 4 })
    }
    const seen: unknown[] = []
    for (let step = await walk.next(); !step.done; step = await walk.next()) seen.push(step.value)
    const others = [...NAMES, 'filler'].filter(name => name !== first)
    const expected = others.map(stream => ({ stream, firstRevision: stream === 'a' ? 0 : 4, lastRevision: 4 }))
    expect(seen).toHaveLength(expected.length)
    expect(seen).toEqual(expect.arrayContaining(expected))
    await store.close()
  })

  test('leaves out what was deleted before it came by, also when nothing had been said of any stream until then', async () => {
    const store = await filled(new MemoryDisk())
    const seen: string[] = []
    for await (const { stream } of store.streams()) {
      seen.push(stream)
      for (const name of [...NAMES, 'filler']) if (name !== stream) await store.delete(name)
    }
    expect(seen).toHaveLength(1)
    await store.close()
  })

  test('goes on behind the last name when an index file turns out to be damaged in the middle of the walk', async () => {
    const disk = new MemoryDisk()
    const first = await filled(disk, 8)
    await first.close()
    const pageSize = 4096
    for (const [path, bytes] of [...disk.snapshot()].filter(([path]) => path.endsWith('.index'))) {
      for (let page = 1; page * pageSize < bytes.length; page++) {
        const content = disk.snapshot()
        const damaged = bytes.slice()
        damaged[page * pageSize + 100]! ^= 0x40
        content.set(path, damaged)
        const rotten = new MemoryDisk(content)
        const store = await openStore(rotten, { ...SMALL_CHUNKS, cacheBytes: 0 })
        expect(await listed(store), `${path} page ${page}`).toEqual([...NAMES, 'filler'].sort())
        await store.close()
      }
    }
  })

  describe('when a walk stands still amid', () => {
    /** Files that it has are merged with later ones. */
    async function walkAmid(disk: MemoryDisk) {
      await (await filled(disk, 2)).close()
      const store = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
      const walk = store.streams()[Symbol.asyncIterator]()
      await walk.next()
      const held = indexFiles(disk)
      for (const n of upTo(40)) await store.append('filler', sized(3000 + n))
      const lastChunks = (paths: string[]) => paths.map(path => Number(/-(\d+)\.index$/.exec(path)?.[1] ?? 0))
      const fromTheBeginning = () => indexFiles(disk).filter(path => path.includes('/000000-'))
      // One that stands for all of them.
      await expect.poll(() => Math.max(...lastChunks(fromTheBeginning()))).toBeGreaterThan(Math.max(...lastChunks(held)))
      return { store, walk, held }
    }

    function indexFiles(disk: MemoryDisk): string[] {
      return [...disk.snapshot().keys()].filter(path => path.endsWith('.index'))
    }

    test('closing the store lets go of what it holds, and it does not go on', async () => {
      const disk = new MemoryDisk()
      const { store, walk, held } = await walkAmid(disk)
      expect(indexFiles(disk).filter(path => held.includes(path))).not.toEqual([])
      await store.close()
      expect(indexFiles(disk).filter(path => held.includes(path))).toEqual([])
      await expect(walk.next()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
      expect(await walk.return!()).toEqual({ value: undefined, done: true })
    })

    test('one that was forgotten holds nothing for ever', async () => {
      const disk = new MemoryDisk()
      const { store, held } = await walkAmid(disk)
      await expect
        .poll(() => {
          collectGarbage()
          return indexFiles(disk).filter(path => held.includes(path))
        })
        .toEqual([])
      expect(await listed(store)).toEqual([...NAMES, 'filler'].sort())
      await store.close()
    })

    test('one that is still wanted goes on over what it holds', async () => {
      const disk = new MemoryDisk()
      const { store, walk } = await walkAmid(disk)
      collectGarbage()
      const rest: string[] = []
      for (let step = await walk.next(); !step.done; step = await walk.next()) rest.push(step.value.stream)
      expect(rest).toHaveLength(NAMES.length)
      await store.close()
    })
  })

  test('answers a step that is under way when the store is closed, and refuses the next one', async () => {
    const store = await filled(new MemoryDisk())
    const walk = store.streams()[Symbol.asyncIterator]()
    const step = walk.next()
    await store.close()
    expect(NAMES).toContain((await step).value.stream)
    await expect(walk.next()).rejects.toMatchObject({ code: 'STORE_CLOSED' })
  })
})
