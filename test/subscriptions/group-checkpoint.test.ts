import { describe, expect, test, vi } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { Admission } from '../../src/store/admission.ts'
import { all, appendEach, openStore, order, orders, rejectionOf, SMALL_CHUNKS, upTo, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { checkpointCount, groupScene, numbersOf, receive } from './group-words.ts'
import { numberOf } from './words.ts'

describe('the checkpoint of a group over one stream', () => {
  test('names revisions, also while more of a batch is at hand', async () => {
    await withStore({}, async store => {
      await store.append('s', orders(3))
      const group = store.group('workers', { stream: 's', minCheckPointCount: 1, maxCheckPointCount: 1 })
      const member = group.join({ bufferSize: 1 })
      const { value } = await member.next()
      value?.ack()
      await settle()
      await group.close()
      const [note] = await all(store.readStream('$group-workers', { direction: 'backwards', maxCount: 1 }))
      expect(note?.data).toMatchObject({ from: 1 })
    })
  })
})

describe('parked messages', () => {
  test('are given out again when somebody says so', async () => {
    const { store, group } = await groupScene()
    const member = group.join()
    await appendEach(store, 's', orders(4))
    for (const message of await receive(member, 4)) message.nack('park')
    await settle()
    expect(await group.replayParked({ maxCount: 3 })).toBe(3)
    const again = await receive(member, 3)
    expect(numbersOf(again)).toEqual([0, 1, 2])
    expect(again.every(message => message.isReplay && message.retryCount === 0)).toBe(true)
    for (const message of again) message.ack()
    expect(await group.parkedCount()).toBe(1)
    expect(await group.replayParked()).toBe(1)
    expect(await group.replayParked()).toBe(0)
    await store.close()
  })

  test('count as soon as somebody has said so, and can be given out again at once', async () => {
    for (const ask of ['parkedCount', 'replayParked'] as const) {
      const { store, group } = await groupScene()
      const member = group.join()
      await appendEach(store, 's', orders(3))
      for (const message of await receive(member, 3)) message.nack('park')
      expect(await group[ask]()).toBe(3)
      await store.close()
    }
  })

  test('are given out once, though two ask for it at a time', async () => {
    const { store, group } = await groupScene()
    const member = group.join({ bufferSize: 100 })
    await appendEach(store, 's', orders(30))
    for (const message of await receive(member, 30)) message.nack('park')
    await settle()
    const counts = await Promise.all([group.replayParked({ maxCount: 20 }), group.replayParked()])
    expect(counts).toEqual([20, 10])
    expect(numbersOf(await receive(member, 30))).toEqual(upTo(30))
    expect(await stateOf(member.next())).toBe('pending')
    await store.close()
  })

  test('that fail again are parked again', async () => {
    const { store, group } = await groupScene()
    const member = group.join()
    await store.append('s', order(7))
    ;(await receive(member, 1))[0]!.nack('park')
    await settle()
    await group.replayParked()
    ;(await receive(member, 1))[0]!.nack('park', 'again')
    await settle()
    expect(await group.parkedCount()).toBe(1)
    expect(await group.replayParked()).toBe(1)
    expect(numbersOf(await receive(member, 1))).toEqual([7])
    await store.close()
  })

  test('that were given out again and not settled before a restart are given out once more', async () => {
    const { disk, store, group } = await groupScene()
    const member = group.join()
    await appendEach(store, 's', orders(3))
    for (const message of await receive(member, 3)) message.nack('park')
    await settle()
    await group.replayParked()
    const [first] = await receive(member, 2)
    first!.ack()
    await store.close()
    const again = await groupScene({}, disk)
    expect(await again.group.parkedCount()).toBe(2)
    await again.group.replayParked()
    expect(numbersOf(await receive(again.group.join(), 2))).toEqual([1, 2])
    await again.store.close()
  })
})

describe('a parked message whose stream was deleted for good', () => {
  test('is passed over; others are given out again', async () => {
    const { store, group } = await groupScene()
    const member = group.join()
    await store.append('gone', order(0))
    await store.append('s', order(1))
    for (const message of await receive(member, 2)) message.nack('park')
    await settle()
    await store.tombstone('gone')
    expect(await group.replayParked()).toBe(1)
    expect(numbersOf(await receive(member, 1))).toEqual([1])
    await store.close()
  })
})

describe('the checkpoint of a group', () => {
  test('is written some time after a message was settled, if there are enough (KurrentDB: 1 s, 5)', async () => {
    const { clock, store, group } = await groupScene()
    const member = group.join()
    await appendEach(store, 's', orders(9))
    const messages = await receive(member, 9)
    for (const message of messages.slice(0, 4)) message.ack()
    clock.advance(5000)
    await settle()
    expect(await checkpointCount(store)).toBe(0)
    messages[4]!.ack()
    clock.advance(999)
    await settle()
    expect(await checkpointCount(store)).toBe(0)
    clock.advance(1)
    await settle()
    expect(await checkpointCount(store)).toBe(1)
    await store.close()
  })

  test('is written at once when many were settled', async () => {
    const { store, group } = await groupScene({ maxCheckPointCount: 20 })
    const member = group.join({ bufferSize: 100 })
    await appendEach(store, 's', orders(50))
    for (const message of await receive(member, 20)) message.ack()
    await settle()
    expect(await checkpointCount(store)).toBe(1)
    await store.close()
  })

  test('is written for what was settled while another one was being written', async () => {
    const { clock, store, group } = await groupScene({ maxCheckPointCount: 5 })
    const member = group.join({ bufferSize: 100 })
    await appendEach(store, 's', orders(18))
    for (const message of await receive(member, 18)) message.ack()
    await settle()
    clock.advance(1000)
    await settle()
    const [note] = await all(store.readStream('$group-workers', { direction: 'backwards', maxCount: 1 }))
    const [last] = await all(store.readStream('s', { direction: 'backwards', maxCount: 1 }))
    expect((note!.data as { from: number }).from).toBeGreaterThan(last!.position)
    await store.close()
  })

  test('names the lowest event that is not settled: after a restart everything from there on comes again', async () => {
    const { disk, store, group } = await groupScene()
    const member = group.join()
    await appendEach(store, 's', orders(8))
    const messages = await receive(member, 8)
    for (const index of [0, 1, 3, 5]) messages[index]!.ack()
    await store.close()
    const again = await groupScene({}, disk)
    expect(numbersOf(await receive(again.group.join(), 6))).toEqual([2, 3, 4, 5, 6, 7])
    await again.store.close()
  })

  test('is written at close, and then nothing that was settled comes again', async () => {
    for (const stream of [undefined, 's']) {
      const { disk, store, group } = await groupScene({ stream })
      const member = group.join()
      await appendEach(store, 's', orders(8))
      for (const message of await receive(member, 3)) message.ack()
      await store.close()
      const again = await groupScene({ stream }, disk)
      expect(numbersOf(await receive(again.group.join(), 5))).toEqual([3, 4, 5, 6, 7])
      await again.store.close()
    }
  })

  test('waits at close for room among the appends that are under way, and does not ask for it again and again', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk, { maxPendingAppends: 1 })
    const group = store.group('workers')
    const member = group.join()
    await store.append('s', orders(4))
    for (const message of await receive(member, 4)) message.ack()
    const held = disk.hold('writeDurably')
    const appending = store.append('s', order(4))
    await held.reached
    const asked = vi.spyOn(Admission.prototype, 'admit')
    const closing = group.close()
    expect(await stateOf(closing)).toBe('pending')
    expect(asked).toHaveBeenCalledTimes(1)
    asked.mockRestore()
    held.release()
    await Promise.all([appending, closing])
    expect(numbersOf(await receive(store.group('workers').join(), 1))).toEqual([4])
    await store.close()
  })

  test('that cannot be written at close is told: what was settled comes again', async () => {
    const disk = new SimulatedDisk()
    const store = await openStore(disk)
    const group = store.group('workers')
    const member = group.join()
    await store.append('s', orders(4))
    for (const message of await receive(member, 4)) message.ack()
    disk.failNext({ op: 'writeDurably', error: 'ENOSPC' })
    expect(await rejectionOf(group.close())).toMatchObject({ code: 'DISK_FULL' })
    expect(numbersOf(await receive(store.group('workers').join(), 4))).toEqual(upTo(4))
    await store.close()
  })

  test('that cannot be written when the store closes is told to its logger; the store closes all the same', async () => {
    const disk = new SimulatedDisk()
    const lines: unknown[][] = []
    const logger = { info: () => {}, warn: (...line: unknown[]) => lines.push(line), error: () => {} }
    const store = await openStore(disk, { logger: logger as never })
    const member = store.group('workers').join()
    await store.append('s', orders(4))
    for (const message of await receive(member, 4)) message.ack()
    disk.failNext({ op: 'writeDurably', error: 'ENOSPC' })
    await store.close()
    expect(lines).toEqual([
      [expect.objectContaining({ err: expect.objectContaining({ code: 'DISK_FULL' }) }), 'appends were taken back'],
      [
        { err: expect.objectContaining({ code: 'DISK_FULL' }), stream: '$group-workers' },
        expect.stringContaining('given out again'),
      ],
    ])
    const again = await openStore(disk)
    expect(numbersOf(await receive(again.group('workers').join(), 4))).toEqual(upTo(4))
    await again.close()
  })

  test('over many lives that are killed or closed anywhere: every event is settled in the end (seed group)', async () => {
    const random = new Random('group')
    const strategies = ['round-robin', 'single', 'pinned'] as const
    const settled = new Set<number>()
    let disk = new MemoryDisk()
    for (const life of upTo(20)) {
      const isLast = life === 19
      const store = await openStore(disk, SMALL_CHUNKS)
      if (!isLast) await Promise.all(orders(30, 30 * life).map((event, index) => store.append(`s-${index % 4}`, event)))
      const options = { strategy: random.pick(strategies), maxRetryCount: 1000, minCheckPointCount: 3, maxCheckPointCount: 7 }
      const group = store.group('workers', options)
      const members = upTo(3).map(() => group.join({ bufferSize: 1 + random.int(8) }))
      const work = members.map(async member => {
        for await (const message of member) {
          if (random.chance(0.2) && !isLast) message.nack('retry')
          else {
            settled.add(numberOf(message.event))
            message.ack()
          }
        }
      })
      await settle(isLast ? 200 : random.int(40))
      // The bytes of a process that was killed are those that it had written.
      const killed = new MemoryDisk(disk.snapshot())
      await store.close()
      await Promise.all(work)
      if (random.chance(0.5)) disk = killed
    }
    expect([...settled].sort((one, other) => one - other)).toEqual(upTo(19 * 30))
  })
})
