import { describe, expect, test } from 'vitest'
import type { Clock } from '../../src/core/clock.ts'
import { SLICE_SIZE } from '../../src/core/limits.ts'
import { all, appendEach, numbers, openStore, order, orders, positions, sized, upTo } from '../store/words.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { SyncsInFlight } from './syncs-in-flight.ts'

describe('the flush', () => {
  test("is set off because the queue has drained: 'drained'", async () => {
    const store = await openStore(new SimulatedDisk(), { clock: new ManualClock() })
    await appendEach(store, 's', orders(10))
    expect(store.stats().flush.triggers).toEqual({ drained: 1, delay: 0 })
    await store.close()
  })

  test("is set off because a write got old while more waits: 'delay'", async () => {
    // More than a slice waits, and time passes while the writer takes the first one.
    const clock = new ClockThatRuns(3)
    const store = await openStore(new SimulatedDisk(), { clock })
    await Promise.all(upTo(8).map(() => store.append('s', sized(SLICE_SIZE / 2))))
    expect(store.stats().flush.triggers.delay).toBeGreaterThan(0)
    await store.close()
  })

  test('is not set off by the delay when no time passes: slices gather into one group', async () => {
    const store = await openStore(new SimulatedDisk(), { clock: new ManualClock() })
    await Promise.all(upTo(8).map(() => store.append('s', sized(SLICE_SIZE / 2))))
    expect(store.stats().flush.triggers).toEqual({ drained: 1, delay: 0 })
    await store.close()
  })

  test('is not needed for checks and rejections', async () => {
    const store = await openStore(new SimulatedDisk(), { clock: new ManualClock() })
    await store.append('s', [])
    await store.append('s', order(0), { expectedRevision: 9 }).catch(() => {})
    expect(store.stats().flush.count).toBe(0)
    await store.close()
  })

  test('is under way once at a time on a descriptor, and no write meets another in its place (seed syncs)', async () => {
    const random = new Random('syncs')
    const disk = new SyncsInFlight()
    const store = await openStore(disk, { chunkSizeBytes: 2 ** 20 })
    await Promise.all(
      upTo(6).map(async client => {
        for (let turn = 0; turn < 40; turn++) {
          const burst = upTo(1 + random.int(4)).map(() =>
            store.append(`s-${client}`, sized(random.pick([10, 500, 20_000, 150_000]))),
          )
          if (random.chance(0.6)) await Promise.all(burst)
        }
      }),
    )
    await store.close()
    expect(disk.most.datasync).toBe(1)
    expect(disk.most.writeDurably).toBe(1)
    expect(disk.overlaps).toBe(0)
    const again = await openStore(disk)
    expect(again.recovery.clean).toBe(true)
    await again.close()
  })
})

describe('while a flush is held', () => {
  test('the writer takes, checks and encodes what comes: one group when it is over', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    const held = disk.hold('writeDurably')
    const first = store.append('s', order(0))
    await held.reached
    const others = upTo(100).map(number => store.append('s', order(1 + number)))
    await settle()
    expect(store.stats()).toMatchObject({ queue: { length: 0 }, writer: { appends: 101 } })
    const before = disk.callCount('writeDurably')
    held.release()
    await Promise.all([first, ...others])
    expect(disk.callCount('writeDurably') - before).toBe(1)
    await store.close()
  })

  test('a large group is written already, and then needs only its sync', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    const first = store.append('s', sized(2 ** 20))
    const held = disk.hold('datasync')
    await held.reached
    const written = disk.callCount('write')
    const second = store.append('s', sized(2 ** 20))
    await settle()
    expect(disk.callCount('write')).toBe(written + 1)
    held.release()
    await Promise.all([first, second])
    expect(disk.callCount('write')).toBe(written + 1)
    await store.close()
  })

  test('nothing else is written while the next group is, though the one before it has been acked meanwhile', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    const sync = disk.hold('datasync')
    const first = store.append('s', sized(2 ** 20))
    await sync.reached
    const write = disk.hold('write')
    const second = store.append('s', sized(2 ** 18))
    await write.reached
    const writes = disk.callCount('write')
    sync.release()
    await first
    await settle()
    expect(disk.callCount('write')).toBe(writes)
    write.release()
    await second
    expect((await openStore(new SimulatedDisk({ content: disk.snapshot() }))).recovery.events).toBe(2)
    await store.close()
  })

  test('nobody is acked, and nothing is readable', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const held = disk.hold('writeDurably')
    let acks = 0
    const appends = upTo(10).map(number => store.append('s', order(number)).then(() => acks++))
    await held.reached
    await settle()
    expect(acks).toBe(0)
    expect(await all(store.readAll())).toEqual([])
    held.release()
    await Promise.all(appends)
    await store.close()
  })

  test('those who are acked join the next group together', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    let rounds = 0
    await Promise.all(
      upTo(50).map(async client => {
        for (let round = 0; round < 10; round++) await store.append(`s-${client}`, order(round))
        rounds++
      }),
    )
    expect(rounds).toBe(50)
    expect(store.stats().writer.groups).toBe(10)
    await store.close()
  })
})

describe('a slice', () => {
  test('leaves the event loop its turn: much that waits does not hold up the rest', async () => {
    const store = await openStore(new SimulatedDisk(), { clock: new ManualClock(), maxPendingBytes: 2 ** 30 })
    const appends = upTo(12).map(() => store.append('s', sized(SLICE_SIZE - 100)))
    let turns = 0
    const count = (): void => {
      if (store.stats().writer.appends === 12) return
      turns++
      setImmediate(count)
    }
    setImmediate(count)
    await Promise.all(appends)
    expect(turns).toBeGreaterThanOrEqual(5)
    await store.close()
  })
})

describe('an idle writer', () => {
  /** Ends of the log, as bytes of its only chunk that are not zero. */
  const usedBytes = (disk: SimulatedDisk) => {
    const bytes = disk.snapshot().get('/data/000000.chunk')!
    let end = bytes.length
    while (end > 0 && bytes[end - 1] === 0) end--
    return end
  }

  test('proves its last group within 50 ms', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    await store.append('s', order(0))
    await settle()
    const before = usedBytes(disk)
    for (let ms = 0; ms < 50; ms += 5) {
      clock.advance(5)
      await settle(3)
    }
    expect(usedBytes(disk) - before).toBe(28)
    await store.close()
  })

  test('proves it once: nothing piles up, however long it is idle', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    await store.append('s', order(0))
    for (let turn = 0; turn < 20; turn++) {
      clock.advance(20)
      await settle(3)
    }
    const before = { used: usedBytes(disk), calls: disk.callCount() }
    for (let turn = 0; turn < 50; turn++) {
      clock.advance(1000)
      await settle(2)
    }
    expect({ used: usedBytes(disk), calls: disk.callCount() }).toEqual(before)
    expect(clock.timerCount).toBe(0)
    await store.close()
    expect(usedBytes(disk)).toBe(before.used)
  })

  test('that never wrote writes no proof, nor does one that was only opened and closed', async () => {
    const disk = new SimulatedDisk()
    for (let turn = 0; turn < 5; turn++) {
      const clock = new ManualClock()
      const store = await openStore(disk, { clock })
      clock.advance(1000)
      await settle()
      await store.close()
    }
    // The header ends with a checksum, of which one in 256 ends with a zero.
    expect(usedBytes(disk)).toBeLessThanOrEqual(128)
  })

  test('proves nothing while it is busy: one timer, however many flushes', async () => {
    const disk = new SimulatedDisk()
    const clock = new ManualClock()
    const store = await openStore(disk, { clock })
    await store.append('s', order(0))
    const before = usedBytes(disk)
    const record = 46 + 's'.length + 'OrderPlaced'.length + '{"number":0}'.length
    for (let number = 1; number < 10; number++) {
      clock.advance(8)
      await store.append('s', order(number))
      expect(clock.timerCount).toBeLessThanOrEqual(2)
    }
    expect(usedBytes(disk)).toBe(before + 9 * record)
    await store.close()
  })

  test('says in its proof that everything before it is durable', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    await store.append('s', order(0))
    await store.close()
    const bytes = Buffer.from(disk.snapshot().get('/data/000000.chunk')!)
    const end = usedBytes(disk) + 3
    const proof = bytes.subarray(end - 28, end)
    expect(proof.readUInt8(20)).toBe(3)
    expect(proof.readUInt32LE(16)).toBe(0)
    expect(Number(proof.readBigUInt64LE(8))).toBe(end - 28)
  })

  test('in a chunk without room for a proof completes the chunk instead', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { chunkSizeBytes: 4096 })
    const overhead = 46 + 1 + 5
    await store.append('s', sized(4096 - 128 - 68 - 28 - overhead))
    await store.close()
    const again = await openStore(disk, { chunkSizeBytes: 4096 })
    expect(again.recovery).toMatchObject({ clean: true, events: 1 })
    expect((await again.append('s', order(0))).position).toBe(4096 + 128)
    await again.close()
  })
})

describe('each record', () => {
  test('proves what was durable when it was encoded', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: new ManualClock() })
    for (const number of upTo(5)) await store.append('s', order(number))
    const bytes = Buffer.from(disk.snapshot().get('/data/000000.chunk')!)
    const distances = (await positions(store.readAll())).map(position => bytes.readUInt32LE(position + 16))
    expect(distances).toEqual([0, 0, 0, 0, 0])
    await Promise.all(upTo(3).map(number => store.append('s', order(5 + number))))
    const after = Buffer.from(disk.snapshot().get('/data/000000.chunk')!)
    const places = (await positions(store.readAll())).slice(5)
    expect(places.map(position => position - after.readUInt32LE(position + 16))).toEqual([places[0], places[0], places[0]])
    expect(await numbers(store.readStream('s'))).toEqual(upTo(8))
    await store.close()
  })
})

/** Time passes by being asked for. */
class ClockThatRuns implements Clock {
  readonly #stepMs: number
  #ms = 0

  constructor(stepMs: number) {
    this.#stepMs = stepMs
  }

  now(): number {
    return 1_700_000_000_000
  }

  monotonic(): number {
    this.#ms += this.#stepMs
    return this.#ms
  }

  after(): () => void {
    return () => {}
  }
}
