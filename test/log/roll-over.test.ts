import { describe, expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { all, appendEach, DIRECTORY, numbers, openStore, orders, positions, SMALL_CHUNKS, sized, upTo } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { operationsOnChunks } from '../support/operation-log.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { rooms } from './scenes.ts'

const chunkPath = (number: number) => `${DIRECTORY}/${String(number).padStart(6, '0')}.chunk`

describe('a roll-over', () => {
  test('happens when the next record is longer than the rest of the chunk, which stays unused (KurrentDB 15)', async () => {
    const scene = await rooms(new MemoryDisk(), { chunkSizeBytes: 4096 })
    const first = await scene.append('s', sized(3000))
    const second = await scene.append('s', sized(2000))
    expect(first.position).toBe(128)
    expect(second.position).toBe(4096 + 128)
    const third = await scene.append('s', sized(10))
    expect(third.position).toBe(second.position + 2000 + 46 + 1 + 5)
    await scene.close()
  })

  test('does not happen as long as a record and a proof still fit: the last place is used', async () => {
    const scene = await rooms(new MemoryDisk(), { chunkSizeBytes: 4096 })
    const overhead = 46 + 1 + 5
    await scene.append('s', sized(1000))
    const left = 4096 - 128 - 68 - 28 - (1000 + overhead)
    expect((await scene.append('s', sized(left - overhead))).position).toBe(128 + 1000 + overhead)
    expect((await scene.append('s', sized(0))).position).toBe(4096 + 128)
    await scene.close()
  })

  test('completes the chunk: footer, size, and a header of the next one that continues it', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await appendEach(store, 's', orders(200))
    await store.close()
    const content = disk.snapshot()
    const chunks = [...content.keys()].filter(path => path.endsWith('.chunk')).sort()
    expect(chunks.length).toBeGreaterThan(3)
    for (const [number, path] of chunks.entries()) {
      const bytes = Buffer.from(content.get(path)!)
      expect(bytes.readUInt32LE(32)).toBe(number)
      expect(Number(bytes.readBigUInt64LE(40))).toBe(number * 4096)
      expect(bytes.length).toBeLessThanOrEqual(4096)
      if (number < chunks.length - 2) expect(bytes.toString('latin1', bytes.length - 64, bytes.length - 56)).toBe('TRFOOTER')
    }
  })

  test('is seamless for readers: all events, once, in order (KurrentDB 19)', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await appendEach(store, 's', orders(500))
    expect(await numbers(store.readAll())).toEqual(upTo(500))
    await store.close()
    const again = await openStore(disk, SMALL_CHUNKS)
    expect(await numbers(again.readAll())).toEqual(upTo(500))
    await again.close()
  })

  test('finds the next file made already, when the chunk is three quarters full', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await store.append('s', sized(2500))
    await settle()
    expect(disk.snapshot().has(chunkPath(1))).toBe(false)
    await store.append('s', sized(400))
    await settle()
    expect(disk.snapshot().has(chunkPath(1))).toBe(true)
    const created = disk.callCount('rename')
    await store.append('s', sized(2000))
    expect(disk.callCount('rename')).toBe(created)
    await store.close()
  })

  test('waits for the next file when it is not there in time', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    const held = disk.hold('rename')
    await store.append('s', sized(3200))
    await held.reached
    let acked = false
    const appending = store.append('s', sized(2000)).then(() => {
      acked = true
    })
    await settle()
    expect(acked).toBe(false)
    held.release()
    await appending
    await store.close()
  })

  test('tries again to make the next file, when that failed ahead of time', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    const fault = disk.failNext({ op: 'rename', error: 'EIO' })
    await store.append('s', sized(3200))
    await settle()
    expect(fault.fired).toBe(1)
    expect((await store.append('s', sized(2000))).position).toBe(4096 + 128)
    await store.close()
  })

  test('to a file that cannot be made rejects the append, the log goes on when it can', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    const fault = disk.failNext({ op: 'rename', error: 'EACCES', times: 'forever' })
    await store.append('s', sized(3200))
    await settle()
    await expect(store.append('s', sized(2000))).rejects.toMatchObject({ outcome: 'rejected', retryable: true })
    expect((await store.append('s', sized(100))).firstRevision).toBe(1)
    fault.clear()
    expect(await store.append('s', sized(2000))).toMatchObject({ firstRevision: 2, position: 4096 + 128 })
    await store.close()
  })

  test('leaves the order of appends as it was: small ones do not overtake the one that waits', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, SMALL_CHUNKS)
    await store.append('s', sized(3000))
    const held = disk.hold('rename')
    const appends = [sized(2000), sized(1), sized(2)].map(event => store.append('s', event))
    await settle()
    held.release()
    expect((await Promise.all(appends)).map(ack => ack.firstRevision)).toEqual([1, 2, 3])
    expect((await all(store.readStream('s'))).map(event => event.bytes.length)).toEqual([3000, 2000, 1, 2])
    await store.close()
  })

  test('in the middle of a burst of groups: each is flushed once, and the proven position never goes back', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { chunkSizeBytes: 2 ** 20 })
    await Promise.all(upTo(40).map(() => store.append('s', sized(100_000))))
    await store.append('s', sized(1))
    // Every flush has made something durable: none was for bytes that had been flushed with the roll-over already.
    let synced = 0
    let written = 0
    for (const entry of operationsOnChunks(disk.log)) {
      if (entry.kind === 'write' || entry.kind === 'writeDurably') written++
      if (entry.kind !== 'datasync') continue
      expect(written, `datasync ${synced} covers nothing`).toBeGreaterThan(0)
      written = 0
      synced++
    }
    expect(synced).toBeGreaterThan(0)
    await store.close()
  })
})

describe('positions', () => {
  test('are never used twice, and lie in the file that the chunk size says', async () => {
    const disk = new MemoryDisk()
    const seen: number[] = []
    for (let turn = 0; turn < 3; turn++) {
      const store = await openStore(disk, SMALL_CHUNKS)
      await Promise.all(upTo(30).map(number => store.append('s', number % 4 === 0 ? orders(3) : sized(number * 20))))
      seen.push(...(await positions(store.readAll())).slice(seen.length))
      await store.close()
    }
    expect(new Set(seen).size).toBe(seen.length)
    const content = disk.snapshot()
    for (const position of seen) {
      const chunk = Buffer.from(content.get(chunkPath(Math.floor(position / 4096)))!)
      expect(Number(chunk.readBigUInt64LE((position % 4096) + 8))).toBe(position)
    }
  })
})
