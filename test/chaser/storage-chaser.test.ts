import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import type { CommitAck } from '../../src/chaser/commit-ack.ts'
import { StorageChaser } from '../../src/chaser/storage-chaser.ts'
import { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { COMMIT_RECORD_SIZE, revisionOf, sizeOf } from '../../src/format/log-record.ts'
import { Checkpoint } from '../../src/log/checkpoint.ts'
import type { LogReader } from '../../src/log/log-reader.ts'
import { type OpenRooms, rooms } from '../log/scenes.ts'
import { openStore, order, orders, sized, upTo } from '../store/words.ts'
import { settle, stillClock } from '../support/manual-clock.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

interface Heard {
  readonly position: number
  readonly end: number
  readonly eventCount: number
  readonly revisions: number[]
}

/** Writes down what it hears: the ack itself is valid only while it is being told. */
function heard(ack: CommitAck): Heard {
  const revisions: number[] = []
  for (let at = ack.offset; revisions.length < ack.eventCount; at += sizeOf(ack.window.view, at)) {
    revisions.push(revisionOf(ack.window.view, at))
  }
  return { position: ack.position, end: ack.end, eventCount: ack.eventCount, revisions }
}

function chaserOf(reader: LogReader, start = 0, flushed = 128) {
  const acks: Heard[] = []
  const failures: unknown[] = []
  const checkpoint = new Checkpoint(flushed as LogPosition)
  const listener = { committed: (ack: CommitAck) => acks.push(heard(ack)), stubbed: () => {} }
  const chaser = new StorageChaser(reader, checkpoint, new Checkpoint(start as LogPosition), [listener], error =>
    failures.push(error),
  )
  return { acks, failures, checkpoint, chaser }
}

/** A log of single and multi-event appends over several chunks; its ends of appends, in order. */
let writing: OpenRooms
let reading: OpenRooms
const appends: { readonly first: number; readonly end: number; readonly eventCount: number }[] = []

beforeAll(async () => {
  const disk = new MemoryDisk()
  writing = await rooms(disk, { chunkSizeBytes: 4096, clock: stillClock })
  const { acks, checkpoint, chaser } = chaserOf(writing.reader)
  await chaser.start()
  for (const turn of upTo(40)) {
    const eventCount = turn % 3 === 0 ? 1 + (turn % 5) : 1
    await writing.append('s', turn % 4 === 1 ? sized(600) : orders(eventCount))
    checkpoint.advance(writing.chaser.published.position)
    await settle(2)
    const ack = acks.at(-1)!
    appends.push({ first: ack.position, end: ack.end, eventCount: ack.eventCount })
  }
  chaser.stop()
  await (await rooms(new MemoryDisk(disk.snapshot()), { clock: stillClock })).close()
  const content = new MemoryDisk(disk.snapshot())
  await (await rooms(content, { clock: stillClock })).close()
  reading = await rooms(content, { readOnly: true, clock: stillClock })
})

afterAll(async () => {
  await writing.close()
  await reading.close()
})

const readers = () => [['from slabs', writing.reader] as const, ['from files', reading.reader] as const]
const endOf = (append: number) => LogPosition.of(appends[append]!.end)

describe('the chaser', () => {
  test('publishes each append once, in log order, with its first position, end and events (KurrentDB 58)', async () => {
    for (const [where, reader] of readers()) {
      const { acks, checkpoint, chaser } = chaserOf(reader)
      await chaser.start()
      checkpoint.advance(endOf(39))
      await settle()
      const found = acks.map(({ position, end, eventCount }) => ({ first: position, end, eventCount }))
      expect(found, where).toEqual(appends)
      expect(acks.flatMap(ack => ack.revisions)).toEqual(upTo(acks.flatMap(ack => ack.revisions).length))
      expect(chaser).toMatchObject({ ackCount: 40, lag: 0 })
      chaser.stop()
    }
  })

  test('is told of each flushed position and publishes exactly what is below it (KurrentDB 16, 58)', async () => {
    for (const [where, reader] of readers()) {
      const { acks, checkpoint, chaser } = chaserOf(reader)
      await chaser.start()
      for (const append of upTo(40)) {
        checkpoint.advance(endOf(append))
        await settle(3)
        expect(acks.length, where).toBe(append + 1)
        expect(chaser.published.position).toBe(endOf(append))
      }
      chaser.stop()
    }
  })

  test('never looks beyond the flushed position: what is only written does not exist for it', async () => {
    for (const [, reader] of readers()) {
      const { acks, chaser } = chaserOf(reader, 0, appends[4]!.end)
      await chaser.start()
      await settle()
      expect(acks).toHaveLength(5)
      chaser.stop()
    }
  })

  test('started within the log publishes only what comes behind: at open it goes on where the index ended', async () => {
    for (const [where, reader] of readers()) {
      const { acks, checkpoint, chaser } = chaserOf(reader, appends[9]!.end, appends[20]!.end)
      await chaser.start()
      checkpoint.advance(endOf(39))
      await settle()
      expect(
        acks.map(ack => ack.position),
        where,
      ).toEqual(appends.slice(10).map(append => append.first))
      chaser.stop()
    }
  })

  test('has published what was flushed when it has started', async () => {
    for (const [, reader] of readers()) {
      const { acks, chaser } = chaserOf(reader, 0, appends[39]!.end)
      await chaser.start()
      await chaser.settled()
      expect(acks).toHaveLength(40)
      chaser.stop()
    }
  })

  test('tells its listeners in order, all of one ack before the next', async () => {
    const told: string[] = []
    const listener = (name: string) => ({ committed: (ack: CommitAck) => told.push(`${name}${ack.position}`), stubbed: () => {} })
    const checkpoint = new Checkpoint(endOf(2))
    const chaser = new StorageChaser(writing.reader, checkpoint, new Checkpoint(), [listener('a'), listener('b')], () => {})
    await chaser.start()
    await chaser.settled()
    expect(told).toEqual(appends.slice(0, 3).flatMap(({ first }) => [`a${first}`, `b${first}`]))
    chaser.stop()
  })

  test('has told its listeners before the published position moves', async () => {
    const { acks, checkpoint, chaser } = chaserOf(writing.reader)
    await chaser.start()
    const heardAtMove: number[] = []
    chaser.published.follow(() => heardAtMove.push(acks.length))
    checkpoint.advance(endOf(4))
    await settle()
    expect(heardAtMove).toEqual([5])
    chaser.stop()
  })

  test('that is stopped publishes nothing more, and whoever waits is let go', async () => {
    const { acks, checkpoint, chaser } = chaserOf(reading.reader)
    await chaser.start()
    checkpoint.advance(endOf(39))
    const waiting = chaser.settled()
    chaser.stop()
    await waiting
    await settle()
    const count = acks.length
    checkpoint.advance((endOf(39) + 10_000) as LogPosition)
    await settle()
    expect(acks.length).toBe(count)
  })

  test('fails when a listener fails, says so once, and goes no further', async () => {
    const failures: unknown[] = []
    const checkpoint = new Checkpoint(128 as LogPosition)
    const listener = {
      committed: (ack: CommitAck) => {
        if (ack.position >= appends[3]!.first) throw new Error('index')
      },
      stubbed: () => {},
    }
    const chaser = new StorageChaser(writing.reader, checkpoint, new Checkpoint(), [listener], error => failures.push(error))
    await chaser.start()
    checkpoint.advance(endOf(10))
    await settle()
    checkpoint.advance(endOf(20))
    await settle()
    expect(failures).toEqual([new Error('index')])
    expect(chaser.published.position).toBeLessThanOrEqual(appends[3]!.first)
  })
})

describe('an append', () => {
  test('of several events is not acked before its commit record is flushed', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { clock: stillClock })
    await store.append('s', order(0))
    await store.append('s', orders(3))
    const whole = Buffer.from(disk.snapshot().get('/data/000000.chunk')!)
    await store.close()
    const second = 128 + whole.readUInt32LE(128)
    const record = whole.readUInt32LE(second)
    // Prepares without their commit: as a crash leaves them that lost the end of the group.
    whole.fill(0, second + 3 * record)
    const survivor = await rooms(new MemoryDisk(new Map([['/data/000000.chunk', whole]])), { clock: stillClock })
    expect(survivor.chaser).toMatchObject({ ackCount: 1, eventCount: 1 })
    expect(survivor.index.active.runAt(0).lastRevision).toBe(0)
    const next = await survivor.append('s', order(1))
    expect(next).toMatchObject({ firstRevision: 1 })
    await survivor.close()
  })

  test('larger than what the chaser reads at once is published as one', async () => {
    const disk = new MemoryDisk()
    const first = await rooms(disk)
    await first.append(
      's',
      upTo(40).map(() => sized(100_000)),
    )
    await first.append('s', order(0))
    await first.close()
    const second = await rooms(disk)
    const { acks, chaser } = chaserOf(second.reader, 0, second.chaser.published.position)
    await chaser.start()
    expect(acks.map(ack => ack.eventCount)).toEqual([40, 1])
    expect(acks[0]!.revisions).toEqual(upTo(40))
    chaser.stop()
    await second.close()
  })
})

describe('from files', () => {
  test('records of a chunk that was rewritten are published one by one, though there are gaps between them', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, { chunkSizeBytes: 4096, clock: stillClock })
    for (const turn of upTo(30)) await store.append(turn % 2 === 0 ? 'kept' : 'deleted', sized(200))
    await store.delete('deleted')
    await store.scavenge()
    await store.close()
    const opened = await rooms(disk, { readOnly: true, clock: stillClock })
    expect(opened.chunks.all[0]!.isCompact).toBe(true)
    const { acks, chaser } = chaserOf(opened.reader, 0, opened.chunks.all[1]!.start)
    await chaser.start()
    chaser.stop()
    expect(acks.length).toBeGreaterThan(2)
    expect(acks.every(({ eventCount }) => eventCount === 1)).toBe(true)
    expect(acks.map(({ revisions }) => revisions[0])).toEqual(upTo(acks.length))
    await opened.close()
  })

  test('an append of which a scavenge leaves a part, between two reads of it, is published as what it left', async () => {
    const disk = new MemoryDisk()
    const store = await openStore(disk, { clock: stillClock })
    const events = upTo(10).map(() => sized(200_000))
    await store.commit([
      { stream: 'deleted', events },
      { stream: 'kept', events },
    ])
    await store.scavenge()
    const before = await rooms(new MemoryDisk(disk.snapshot()), { readOnly: true, clock: stillClock })
    await store.delete('deleted')
    await store.scavenge()
    await store.close()
    const after = await rooms(disk, { readOnly: true, clock: stillClock })
    const limit = before.chaser.published.position

    const readBefore = before.reader.readForward.bind(before.reader)
    vi.spyOn(before.reader, 'readForward')
      .mockImplementation(after.reader.readForward.bind(after.reader))
      .mockImplementationOnce(readBefore)
    const { acks, chaser } = chaserOf(before.reader, 0, limit)
    await chaser.start()
    const whole = chaserOf(after.reader, 0, limit)
    await whole.chaser.start()
    expect(acks).toEqual(whole.acks)
    expect(acks.length).toBeGreaterThan(9)
    chaser.stop()
    whole.chaser.stop()
    await before.close()
    await after.close()
  })

  test('an append without its commit below the flushed position is an error: that position was no end of an append', async () => {
    const append = appends.find(({ eventCount }) => eventCount > 2)!
    const { chaser } = chaserOf(reading.reader, append.first, append.end - COMMIT_RECORD_SIZE)
    await expect(chaser.start()).rejects.toThrow('has no commit')
  })
})

describe('a burst of acks', () => {
  test('goes in slices of 1,024: between them the event loop has its turns', async () => {
    const store = await openStore(new MemoryDisk(), { maxPendingAppends: 200_000, maxPendingBytes: 2 ** 30 })
    const count = 100_000
    let acked = 0
    const appends: Promise<unknown>[] = []
    const event = order(0)
    for (let number = 0; number < count; number++) {
      appends.push(
        store.append('s', event).then(() => {
          acked++
        }),
      )
    }
    // Each turn writes down how many acks it found; a loop that was held up would find none, then all.
    const seen: number[] = []
    const look = (): void => {
      seen.push(acked)
      if (acked < count) setImmediate(look)
    }
    setImmediate(look)
    let timerSaw = -1
    setTimeout(() => {
      timerSaw = acked
    }, 0)
    await Promise.all(appends)
    await settle(2)
    const steps = seen.slice(1).map((now, index) => now - seen[index]!)
    expect(Math.max(...steps)).toBeLessThanOrEqual(2 * 1024)
    expect(timerSaw).toBeGreaterThanOrEqual(0)
    expect(timerSaw).toBeLessThan(count)
    expect(store.stats().chaser).toMatchObject({ acks: count, lagBytes: 0 })
    await store.close()
  })

  test('goes in slices of 512 KiB: the disk gets what comes after them while the others are told', async () => {
    const store = await openStore(new MemoryDisk())
    const size = 100 * 1024
    let acked = 0
    const appends = Array.from({ length: 8 }, (_, number) =>
      store.append('s', { type: 'Large', data: new Uint8Array(size).fill(number) }).then(() => {
        acked++
      }),
    )
    const seen: number[] = []
    const look = (): void => {
      seen.push(acked)
      if (acked < appends.length) setImmediate(look)
    }
    setImmediate(look)
    await Promise.all(appends)
    await settle(2)
    const steps = seen.map((now, index) => now - (seen[index - 1] ?? 0))
    // The one that reaches beyond is the last.
    expect(Math.max(...steps)).toBe(6)
    await store.close()
  })

  test('published in slices settles in order all the same', async () => {
    const store = await openStore(new MemoryDisk(), {})
    const settled: number[] = []
    await Promise.all(upTo(5000).map(number => store.append(`s-${number % 3}`, order(number)).then(() => settled.push(number))))
    expect(settled).toEqual(upTo(5000))
    await store.close()
  })
})
