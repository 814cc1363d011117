import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { StreamSettings } from '../../src/store/stream-settings.ts'
import { CachedHead } from '../../src/streams/cached-head.ts'
import type { HeadLoader } from '../../src/streams/head-loader.ts'
import type { StreamReader } from '../../src/streams/stream-reader.ts'
import { promiseOf } from '../../src/writer/lookup.ts'
import { type OpenRooms, rooms } from '../log/scenes.ts'
import { openStore, order, orders, SMALL_CHUNKS, sized } from '../store/words.ts'
import { COLLIDING } from './index-model.ts'

function headOf(name: string): CachedHead {
  return new CachedHead(name, new Uint8Array(Buffer.from(name)))
}

async function loaded(loader: HeadLoader, head: CachedHead): Promise<void> {
  const loading = loader.load(head)
  if (loading !== null) await promiseOf(loading)
}

async function known(loader: HeadLoader, name: string): Promise<CachedHead> {
  const head = headOf(name)
  await loaded(loader, head)
  expect(head.isKnown).toBe(true)
  return head
}

/** A disk with the streams s (3 events, maxCount 2), gone (tombstoned), deleted (4, softly), never (metadata only). */
async function disk(): Promise<MemoryDisk> {
  const memory = new MemoryDisk()
  const store = await openStore(memory, SMALL_CHUNKS)
  await store.append('s', orders(3))
  await store.setMetadata('s', { maxCount: 2 })
  await store.append('gone', order(0))
  await store.tombstone('gone')
  await store.append('deleted', orders(4))
  await store.delete('deleted')
  await store.setMetadata('never', { maxAge: 5 })
  for (let n = 0; n < 4; n++) await store.append('filler', sized(2000))
  await store.close()
  return memory
}

async function withRooms(memory: MemoryDisk, scene: (open: OpenRooms) => Promise<void>): Promise<void> {
  const open = await rooms(memory, { ...SMALL_CHUNKS, cacheBytes: 0 })
  try {
    await scene(open)
  } finally {
    await open.close()
  }
}

describe('the loader of heads', () => {
  test('says where a stream ends, and what is kept of it', async () => {
    await withRooms(await disk(), async ({ loader }) => {
      expect(await known(loader, 's')).toMatchObject({
        revision: 2,
        committedRevision: 2,
        retention: { metadata: { maxCount: 2 } },
      })
      expect((await known(loader, 'gone')).retention?.isTombstoned).toBe(true)
      expect(await known(loader, 'deleted')).toMatchObject({ revision: 3, retention: { metadata: { truncateBefore: 4 } } })
      expect(await known(loader, 'never')).toMatchObject({ revision: -1, retention: { metadata: { maxAge: 5 } } })
      expect(await known(loader, 'nobody')).toMatchObject({ revision: -1, retention: null, committedRetention: null })
    })
  })

  test('keeps streams apart whose names have one hash', async () => {
    const [one, other] = COLLIDING[0]!
    const memory = new MemoryDisk()
    const store = await openStore(memory, SMALL_CHUNKS)
    await store.append(one, orders(3))
    await store.setMetadata(one, { maxCount: 1 })
    for (let n = 0; n < 4; n++) await store.append('filler', sized(2000))
    await store.close()
    await withRooms(memory, async ({ loader }) => {
      expect((await known(loader, one)).revision).toBe(2)
      expect(await known(loader, other)).toMatchObject({ revision: -1, retention: null })
    })
  })

  test('answers at once when the index is in memory and nothing was said of the stream', async () => {
    await withRooms(new MemoryDisk(), async ({ loader, append }) => {
      await append('s', orders(2))
      for (const [name, revision] of [
        ['s', 1],
        ['nobody', -1],
      ] as const) {
        const head = headOf(name)
        expect(loader.load(head)).toBeNull()
        expect([head.isKnown, head.revision]).toEqual([true, revision])
      }
    })
  })

  test('reads once for all who ask meanwhile, and may be asked again when that failed', async () => {
    const memory = await disk()
    await withRooms(memory, async ({ loader }) => {
      const head = headOf('s')
      const loading = loader.load(head)
      expect(loading).not.toBeNull()
      expect(loader.load(head)).toBe(loading)
      await promiseOf(loading!)
      expect(head.loading).toBeNull()
    })
    await withRooms(memory, async ({ loader, chunks }) => {
      const head = headOf('s')
      const file = chunks.all[0]!
      const read = file.read
      file.read = () => Promise.reject(new Error('EIO'))
      await expect(loaded(loader, head)).rejects.toMatchObject({ code: 'READ_FAILED' })
      expect([head.isKnown, head.loading]).toEqual([false, null])
      file.read = read
      await loaded(loader, head)
      expect(head).toMatchObject({ isKnown: true, revision: 2 })
    })
  })

  test('has many wait for their turn, which also comes when those in front of them fail', async () => {
    await withRooms(await disk(), async ({ loader, chunks }) => {
      const file = chunks.all[0]!
      const read = file.read
      let readCount = 0
      file.read = (...args) => (++readCount <= 100 ? Promise.reject(new Error('EIO')) : read.apply(file, args))
      const heads = Array.from({ length: 300 }, () => headOf('s'))
      const outcomes = await Promise.allSettled(heads.map(head => loaded(loader, head)))
      expect(outcomes.filter(({ status }) => status === 'rejected').length).toBe(100)
      expect(heads.every(({ loading }) => loading === null)).toBe(true)
      expect(heads.filter(({ isKnown, revision }) => isKnown && revision === 2).length).toBe(200)
      expect((await known(loader, 's')).revision).toBe(2)
    })
  })

  test('has many wait for their turn who are then found in memory', async () => {
    const memory = new MemoryDisk()
    const store = await openStore(memory, SMALL_CHUNKS)
    await store.append('s', orders(3))
    await store.append('t', orders(5))
    for (let n = 0; n < 4; n++) await store.append('filler', sized(2000))
    await store.close()
    const open = await rooms(memory, { ...SMALL_CHUNKS, cacheBytes: 1 << 20 })
    const heads = Array.from({ length: 5000 }, (_, i) => headOf(i % 2 === 0 ? 's' : 't'))
    await Promise.all(heads.map(head => loaded(open.loader, head)))
    expect(heads.every(({ revision }, i) => revision === (i % 2 === 0 ? 2 : 4))).toBe(true)
    await open.close()
  })

  test('of a stream that describes another keeps the last event, as long as the other is there', async () => {
    await withRooms(await disk(), async ({ loader }) => {
      expect((await loader.retentionOf('$$s'))?.metadata).toEqual({ maxCount: 1 })
      expect((await loader.retentionOf('$$nobody'))?.metadata).toEqual({ maxCount: 1 })
      expect((await loader.retentionOf('$$gone'))?.isTombstoned).toBe(true)
      expect(await loader.retentionOf('nobody')).toBeNull()
    })
  })

  test('asks again when what was said last has been scavenged before it was read', async () => {
    await withRooms(await disk(), async open => {
      const { loader, reader, streams, writing } = open
      const loadRecord = reader.loadRecord.bind(reader)
      reader.loadRecord = async (position, limit) => {
        reader.loadRecord = loadRecord
        await new StreamSettings(open, streams).setMetadata('s', { maxCount: 1 }, {})
        await writing!.maintenance.scavenge({})
        return loadRecord(position, limit)
      }
      expect((await loader.retentionOf('s'))?.metadata).toEqual({ maxCount: 1 })
    })
  })

  test.each<[string, (streams: StreamReader) => Promise<number[] | undefined>]>([
    ['its extent', async streams => [(await streams.extent('s'))!.lastRevision]],
    ['a read', async streams => (await streams.read('s', {}, () => null)())?.map(({ revision }) => revision)],
  ])('nor does what was said of events that came meanwhile hide the stream from whoever asks for %s', async (_, ask) => {
    await withRooms(await disk(), async open => {
      const { reader, streams, writing, append } = open
      const loadRecord = reader.loadRecord.bind(reader)
      reader.loadRecord = async (position, limit) => {
        reader.loadRecord = loadRecord
        const { lastRevision } = await append('s', order(9))
        await new StreamSettings(open, streams).setMetadata('s', { truncateBefore: lastRevision! }, {})
        await writing!.maintenance.scavenge({})
        return loadRecord(position, limit)
      }
      expect(await ask(streams)).toEqual([3])
    })
  })

  test('has read what is in memory before anybody else can write there', async () => {
    await withRooms(new MemoryDisk(), async open => {
      const { loader, reader, streams } = open
      await new StreamSettings(open, streams).setMetadata('s', { maxCount: 1 }, {})
      const recordInMemory = reader.recordInMemory.bind(reader)
      reader.recordInMemory = position => {
        const { window, offset } = recordInMemory(position)!
        const shared = ByteWindow.allocate(window.size)
        window.bytes.copy(shared.bytes)
        queueMicrotask(() => shared.bytes.fill(0))
        return { window: shared, offset, isOwn: false }
      }
      expect((await loader.retentionOf('s'))?.metadata).toEqual({ maxCount: 1 })
    })
  })

  test('knows without reading that nothing was ever said of any stream, once it has asked all parts', async () => {
    const memory = new MemoryDisk()
    const store = await openStore(memory, SMALL_CHUNKS)
    await store.append('filler', sized(2000))
    await store.append('filler', sized(2000))
    await store.close()
    await withRooms(memory, async ({ loader }) => {
      await expect(loader.retentionOf('filler')).resolves.toBeNull()
      await loader.askAll()
      expect(loader.retentionOf('filler')).toBeNull()
    })
  })
})
