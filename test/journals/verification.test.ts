import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/index.ts'
import { type JournalDifference, Journals } from '../../src/journals/journals.ts'
import { appendEach, order, orders, rejectionOf, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { edited, exportTo, JOURNALS } from './scenes.ts'

const LONG_NAME = 'n'.repeat(300)

/** A store with journals, which `scene` may spoil. */
async function withJournals(scene: (store: EventStore, disk: MemoryDisk) => Promise<void>): Promise<void> {
  await withStore({}, async store => {
    await store.append('a', orders(10))
    await store.append('b', orders(5))
    await store.append(LONG_NAME, orders(2))
    const disk = new MemoryDisk()
    await exportTo(disk, store)
    await scene(store, disk)
  })
}

const differencesOn = async (disk: MemoryDisk, store: EventStore): Promise<JournalDifference[]> =>
  (await Journals.verifyOn(disk, store, JOURNALS, {})).differences.map(difference => ({ ...difference }))

const withoutLine = (number: number) => (text: string) =>
  text
    .split('\n')
    .filter((_, index) => index !== number - 1)
    .join('\n')

describe('a verification', () => {
  test('finds nothing in journals as they were written, and tells what it saw', async () => {
    await withJournals(async (store, disk) => {
      expect(await Journals.verifyOn(disk, store, JOURNALS, {})).toEqual({
        position: store.lastPosition,
        fileCount: 3,
        eventCount: 17,
        differences: [],
        differenceCount: 0,
      })
    })
  })

  test('names file and line of a changed line, with what should stand there', async () => {
    await withJournals(async (store, disk) => {
      const spoilt = edited(disk.snapshot(), 'a.log', text => text.replace('"number":6', '"number":600'))
      expect(await differencesOn(spoilt, store)).toEqual([
        {
          ...{ file: 'a.log', line: 7, kind: 'changed' },
          expected: expect.stringContaining('{"number":6}'),
          found: expect.stringContaining('{"number":600}'),
        },
      ])
    })
  })

  test.each([
    ['in the middle', 4, 4],
    ['in the end', 10, 10],
  ])('finds a line that is missing %s, and only that one', async (_where, line, told) => {
    await withJournals(async (store, disk) => {
      const found = await differencesOn(edited(disk.snapshot(), 'a.log', withoutLine(line)), store)
      expect(found).toMatchObject([{ file: 'a.log', line: told, kind: 'missing', found: null }])
    })
  })

  test('finds a line that was put in, in the middle and in the end', async () => {
    await withJournals(async (store, disk) => {
      const inserted = edited(disk.snapshot(), 'a.log', text => text.replace('\n', '\nmine\n'))
      expect(await differencesOn(inserted, store)).toMatchObject([{ line: 2, kind: 'unknown', expected: null, found: 'mine' }])
      const added = edited(disk.snapshot(), 'a.log', text => `${text}mine\nand mine`)
      expect(await differencesOn(added, store)).toMatchObject([
        { line: 11, kind: 'unknown', found: 'mine' },
        { line: 12, kind: 'unknown', found: 'and mine' },
      ])
    })
  })

  test('finds a file that is cut short of what the checkpoint says', async () => {
    await withJournals(async (store, disk) => {
      const cut = edited(disk.snapshot(), 'b.log', text => text.slice(0, -10))
      expect(await differencesOn(cut, store)).toMatchObject([{ file: 'b.log', line: 5, kind: 'changed' }])
    })
  })

  test('finds files that are missing, and such as no stream has', async () => {
    await withJournals(async (store, disk) => {
      const content = disk.snapshot()
      content.delete(`${JOURNALS}/b.log`)
      content.set(`${JOURNALS}/c.log`, Buffer.from('mine\n')).set(`${JOURNALS}/%zz.log`, Buffer.from('mine\n'))
      const differences = await differencesOn(new MemoryDisk(content), store)
      expect(differences.filter(({ file }) => file === 'b.log')).toHaveLength(5)
      expect(differences.filter(({ file }) => file !== 'b.log')).toMatchObject([
        { file: '%zz.log', line: null, kind: 'unknown' },
        { file: 'c.log', line: 1, kind: 'unknown' },
      ])
    })
  })

  test('finds the name of a hashed file missing or changed', async () => {
    await withJournals(async (store, disk) => {
      const content = disk.snapshot()
      const name = [...content.keys()].find(path => path.endsWith('.name'))!
      const changed = edited(content, name.slice(JOURNALS.length + 1), () => 'm\n')
      expect(await differencesOn(changed, store)).toMatchObject([{ line: 1, kind: 'changed', found: 'm\n' }])
      content.delete(name)
      expect(await differencesOn(new MemoryDisk(content), store)).toMatchObject([{ line: 1, kind: 'missing' }])
    })
  })

  test('lets journals be that a follower is writing', async () => {
    await withStore({ chunkSizeBytes: 4096 }, async store => {
      const disk = new MemoryDisk()
      const journals = await Journals.openOn(disk, store, JOURNALS)
      const following = journals.follow()
      for (const turn of upTo(60)) {
        await Promise.all(upTo(20).map(number => store.append(`s-${(turn * number) % 7}`, order(number))))
        if (turn > 0) expect(await differencesOn(disk, store)).toEqual([])
      }
      await journals.close()
      await following
    })
  })

  test('of journals behind the log is fine', async () => {
    await withJournals(async (store, disk) => {
      await store.append('a', orders(3, 10))
      await store.append('new', orders(3))
      expect(await Journals.verifyOn(disk, store, JOURNALS, {})).toMatchObject({ differenceCount: 0, eventCount: 17 })
    })
  })

  test('compares everything also when the last event was scavenged, and only system events are behind it', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      const disk = new MemoryDisk()
      await store.append('kept', orders(3))
      await store.append('gone', orders(2))
      await exportTo(disk, store)
      await store.delete('gone')
      await store.scavenge()
      const content = disk.snapshot()
      content.delete(`${JOURNALS}/gone.log`)
      expect(await differencesOn(new MemoryDisk(content), store)).toEqual([])
      content.delete(`${JOURNALS}/kept.log`)
      expect(await differencesOn(new MemoryDisk(content), store)).toMatchObject(
        upTo(3).map(() => ({ file: 'kept.log', kind: 'missing' })),
      )
    })
  })

  test('counts what it does not list', async () => {
    await withStore({}, async store => {
      await store.append('a', orders(10_050))
      const disk = new MemoryDisk()
      await exportTo(disk, store)
      const spoilt = edited(disk.snapshot(), 'a.log', text => text.replaceAll('number', 'Number'))
      const { differences, differenceCount } = await Journals.verifyOn(spoilt, store, JOURNALS, {})
      expect([differences.length, differenceCount]).toEqual([10_000, 10_050])
    })
  })

  test('is refused where there are no journals', async () => {
    await withStore({}, async store => {
      expect(await rejectionOf(Journals.verifyOn(new MemoryDisk(), store, JOURNALS, {}))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: `there are no journals in ${JOURNALS}`,
      })
    })
  })
})

describe('what a follower has written behind its checkpoint', () => {
  /** The last lines of 'a' stand behind the checkpoint, as long as nothing else is written. */
  async function withLinesBehind(scene: (store: EventStore, disk: MemoryDisk) => Promise<void>): Promise<void> {
    await withStore(SMALL_CHUNKS, async store => {
      const disk = new MemoryDisk()
      const journals = await Journals.openOn(disk, store, JOURNALS)
      await store.append('first', order(0))
      await journals.catchUp()
      await store.append('a', orders(3))
      await store.append(LONG_NAME, order(0))
      await journals.catchUp()
      await scene(store, disk)
      await journals.close()
    })
  }

  const LETTING_GO: [string, (store: EventStore) => Promise<unknown>][] = [
    ['deleted', store => store.delete('a')],
    ['cut by maxCount', store => store.setMetadata('a', { maxCount: 1 })],
    ['cut by truncateBefore', store => store.setMetadata('a', { truncateBefore: 2 })],
    ['deleted for good', store => store.tombstone('a')],
  ]

  test.each(LETTING_GO)('is no difference when its stream is %s, and edits are still found', async (_how, letGo) => {
    await withLinesBehind(async (store, disk) => {
      await letGo(store)
      expect(await differencesOn(disk, store)).toEqual([])
      const changed = edited(disk.snapshot(), 'a.log', text => text.replace('"number":1', '"number":9'))
      expect(await differencesOn(changed, store)).toMatchObject([{ file: 'a.log', line: 2, kind: 'changed' }])
      const longer = edited(disk.snapshot(), 'a.log', text => `${text}mine\n`)
      expect(await differencesOn(longer, store)).toMatchObject([{ file: 'a.log', line: 4, kind: 'unknown', found: 'mine' }])
    })
  })

  test.each([
    LETTING_GO[0]!,
    LETTING_GO[3]!,
  ])('is not in the log any more when its stream is %s and scavenged', async (_how, letGo) => {
    await withLinesBehind(async (store, disk) => {
      await letGo(store)
      await store.scavenge()
      expect(await differencesOn(disk, store)).toMatchObject(
        [1, 2, 3].map(line => ({ file: 'a.log', line, kind: 'unknown', found: expect.stringContaining('OrderPlaced') })),
      )
    })
  })

  test('is compared with the log as far as the files went when it was looked at', async () => {
    await withLinesBehind(async (store, disk) => {
      await appendEach(store, 'a', orders(300, 3))
      await store.append('later', orders(3))
      expect(await differencesOn(disk, store)).toEqual([])
      const torn = edited(disk.snapshot(), 'a.log', text => text.slice(0, -20))
      expect(await differencesOn(torn, store)).toEqual([])
    })
  })
})
