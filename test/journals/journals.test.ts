import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import type { EventStore } from '../../src/index.ts'
import { Journals } from '../../src/journals/journals.ts'
import { all, openStore, order, orders, rejectionOf, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
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

  test('refuse a store that is none, before anything is written', async () => {
    const disk = new MemoryDisk()
    for (const store of [null, undefined, './data', {}] as never[]) {
      const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringContaining('store must be an open EventStore') }
      expect(await rejectionOf(Journals.openOn(disk, store, JOURNALS))).toMatchObject(refusal)
      expect(await rejectionOf(Journals.verifyOn(disk, store, JOURNALS, {}))).toMatchObject(refusal)
    }
    expect(disk.snapshot().size).toBe(0)
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

  test('refuse a value that an option does not take, before anything is written: a directory goes on as it was begun', async () => {
    await withStore({}, async store => {
      await appendTo(store, 1, 1)
      const disk = new MemoryDisk()
      const refusal = (message: string) => ({ code: 'INVALID_ARGUMENT', message: expect.stringContaining(message) })
      const asText = Journals.openOn(disk, store, JOURNALS, { includeSystem: 'yes' as never })
      expect(await rejectionOf(asText)).toMatchObject(refusal('includeSystem must be true or false, got "yes"'))
      const journals = await Journals.openOn(disk, store, JOURNALS)
      for (const call of [journals.catchUp.bind(journals), journals.follow.bind(journals)]) {
        expect(await rejectionOf(call({ signal: 5 as never }))).toMatchObject(refusal('signal must be an AbortSignal'))
        expect(await rejectionOf(call({ onProgress: 5 as never }))).toMatchObject(refusal('onProgress must be a function'))
      }
      expect(journals.eventCount).toBe(0)
      await journals.catchUp()
      await journals.close()
      const verifying = Journals.verifyOn(disk, store, JOURNALS, { onProgress: 5 as never })
      expect(await rejectionOf(verifying)).toMatchObject(refusal('onProgress must be a function'))
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

  test('end their follower quietly also when their store is closed just when it was about to write', async () => {
    for (const turns of upTo(40)) {
      const storeDisk = new MemoryDisk()
      const disk = new MemoryDisk()
      const store = await openStore(storeDisk)
      await store.append('s', order(0))
      await exportTo(disk, store)
      const journals = await Journals.openOn(disk, store, JOURNALS)
      const following = journals.follow()
      await settle()
      await store.append('s', order(1))
      for (const _ of upTo(turns)) await null
      await store.close()
      await following
      await journals.close()
      const again = await openStore(storeDisk)
      await exportTo(disk, again)
      expect(filesOn(disk.snapshot()), `after ${turns} turns`).toEqual(await freshExport(again))
      await again.close()
    }
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

  test('that has journals of another store, also where that has no event at the position of their last one', async () => {
    const disk = new MemoryDisk()
    await withStore({}, async store => {
      await exportTo(disk, store)
      await withStore({}, async other => expect(await refusal(disk, other)).toContain('of another store'))
      await appendTo(store, 1, 2)
      await exportTo(disk, store)
    })
    await withStore({}, async other => {
      await other.append('t', { type: 'T', data: 'x'.repeat(500) })
      await other.append('t', order(0))
      expect(await refusal(disk, other)).toContain('of another store')
      expect(await rejectionOf(Journals.verifyOn(disk, other, JOURNALS, {}))).toMatchObject({ code: 'INVALID_ARGUMENT' })
    })
  })

  test('whose checkpoint does not name the store, by its last event', async () => {
    const disk = new MemoryDisk()
    await withStore({}, async store => {
      await store.append('s', order(0))
      await exportTo(disk, store)
    })
    const unnamed = edited(disk.snapshot(), 'checkpoint', text => text.replace(/"store":"[0-9a-f]{32}",/, ''))
    await withStore({}, async other => {
      expect(await refusal(unnamed, other)).toContain('ahead of the store, or of another one')
      await other.append('s', order(0))
      expect(await refusal(unnamed, other)).toContain('it has another event at position')
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

  test.each([
    ['was removed', () => null],
    ['lost its last line', (text: string) => text.replace(/[^\n]*\n$/, '')],
    ['lost all lines', () => ''],
    ['has another last line', (text: string) => text.replace(/"number":1/, '"number":7')],
  ])('when its stream goes on and the file %s since the last run: there would be a hole', async (_what, change) => {
    await withStore({}, async store => {
      await store.append('s', orders(2))
      await store.append('other', order(0))
      const disk = new MemoryDisk()
      await exportTo(disk, store)
      const content = disk.snapshot()
      const text = change(filesOn(content)['s.log']!)
      if (text === null) content.delete(`${JOURNALS}/s.log`)
      else content.set(`${JOURNALS}/s.log`, Buffer.from(text))
      const spoilt = new MemoryDisk(content)
      await store.append('other', order(1))
      await exportTo(spoilt, store)
      await store.append('s', order(2))
      const before = filesOn(spoilt.snapshot())
      for (const _ of upTo(2)) {
        const journals = await Journals.openOn(spoilt, store, JOURNALS)
        const { message } = await rejectionOf(journals.catchUp())
        expect(message).toBe("s.log: it does not end with the event before revision 2 of 's'")
        await journals.close()
        expect(filesOn(spoilt.snapshot())).toEqual(before)
      }
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

describe('a directory is taken', () => {
  test('whose streams have lost their beginnings, or the events before the next ones', async () => {
    await withStore(SMALL_CHUNKS, async store => {
      await store.append('begun', orders(2))
      await store.append('deleted', orders(2))
      await store.delete('begun')
      await store.scavenge()
      const disk = new MemoryDisk()
      await exportTo(disk, store)
      await store.append('begun', order(2))
      await exportTo(disk, store)
      expect(filesOn(disk.snapshot())['begun.log']!.split('\n')).toHaveLength(2)
      await store.erase('begun', 2)
      await store.delete('deleted')
      await store.scavenge()
      await store.append('begun', order(3))
      await store.append('deleted', order(2))
      await exportTo(disk, store)
      const files = filesOn(disk.snapshot())
      expect([files['begun.log'], files['deleted.log']].map(text => text!.split('\n').length - 1)).toEqual([2, 3])
    })
  })

  test('whose last event was scavenged, though nothing is behind it', async () => {
    const clock = new ManualClock()
    const storeDisk = new MemoryDisk()
    const disk = new MemoryDisk()
    const options = { ...SMALL_CHUNKS, clock }
    let store = await openStore(storeDisk, options)
    await store.setMetadata('brief', { maxAge: 1 })
    await store.append('kept', order(0))
    await store.append('brief', orders(3))
    await exportTo(disk, store)
    clock.advance(60_000)
    await store.scavenge()
    const noneLeft = async (of: EventStore) => {
      expect(await all(of.readStream('brief'))).toEqual([])
      await exportTo(disk, of)
      // The lines of 'brief' are still there, as it is said of what the store has let go of.
      expect(await Journals.verifyOn(disk, of, JOURNALS, {})).toMatchObject({ eventCount: 1, differenceCount: 3 })
    }
    await noneLeft(store)
    await store.close()
    store = await openStore(storeDisk, options)
    await noneLeft(store)
    const reader = await openStore(storeDisk, { readOnly: true, clock })
    await noneLeft(reader)
    await reader.close()
    await store.close()
  })
})

test('of a damaged log, journals have everything up to the damage', async () => {
  const storeDisk = new MemoryDisk()
  const store = await openStore(storeDisk, SMALL_CHUNKS)
  await appendTo(store, 3, 300)
  await store.close()
  const content = storeDisk.snapshot()
  const chunk = [...content.keys()].filter(path => path.endsWith('.chunk')).sort()[2]!
  content.get(chunk)![2000]! ^= 1
  const damaged = await openStore(new MemoryDisk(content), SMALL_CHUNKS)
  const readable: number[] = []
  const cat = async () => {
    for await (const { position } of damaged.readAll()) readable.push(position)
  }
  expect(await rejectionOf(cat())).toMatchObject({ code: 'CORRUPT_LOG' })
  const disk = new MemoryDisk()
  for (const written of [readable.length, 0]) {
    const journals = await Journals.openOn(disk, damaged, JOURNALS)
    expect(await rejectionOf(journals.catchUp())).toMatchObject({ code: 'CORRUPT_LOG' })
    expect([journals.eventCount, journals.position]).toEqual([written, readable.at(-1)])
    await journals.close()
  }
  expect(Object.values(filesOn(disk.snapshot())).join('').split('\n')).toHaveLength(readable.length + 1)
  await damaged.close()
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
