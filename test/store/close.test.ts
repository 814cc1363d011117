import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { StoreClosedError } from '../../src/core/errors.ts'
import type { DiskFile, OpenMode } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { all, appendEach, numbers, openStore, order, orders, rejectionOf, SMALL_CHUNKS, sized, upTo, withStore } from './words.ts'

describe('close', () => {
  test('settles every append that was accepted, in order, then closes', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    const settled: string[] = []
    const appends = orders(200).map((event, number) => store.append('s', event).then(() => settled.push(`${number}`)))
    const rejected = rejectionOf(store.append('s', order(0), { expectedRevision: 'no_stream' })).then(() => settled.push('no'))
    await store.close().then(() => settled.push('closed'))
    await Promise.all([...appends, rejected])
    expect(settled).toEqual([...upTo(200).map(String), 'no', 'closed'])
    const again = await openStore(new SimulatedDisk({ content: disk.snapshot() }))
    expect(again.recovery).toMatchObject({ clean: true, events: 200, truncatedBytes: 0 })
    await again.close()
  })

  test('may be called again, also at the same time: it closes once', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    await store.append('s', order(0))
    await Promise.all([store.close(), store.close(), store[Symbol.asyncDispose]()])
    const before = disk.callCount()
    await store.close()
    expect(disk.callCount()).toBe(before)
  })

  test('of a store in which nothing happened leaves a store', async () => {
    const disk = new MemoryDisk()
    await (await openStore(disk)).close()
    const store = await openStore(disk)
    expect(store.recovery).toMatchObject({ clean: true, events: 0 })
    expect((await store.append('s', order(0))).position).toBe(128)
    await store.close()
  })

  test('waits for a flush that takes long', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    const appending = store.append('s', order(0))
    await held.reached
    let closed = false
    const closing = store.close().then(() => {
      closed = true
    })
    await settle()
    expect(closed).toBe(false)
    held.release()
    await Promise.all([appending, closing])
  })

  test('answers what was asked before, and carries out what was begun', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    await appendEach(store, 'kept', orders(200))
    await appendEach(store, 'deleted', orders(200))
    const reading = store.readStream('kept').batches()[Symbol.asyncIterator]()
    const answers = Promise.all([store.head('kept'), reading.next(), store.delete('deleted')])
    await store.close()
    const [head, { value: batch }] = await answers
    expect(head).toBe(199)
    expect(batch.map(({ revision }: { revision: number }) => revision)).toEqual(upTo(200))
    await expect(reading.next()).rejects.toBeInstanceOf(StoreClosedError)
    const again = await openStore(disk, SMALL_CHUNKS)
    expect([await again.head('kept'), await again.exists('deleted')]).toEqual([199, false])
    await again.close()
  })

  test('under reads of files ends each of them with its events, or with StoreClosedError', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tailrace-close-'))
    const options = { chunkSizeBytes: 64 * 1024, cacheBytes: 0 }
    const streams = upTo(20).map(number => `stream-${number}`)
    const filling = await EventStore.open(directory, options)
    for (let turn = 0; turn < 40; turn++) await Promise.all(streams.map(stream => filling.append(stream, order(turn))))
    await filling.close()
    for (let turn = 0; turn < 40; turn++) {
      const store = await EventStore.open(directory, options)
      const reads = streams.map(stream =>
        all(store.readStream(stream)).then(
          events => events.length,
          (error: unknown) => error,
        ),
      )
      for (let i = 0; i < turn; i++) await new Promise(resolve => setImmediate(resolve))
      await store.close()
      for (const outcome of await Promise.all(reads)) {
        if (outcome instanceof Error) expect(outcome).toBeInstanceOf(StoreClosedError)
        else expect(outcome).toBe(40)
      }
    }
    rmSync(directory, { recursive: true })
  })

  test('waits for no read that goes through all that its filter leaves out', async () => {
    const store = await openStore()
    for (let turn = 0; turn < 8; turn++) await store.append('s', sized(200_000))
    const filtered = { filter: { types: ['Other'] } }
    const reads = [store.readAll(filtered), store.readAll({ ...filtered, direction: 'backwards' })].map(read =>
      rejectionOf(all(read)),
    )
    await store.close()
    for (const error of await Promise.all(reads)) expect(error).toBeInstanceOf(StoreClosedError)
  })

  test('waits for no read of a stream that goes through all that is too old', async () => {
    const clock = new ManualClock()
    const store = await openStore(new MemoryDisk(), { clock })
    await store.append('s', orders(3000))
    await store.setMetadata('s', { maxAge: 1 })
    clock.advance(2000)
    expect(await all(store.readStream('s'))).toEqual([])
    const read = rejectionOf(all(store.readStream('s')))
    await store.close()
    expect(await read).toBeInstanceOf(StoreClosedError)
  })

  test('lets go of the directory', async () => {
    const disk = new MemoryDisk()
    const first = await openStore(disk)
    expect(await rejectionOf(openStore(disk))).toMatchObject({ code: 'STORE_LOCKED', retryable: true, pid: process.pid })
    await first.close()
    await (await openStore(disk)).close()
  })

  test('lets go of the directory also when a file cannot be closed (KurrentDB 14)', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    await store.append('s', order(0))
    disk.failNext({ op: 'close', path: '.chunk', error: 'EIO' })
    await store.close().catch(() => {})
    const again = await openStore(disk)
    expect(await numbers(again.readStream('s'))).toEqual([0])
    await again.close()
  })

  test('closes every file it opened', async () => {
    const disk = new OpenFilesDisk()
    for (const options of [SMALL_CHUNKS, SMALL_CHUNKS, { readOnly: true }]) {
      const store = await openStore(disk, options)
      if (options === SMALL_CHUNKS) await appendEach(store, 's', orders(300))
      await all(store.readAll())
      expect(disk.openCount).toBeGreaterThan(0)
      await store.close()
      expect(disk.openCount).toBe(0)
    }
  })

  test('is not needed for a store that could not be opened: it holds neither files nor the lock', async () => {
    const intact = new MemoryDisk()
    const first = await openStore(intact, SMALL_CHUNKS)
    await appendEach(first, 's', orders(300))
    await first.close()
    const content = intact.snapshot()
    const rotten = content.get('/data/000001.chunk')!.slice()
    rotten[200]! ^= 1
    // The index of the rotten chunk has to be made again, from what can't be read.
    for (const name of [...content.keys()]) if (name.endsWith('.index')) content.delete(name)
    const disk = new OpenFilesDisk(content.set('/data/000001.chunk', rotten))
    expect(await rejectionOf(openStore(disk))).toMatchObject({ code: 'CORRUPT_LOG' })
    expect(disk.openCount).toBe(0)
    expect(await rejectionOf(openStore(disk))).toMatchObject({ code: 'CORRUPT_LOG' })
  })

  test('is not needed either where the next chunk had been made ahead of the one that can not be read', async () => {
    const intact = new MemoryDisk()
    const first = await openStore(intact, SMALL_CHUNKS)
    while (!intact.snapshot().has('/data/000001.chunk')) await first.append('s', order(0))
    await first.close()
    const content = intact.snapshot()
    const rotten = content.get('/data/000000.chunk')!.slice()
    rotten[200]! ^= 1
    for (const name of ['active', '000000-partial.index']) content.delete(`/data/${name}`)
    const disk = new OpenFilesDisk(content.set('/data/000000.chunk', rotten))
    for (const options of [{}, { readOnly: true }]) {
      expect(await rejectionOf(openStore(disk, options))).toMatchObject({ code: 'CORRUPT_LOG', file: '/data/000000.chunk' })
      expect(disk.openCount).toBe(0)
    }
  })

  test('leaves no timer behind', async () => {
    const clock = new ManualClock()
    const store = await openStore(new MemoryDisk(), { clock })
    await store.append('s', order(0))
    await store.close()
    expect(clock.timerCount).toBe(0)
  })

  test('leaves no timer behind when its first flush is under way', async () => {
    const clock = new ManualClock()
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock })
    const flush = disk.hold('writeDurably', { path: '.chunk' })
    const append = store.append('s', order(0))
    await flush.reached
    const closed = store.close()
    await settle()
    flush.release()
    await Promise.all([append, closed])
    expect(clock.timerCount).toBe(0)
  })

  test('of the in-memory store: nothing of it is found by the next', async () => {
    const first = await EventStore.inMemory()
    await first.append('s', order(0))
    await first.close()
    const second = await EventStore.inMemory()
    expect(await second.exists('s')).toBe(false)
    await second.close()
  })
})

describe('a closed store', () => {
  test('rejects appends', async () => {
    const store = await openStore()
    await store.close()
    expect(await rejectionOf(store.append('s', order(0)))).toMatchObject({
      code: 'STORE_CLOSED',
      outcome: 'rejected',
      retryable: false,
    })
    expect(await rejectionOf(store.append('s', []))).toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('rejects appends from the call of close on', async () => {
    const store = await openStore()
    const closing = store.close()
    expect(await rejectionOf(store.append('s', order(0)))).toMatchObject({ code: 'STORE_CLOSED' })
    await closing
  })

  test('rejects reads, and those that were under way at their next batch', async () => {
    const store = await openStore()
    await appendEach(store, 's', orders(5))
    for (let turn = 0; turn < 8; turn++) await store.append('s', { type: 'T', data: new Uint8Array(100_000) })
    const reading = store.readAll().batches()[Symbol.asyncIterator]()
    await reading.next()
    await store.close()
    expect(await rejectionOf(reading.next())).toMatchObject({ code: 'STORE_CLOSED' })
    expect(await rejectionOf(all(store.readStream('s')))).toMatchObject({ code: 'STORE_CLOSED' })
    expect(await rejectionOf(all(store.readAll()))).toMatchObject({ code: 'STORE_CLOSED' })
    expect(await rejectionOf(store.head('s'))).toMatchObject({ code: 'STORE_CLOSED' })
    expect(await rejectionOf(store.exists('s'))).toMatchObject({ code: 'STORE_CLOSED' })
  })

  test('still tells its position and its counters', async () => {
    const store = await openStore()
    const { position } = await store.append('s', order(0))
    await store.close()
    expect(store.lastPosition).toBe(position)
    expect(store.stats().writer.events).toBe(1)
  })

  test('was disposed of at the end of a block, too', async () => {
    let kept: EventStore
    {
      await using store = await EventStore.inMemory()
      await store.append('s', order(0))
      kept = store
    }
    expect(await rejectionOf(kept.append('s', order(1)))).toMatchObject({ code: 'STORE_CLOSED' })
  })
})

describe('several stores in one process', () => {
  test('share nothing: positions, streams, clocks, errors', async () => {
    const disk = new MemoryDisk()
    const one = await EventStore.openOn(disk, '/one', SMALL_CHUNKS)
    const other = await EventStore.openOn(disk, '/other', {})
    await Promise.all([appendEach(one, 's', orders(100)), appendEach(other, 's', orders(50, 1000))])
    expect(await numbers(one.readAll())).toEqual(upTo(100))
    expect(await numbers(other.readAll())).toEqual(upTo(50).map(number => 1000 + number))
    await one.close()
    expect((await other.append('s', order(0))).firstRevision).toBe(50)
    expect(await other.exists('t')).toBe(false)
    await other.close()
  })

  test('do not stop each other: a held flush of one leaves the other its acks', async () => {
    const disk = new SimulatedDisk()
    const one = await EventStore.openOn(disk, '/one')
    const other = await EventStore.openOn(disk, '/other')
    const held = disk.hold('writeDurably', { path: '/one' })
    const waiting = one.append('s', order(0))
    await held.reached
    for (const number of upTo(20)) await other.append('s', order(number))
    held.release()
    await waiting
    await Promise.all([one.close(), other.close()])
  })

  test('fail alone', async () => {
    const disk = new SimulatedDisk()
    const one = await EventStore.openOn(disk, '/one')
    const other = await EventStore.openOn(disk, '/other')
    disk.failNext({ op: 'writeDurably', path: '/one', error: 'EIO' })
    expect(await rejectionOf(one.append('s', order(0)))).toMatchObject({ code: 'WRITER_FAILED' })
    await other.append('s', order(0))
    await withStore({}, async third => {
      await third.append('s', order(0))
    })
    await Promise.all([one.close(), other.close()])
  })
})

/** Counts the files that are open. */
class OpenFilesDisk extends MemoryDisk {
  openCount = 0

  override async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const file = await super.open(path, mode)
    const close = file.close.bind(file)
    this.openCount++
    file.close = () => {
      this.openCount--
      return close()
    }
    return file
  }
}
