import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/index.ts'
import { Journals } from '../../src/journals/journals.ts'
import { openStore, order, orders, rejectionOf, upTo, withStore } from '../store/words.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { anyEvent, anyName, edited, exportTo, filesOn, freshExport, JOURNALS } from './scenes.ts'

const appendTo = (store: EventStore, streams: number, count: number) =>
  Promise.all(upTo(count).map(number => store.append(`order-${number % streams}`, order(number))))

describe('journals', () => {
  test('have one file a stream, and in it one line an event', async () => {
    await withStore({}, async store => {
      await appendTo(store, 3, 9)
      const files = await freshExport(store)
      expect(Object.keys(files)).toEqual(['order-0.log', 'order-1.log', 'order-2.log'])
      const numbersIn = (name: string) => files[name]!.split('\n').map(line => /"number":(\d+)/.exec(line)?.[1])
      expect(numbersIn('order-1.log')).toEqual(['1', '4', '7', undefined])
    })
  })

  test('go on where they were, and are then what a fresh export gives', async () => {
    await withStore({ chunkSizeBytes: 4096 }, async store => {
      const disk = new MemoryDisk()
      for (const turn of upTo(8)) {
        await appendTo(store, 1 + turn, 20)
        await exportTo(disk, store)
        expect(filesOn(disk.snapshot())).toEqual(await freshExport(store))
      }
    })
  })

  test('of an empty store are none, and stay so until there is an event', async () => {
    await withStore({}, async store => {
      const disk = new MemoryDisk()
      await exportTo(disk, store)
      expect(filesOn(disk.snapshot())).toEqual({})
      await store.append('s', order(0))
      await exportTo(disk, store)
      expect(Object.keys(filesOn(disk.snapshot()))).toEqual(['s.log'])
    })
  })

  test('leave out system streams unless they are asked for, and stay with it', async () => {
    await withStore({}, async store => {
      await store.append('s', order(0))
      const disk = new MemoryDisk()
      await exportTo(disk, store, { includeSystem: true })
      expect(await rejectionOf(exportTo(disk, store, { includeSystem: false }))).toMatchObject({ code: 'INVALID_ARGUMENT' })
      await exportTo(disk, store)
    })
  })

  test('refuse an option that they do not have, by name, and a directory that is none', async () => {
    await withStore({}, async store => {
      const misspelt = { sginal: new AbortController().signal } as never
      const unknown = { code: 'INVALID_ARGUMENT', message: expect.stringContaining("unknown option 'sginal'") }
      const disk = new MemoryDisk()
      expect(await rejectionOf(Journals.openOn(disk, store, JOURNALS, misspelt))).toMatchObject(unknown)
      const journals = await Journals.openOn(disk, store, JOURNALS)
      expect(await rejectionOf(journals.catchUp(misspelt))).toMatchObject(unknown)
      expect(await rejectionOf(journals.follow(misspelt))).toMatchObject(unknown)
      await journals.close()
      expect(await rejectionOf(Journals.verifyOn(disk, store, JOURNALS, misspelt))).toMatchObject(unknown)
      const noPlace = { code: 'INVALID_ARGUMENT', message: 'directory must be a path' }
      expect(await rejectionOf(Journals.openOn(disk, store, ''))).toMatchObject(noPlace)
      expect(await rejectionOf(Journals.verifyOn(disk, store, '', {}))).toMatchObject(noPlace)
    })
  })

  test('keep a stream whose name is no file name, beside a file with its name', async () => {
    await withStore({}, async store => {
      const stream = '/'.repeat(1024)
      await store.append(stream, order(0))
      const files = await freshExport(store)
      const [journal, name] = Object.keys(files)
      expect(journal).toMatch(/^(%2F){40}~[0-9a-f]{64}\.log$/)
      expect(name).toBe(journal!.replace('.log', '.name'))
      expect(files[name!]).toBe(`${'%2F'.repeat(1024)}\n`)
    })
  })

  test('have only so many files open, and each batch opens a file once', async () => {
    await withStore({}, async store => {
      for (const round of upTo(2)) await appendTo(store, 1000, 5000 + round)
      const disk = new SimulatedDisk()
      let mostOpen = 0
      const open = disk.open.bind(disk)
      disk.open = (path, mode) => {
        mostOpen = Math.max(mostOpen, disk.openPaths.length)
        return open(path, mode)
      }
      await exportTo(disk, store)
      expect(mostOpen).toBeLessThanOrEqual(256)
      // Looked for, made, and looked for again by the checkpoint's count; not once an event.
      expect(disk.callCount('open')).toBeLessThan(3 * 1000 + 50)
      expect(disk.openPaths).toEqual([])
    })
  })

  test('write more than a batch holds in several', async () => {
    await withStore({}, async store => {
      for (const _ of upTo(12)) await store.append('big', { type: 'Big', data: new Uint8Array(4_000_000).fill(255) })
      const disk = new MemoryDisk()
      const journals = await Journals.openOn(disk, store, JOURNALS)
      const told: number[] = []
      await journals.catchUp({ onProgress: position => told.push(position) })
      await journals.close()
      expect(told.length).toBe(2)
      expect(told.at(-1)).toBe(store.lastPosition)
      expect(journals.eventCount).toBe(12)
      expect(filesOn(disk.snapshot())['big.log']!.split('\n')).toHaveLength(13)
    })
  })

  test('stop after a batch when they are told to, and go on later', async () => {
    await withStore({}, async store => {
      for (const _ of upTo(12)) await store.append('big', { type: 'Big', data: new Uint8Array(4_000_000).fill(255) })
      const disk = new MemoryDisk()
      const journals = await Journals.openOn(disk, store, JOURNALS)
      const stop = new AbortController()
      await journals.catchUp({ signal: stop.signal, onProgress: () => stop.abort() })
      expect(journals.eventCount).toBeLessThan(12)
      await journals.catchUp()
      await journals.close()
      expect(filesOn(disk.snapshot())).toEqual(await freshExport(store))
    })
  })

  test('follow: what is appended is in the files soon after', async () => {
    await withStore({ chunkSizeBytes: 4096 }, async store => {
      const disk = new MemoryDisk()
      await appendTo(store, 3, 50)
      const journals = await Journals.openOn(disk, store, JOURNALS)
      const stop = new AbortController()
      const following = journals.follow({ signal: stop.signal })
      for (const turn of upTo(5)) {
        const { position } = await store.append('live', orders(10, turn))
        await expect.poll(() => journals.position, { interval: 2 }).toBe(position)
        expect(filesOn(disk.snapshot())).toEqual(await freshExport(store))
      }
      stop.abort()
      await following
      await journals.close()
      expect(filesOn(disk.snapshot())).toEqual(await freshExport(store))
    })
  })

  test('end their follower when they are closed', async () => {
    await withStore({}, async store => {
      const disk = new MemoryDisk()
      const journals = await Journals.openOn(disk, store, JOURNALS)
      const following = journals.follow()
      await store.append('s', order(0))
      await expect.poll(() => journals.position, { interval: 2 }).not.toBe(null)
      await journals.close()
      await following
      expect(await rejectionOf(journals.catchUp())).toMatchObject({ code: 'INVALID_ARGUMENT' })
      await exportTo(disk, store)
    })
  })

  test('end their follower when their store is closed, with everything that it had', async () => {
    const disk = new MemoryDisk()
    const store = await openStore()
    const journals = await Journals.openOn(disk, store, JOURNALS)
    const following = journals.follow()
    const { position } = await store.append('s', order(0))
    await expect.poll(() => journals.position, { interval: 2 }).toBe(position)
    await store.close()
    await following
    await journals.close()
    expect(Object.keys(filesOn(disk.snapshot()))).toEqual(['s.log'])
  })

  test('are written by one at a time', async () => {
    await withStore({}, async store => {
      const disk = new MemoryDisk()
      const journals = await Journals.openOn(disk, store, JOURNALS)
      expect(await rejectionOf(Journals.openOn(disk, store, JOURNALS))).toMatchObject({
        code: 'JOURNALS_LOCKED',
        pid: process.pid,
      })
      const writing = journals.catchUp()
      expect(await rejectionOf(journals.catchUp())).toMatchObject({ code: 'INVALID_ARGUMENT' })
      await writing
      await journals.close()
    })
  })

  test('hold any name, type and payload (seed any)', async () => {
    const random = new Random('any')
    await withStore({ chunkSizeBytes: 64 * 1024 }, async store => {
      const streams = upTo(40).map(() => anyName(random, 1024))
      const disk = new MemoryDisk()
      for (const _ of upTo(6)) {
        await Promise.all(upTo(50).map(() => store.append(random.pick(streams), anyEvent(random))))
        await exportTo(disk, store)
      }
      expect(filesOn(disk.snapshot()), `seed ${random.seed}`).toEqual(await freshExport(store))
      expect(await Journals.verifyOn(disk, store, JOURNALS, {})).toMatchObject({ differenceCount: 0, eventCount: 300 })
    })
  })
})

describe('a directory is refused', () => {
  const refusal = async (disk: MemoryDisk, store: EventStore) => (await rejectionOf(exportTo(disk, store))).message

  test('that has journals of another store', async () => {
    const disk = new MemoryDisk()
    await withStore({}, async store => {
      await store.append('s', order(0))
      await exportTo(disk, store)
    })
    await withStore({}, async other => {
      expect(await refusal(disk, other)).toContain('ahead of the store, or of another one')
      await other.append('s', order(0))
      expect(await refusal(disk, other)).toContain('of another store')
    })
  })

  test('that has journals and no checkpoint, or a damaged one', async () => {
    await withStore({}, async store => {
      await store.append('s', order(0))
      const disk = new MemoryDisk()
      await exportTo(disk, store)
      const without = disk.snapshot()
      without.delete(`${JOURNALS}/checkpoint`)
      expect(await refusal(new MemoryDisk(without), store)).toContain('s.log: there is no checkpoint')
      expect(
        await refusal(
          edited(disk.snapshot(), 'checkpoint', () => '{"format":2}'),
          store,
        ),
      ).toContain('format 1')
      expect(
        await refusal(
          edited(disk.snapshot(), 'checkpoint', text => text.slice(0, 40)),
          store,
        ),
      ).toContain('not a checkpoint')
      const noFiles = edited(disk.snapshot(), 'checkpoint', text => text.replace('"files":{}', '"files":{"s.log":-1}'))
      expect(await refusal(noFiles, store)).toContain('not a whole checkpoint')
    })
  })

  test('when the line before the next one has lost its end', async () => {
    await withStore({}, async store => {
      await store.append('s', order(0))
      const disk = new MemoryDisk()
      await exportTo(disk, store)
      await store.append('s', order(1))
      expect(
        await refusal(
          edited(disk.snapshot(), 's.log', text => text.slice(0, -1)),
          store,
        ),
      ).toContain('has no end')
    })
  })

  test('when a new stream has a file already', async () => {
    await withStore({}, async store => {
      const disk = new MemoryDisk()
      await exportTo(disk, store)
      const content = disk.snapshot().set(`${JOURNALS}/s.log`, Buffer.from('mine\n'))
      await store.append('s', order(0))
      expect(await refusal(new MemoryDisk(content), store)).toContain("before the first event of 's'")
    })
  })
})

test('journals of a store that is open for reading follow it over roll-overs and reopens', async () => {
  const storeDisk = new MemoryDisk()
  let writer = await openStore(storeDisk, { chunkSizeBytes: 4096 })
  const reader = await openStore(storeDisk, { readOnly: true })
  const disk = new MemoryDisk()
  const journals = await Journals.openOn(disk, reader, JOURNALS)
  const following = journals.follow()
  for (const turn of upTo(4)) {
    await appendTo(writer, 4, 100)
    const { lastPosition } = writer
    await expect.poll(() => journals.position, { interval: 2 }).toBe(lastPosition)
    if (turn % 2 === 1) continue
    await writer.close()
    writer = await openStore(storeDisk, { chunkSizeBytes: 4096 })
  }
  await journals.close()
  await following
  expect(filesOn(disk.snapshot())).toEqual(await freshExport(writer))
  await reader.close()
  await writer.close()
})
