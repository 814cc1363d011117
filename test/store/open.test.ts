import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { Journals } from '../../src/journals/journals.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { appendEach, DIRECTORY, numbers, openStore, order, orders, rejectionOf, SMALL_CHUNKS, sized, upTo } from './words.ts'

const files = async (disk: MemoryDisk) => (await disk.list(DIRECTORY)).filter(name => name !== 'lock')

describe('open', () => {
  describe('of an empty directory', () => {
    const emptyOne = (): SimulatedDisk => new SimulatedDisk({ content: new Map([[`${DIRECTORY}/`, new Uint8Array(0)]]) })

    test('syncs its name before it makes a chunk: who made it may have been killed before that', async () => {
      const disk = emptyOne()
      const store = await openStore(disk)
      const begun = disk.log.flatMap(entry => {
        if (entry.kind === 'syncDirectory') return [entry.directory]
        return entry.kind === 'create' && entry.path.includes('.chunk') ? ['the chunk'] : []
      })
      expect(begun.slice(0, 3)).toEqual([DIRECTORY, dirname(DIRECTORY), 'the chunk'])
      await store.close()
    })

    test.each([
      ['its names', 1],
      ['its own name', 2],
    ])('fails when the sync of %s fails', async (_, nth) => {
      const disk = emptyOne()
      disk.failNext({ op: 'syncDirectory', nth, error: 'EIO' })
      expect(await rejectionOf(openStore(disk))).toMatchObject({ code: 'READ_FAILED' })
      expect(disk.openPaths).toEqual([])
    })

    test.each(['EACCES', 'EPERM'])('takes its name as it is when nobody may sync it: %s', async error => {
      const disk = emptyOne()
      const fault = disk.failNext({ op: 'syncDirectory', nth: 2, error })
      const store = await openStore(disk)
      expect(fault.fired).toBe(1)
      await store.close()
    })
  })

  test('of a directory that is not there makes it, and a store in it (KurrentDB 1)', async () => {
    const disk = new MemoryDisk()
    const store = await EventStore.openOn(disk, '/a/b/c')
    expect(store.recovery).toMatchObject({ clean: true, events: 0, scannedBytes: 0, truncatedBytes: 0 })
    expect(store.recovery.ms).toBeGreaterThanOrEqual(0)
    expect(await disk.list('/a/b/c')).toContain('000000.chunk')
    await store.close()
  })

  test('with a path that ends in a slash is the same store', async () => {
    const disk = new MemoryDisk()
    const first = await EventStore.openOn(disk, '/data/')
    await first.append('s', order(0))
    await first.close()
    const second = await EventStore.openOn(disk, '/data')
    expect(await numbers(second.readStream('s'))).toEqual([0])
    await second.close()
  })

  test('of a relative path means the directory of that moment, wherever the process goes afterwards', async () => {
    const home = process.cwd()
    const place = mkdtempSync(join(tmpdir(), 'tailrace-open-'))
    mkdirSync(join(place, 'elsewhere'))
    try {
      process.chdir(place)
      const store = await EventStore.open('data', SMALL_CHUNKS)
      process.chdir('elsewhere')
      await appendEach(store, 's', orders(100))
      await store.backup('copy')
      await store.close()
      expect(readdirSync(place).sort()).toEqual(['data', 'elsewhere'])
      expect(readdirSync('.')).toEqual(['copy'])
      const again = await EventStore.open(join(place, 'data'), SMALL_CHUNKS)
      expect(await numbers(again.readStream('s'))).toEqual(upTo(100))
      await again.close()
    } finally {
      process.chdir(home)
      rmSync(place, { recursive: true, force: true })
    }
  })

  test('of a path with .. behind a link means what it means to the system, and to the tools', async () => {
    const place = mkdtempSync(join(tmpdir(), 'tailrace-open-'))
    mkdirSync(join(place, 'releases', '5'), { recursive: true })
    mkdirSync(join(place, 'srv'))
    symlinkSync('../releases/5', join(place, 'srv', 'current'))
    const store = await EventStore.open(`${place}/srv/current/../data`)
    await store.close()
    expect(readdirSync(join(place, 'releases')).sort()).toEqual(['5', 'data'])
    rmSync(place, { recursive: true, force: true })
  })

  test('of a link to a directory, or in one, works like that of the directory itself', async () => {
    const place = mkdtempSync(join(tmpdir(), 'tailrace-open-'))
    mkdirSync(join(place, 'volume', 'data'), { recursive: true })
    symlinkSync('volume', join(place, 'srv'))
    symlinkSync('volume/data', join(place, 'data'))
    for (const name of ['data', 'data/', 'srv/data', 'srv/new']) {
      const store = await EventStore.open(join(place, name), SMALL_CHUNKS)
      await appendEach(store, name, orders(100))
      await store.delete(name)
      await store.scavenge()
      await store.close()
    }
    const store = await EventStore.open(join(place, 'data'))
    for (const name of ['copy', 'journals']) {
      mkdirSync(join(place, 'volume', name))
      symlinkSync(join('volume', name), join(place, name))
    }
    await store.backup(join(place, 'copy'))
    const journals = await Journals.open(store, join(place, 'journals'))
    await journals.catchUp()
    await journals.close()
    expect(await rejectionOf(EventStore.open(join(place, 'srv', 'data')))).toMatchObject({ code: 'STORE_LOCKED' })
    await store.close()
    expect(readdirSync(join(place, 'volume')).sort()).toEqual(['copy', 'data', 'journals', 'new'])
    rmSync(place, { recursive: true, force: true })
  })

  test.each(['', '\0', undefined, null, 42])('of %j for a directory is refused', async directory => {
    const error = await rejectionOf(EventStore.openOn(new MemoryDisk(), directory as string))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('says what it found after a clean close', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk, SMALL_CHUNKS)
    await appendEach(first, 's', orders(100))
    await first.close()
    const second = await openStore(disk, SMALL_CHUNKS)
    expect(second.recovery).toMatchObject({ clean: true, events: 100, scannedBytes: 0, truncatedBytes: 0 })
    await second.close()
  })

  test('says what it found after the process died: nothing acked is missing', async () => {
    const disk = new SimulatedDisk()
    const first = await openStore(disk)
    await appendEach(first, 's', orders(10))
    const survivor = await openStore(new SimulatedDisk({ content: disk.snapshot() }))
    expect(survivor.recovery).toMatchObject({ clean: false, events: 10, truncatedBytes: 0 })
    await survivor.close()
    await first.close()
  })

  test('says how much of a torn tail it removed', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    const { position } = await first.append('s', order(0))
    await first.close()
    const content = disk.snapshot()
    const chunk = content.get(`${DIRECTORY}/000000.chunk`)!.slice()
    const end = position + 46 + 1 + 11 + '{"number":0}'.length + 28
    chunk.set([7, 7, 7, 0, 7], end)
    const second = await openStore(new MemoryDisk(content.set(`${DIRECTORY}/000000.chunk`, chunk)))
    expect(second.recovery).toMatchObject({ clean: false, events: 1, truncatedBytes: 5 })
    await second.close()
  })

  test('a second time, while it is open, is refused with the pid (and again works after)', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk)
    expect(await rejectionOf(openStore(disk))).toMatchObject({ code: 'STORE_LOCKED', pid: process.pid })
    await store.append('s', order(0))
    await store.close()
    await (await openStore(disk)).close()
  })

  test('leaves files of others alone', async () => {
    const disk = new MemoryDisk(new Map([[`${DIRECTORY}/README.txt`, Buffer.from('mine')]]))
    await (await openStore(disk)).close()
    await (await openStore(disk)).close()
    expect(Buffer.from(disk.snapshot().get(`${DIRECTORY}/README.txt`)!).toString()).toBe('mine')
    expect(await files(disk)).toEqual(['000000.chunk', 'README.txt', 'active', 'flushed'])
  })

  test('removes what an interrupted creation of a chunk left (KurrentDB 9)', async () => {
    const disk = new MemoryDisk()
    await (await openStore(disk)).close()
    const content = disk.snapshot().set(`${DIRECTORY}/000001.chunk.tmp`, new Uint8Array(300))
    const crashed = new MemoryDisk(content)
    await (await openStore(crashed)).close()
    expect(await files(crashed)).toEqual(['000000.chunk', 'active', 'flushed'])
  })
})

describe('an option', () => {
  const wrong: [options: object, name: string][] = [
    [{ chunkSizeBytes: 4095 }, 'chunkSizeBytes'],
    [{ chunkSizeBytes: 2 ** 30 + 1 }, 'chunkSizeBytes'],
    [{ chunkSizeBytes: 5000.5 }, 'chunkSizeBytes'],
    [{ chunkSizeBytes: '8192' }, 'chunkSizeBytes'],
    [{ chunkSizeBytes: null }, 'chunkSizeBytes'],
    [{ logger: null }, 'logger'],
    [{ logger: { info() {}, warn() {} } }, "logger must have a method 'error'"],
    [{ clock: {} }, 'clock'],
    [{ flushDelayMs: -1 }, 'flushDelayMs'],
    [{ flushDelayMs: Number.NaN }, 'flushDelayMs'],
    [{ flushDelayMs: Number.POSITIVE_INFINITY }, 'flushDelayMs'],
    [{ maxPendingBytes: 0 }, 'maxPendingBytes'],
    [{ maxPendingBytes: -5 }, 'maxPendingBytes'],
    [{ maxPendingAppends: 0 }, 'maxPendingAppends'],
    [{ maxPendingAppends: 1.5 }, 'maxPendingAppends'],
    [{ cacheBytes: -1 }, 'cacheBytes'],
    [{ durability: 'sync' }, 'durability'],
    [{ durability: null }, 'durability'],
    [{ durabilty: 'fsync' }, 'durabilty'],
    [{ commitAlign: 512 }, 'commitAlign'],
    [{ lock: false }, 'lock'],
    [{ readOnly: 'yes' }, 'readOnly'],
    [{ readOnly: 1 }, 'readOnly'],
  ]

  test.each(wrong)('%o is refused by its name', async (options, name) => {
    const disk = new MemoryDisk()
    const error = await rejectionOf(openStore(disk, options))
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', outcome: 'rejected', message: expect.stringContaining(name) })
    expect(await rejectionOf(disk.list(DIRECTORY))).toMatchObject({ code: 'ENOENT' })
  })

  test.each([null, 'fsync', 42])('list that is %j is refused', async options => {
    expect(await rejectionOf(openStore(new MemoryDisk(), options as never))).toMatchObject({ code: 'INVALID_ARGUMENT' })
  })

  test('that is undefined has its default', async () => {
    const store = await openStore(new MemoryDisk(), { chunkSizeBytes: undefined, durability: undefined, clock: undefined })
    await store.append('s', sized(100_000))
    await store.close()
  })

  test('of the smallest and the largest size is taken', async () => {
    for (const options of [{ chunkSizeBytes: 4096 }, { chunkSizeBytes: 2 ** 30 }, { flushDelayMs: 0 }, { cacheBytes: 0 }]) {
      const store = await openStore(new MemoryDisk(), options)
      await store.append('s', order(0))
      await store.close()
    }
  })
})

describe('another chunk size', () => {
  test('applies from the next chunk; old chunks keep theirs', async () => {
    const disk = new MemoryDisk()
    const sizes = [4096, 16_384, 8192]
    for (const [index, chunkSizeBytes] of sizes.entries()) {
      const store = await openStore(disk, { chunkSizeBytes })
      await appendEach(store, 's', orders(300, 300 * index))
      await store.close()
    }
    const store = await openStore(disk, { readOnly: true })
    expect(await numbers(store.readStream('s'))).toEqual(upTo(900))
    expect(await numbers(store.readAll({ direction: 'backwards' }))).toEqual(upTo(900).reverse())
    await store.close()
    const headers = [...disk.snapshot()]
      .filter(([path]) => path.endsWith('.chunk'))
      .map(([, bytes]) => Buffer.from(bytes).readUInt32LE(48))
    expect(new Set(headers)).toEqual(new Set(sizes))
    expect(headers[0]).toBe(4096)
  })

  test('of an open that fails behind the removal of the chunk that was made ahead: each file is closed once', async () => {
    const intact = new MemoryDisk()
    const first = await openStore(intact, SMALL_CHUNKS)
    while (!intact.snapshot().has('/data/000001.chunk')) await first.append('s', order(0))
    await first.close()
    const disk = new SimulatedDisk({ content: intact.snapshot() })
    disk.failNext({ op: 'open', path: '000000-partial.index', error: 'EIO' })
    expect(await rejectionOf(openStore(disk, { chunkSizeBytes: 8192 }))).toMatchObject({ code: 'READ_FAILED' })
    expect(await disk.list(DIRECTORY)).not.toContain('000001.chunk')
    expect(disk.callCount('close')).toBe(disk.callCount('open') - 1)
  })

  test('that is larger takes an append at once that the old chunk could not hold', async () => {
    const disk = new MemoryDisk()
    await (await openStore(disk, SMALL_CHUNKS)).close()
    const store = await openStore(disk, { chunkSizeBytes: 2 ** 20 })
    await store.append('s', sized(50_000))
    await store.close()
  })
})

test('a logger is told when the store opens, and not asked for anything else', async () => {
  const lines: unknown[][] = []
  const logger = { info: (...line: unknown[]) => lines.push(line), warn: () => {}, error: () => {} }
  const store = await openStore(new MemoryDisk(), { logger: logger as never })
  await store.append('s', order(0))
  await store.close()
  expect(lines).toHaveLength(1)
  expect(lines[0]![0]).toMatchObject({ directory: DIRECTORY, events: 0, clean: true })
})
