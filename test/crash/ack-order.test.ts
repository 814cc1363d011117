import { describe, expect, test } from 'vitest'
import { type TailraceError, WriterFailedError, WrongExpectedRevisionError } from '../../src/core/errors.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'
import type { DiskOperation } from '../support/faults.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { rejectionOf, stateOf } from '../support/promises.ts'
import { eventsOf } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const CHUNK = '.chunk'
const order = (size = 100) => ({ type: 'OrderPlaced', data: Buffer.alloc(size, 1) })

async function storeOn(options: StoreOptions = {}): Promise<{ disk: SimulatedDisk; store: EventStore; clock: ManualClock }> {
  const disk = new SimulatedDisk()
  const clock = new ManualClock()
  return { disk, clock, store: await EventStore.openOn(disk, '/store', { clock, ...options }) }
}

const eventsIn = async (store: EventStore) => (await eventsOf(store)).length

/** Holds the call that makes an append of `size` bytes durable, and says whether the ack waits for it. */
async function ackWaitsFor(op: DiskOperation, size: number, options: StoreOptions = {}): Promise<boolean> {
  const { disk, store } = await storeOn(options)
  const held = disk.hold(op, { path: CHUNK })
  const ack = store.append('orders', order(size))
  const whileHeld = await stateOf(ack)
  const seenWhileHeld = await eventsIn(store)
  held.release()
  await ack
  expect(await eventsIn(store)).toBe(1)
  await store.close()
  // Nobody sees an event whose ack has to wait.
  expect(seenWhileHeld).toBe(whileHeld === 'pending' ? 0 : 1)
  return whileHeld === 'pending' && held.isReached
}

const IN_PLACE = 100
/** More than the zeros ahead take: such a group makes the file longer. */
const GROWS = 300 * 1024
/** More than goes in one trip: such a group is written, then synced. */
const LARGE = 1280 * 1024

describe('no ack comes before', () => {
  test('the durable write of its bytes has returned', async () => {
    expect(await ackWaitsFor('writeDurably', IN_PLACE)).toBe(true)
  })

  test('the durable write of a group that grows the file has returned', async () => {
    expect(await ackWaitsFor('writeDurably', GROWS)).toBe(true)
  })

  test('the write of a large group has returned', async () => {
    expect(await ackWaitsFor('write', LARGE)).toBe(true)
  })

  test('the sync of a large group has returned', async () => {
    expect(await ackWaitsFor('datasync', LARGE)).toBe(true)
  })

  test('and this check can fail: with durability "os" the ack comes while the sync is held', async () => {
    const options = { durability: 'os' } as const
    expect(await ackWaitsFor('write', IN_PLACE, options)).toBe(true)
    expect(await ackWaitsFor('writeDurably', IN_PLACE, options)).toBe(false)
    expect(await ackWaitsFor('datasync', LARGE, options)).toBe(false)
  })

  test('and with durability "memory" it comes while the write is held', async () => {
    expect(await ackWaitsFor('write', IN_PLACE, { durability: 'memory' })).toBe(false)
    expect(await ackWaitsFor('datasync', LARGE, { durability: 'memory' })).toBe(false)
  })

  test('the flush of its own group: what is written during a flush waits for the next one', async () => {
    const { disk, store } = await storeOn()
    const first = disk.hold('writeDurably', { path: CHUNK, nth: 1 })
    const second = disk.hold('writeDurably', { path: CHUNK, nth: 2 })
    const early = store.append('orders', order())
    await first.reached
    const late = store.append('orders', order())
    expect(await stateOf(late)).toBe('pending')
    first.release()
    expect(await stateOf(early)).toBe('resolved')
    expect(await stateOf(late)).toBe('pending')
    expect(await eventsIn(store)).toBe(1)
    second.release()
    expect(await stateOf(late)).toBe('resolved')
  })

  test.each([
    'syncDirectory',
    'rename',
    'datasync',
    'writeDurably',
  ] as const)('the %s of the roll-over in front of it has returned', async op => {
    const { disk, store } = await storeOn({ chunkSizeBytes: 4096 })
    await store.append('orders', order(2000))
    const held = disk.hold(op, op === 'syncDirectory' ? {} : { path: CHUNK })
    const ack = store.append('orders', order(3000))
    expect(await stateOf(ack)).toBe('pending')
    expect(held.isReached).toBe(true)
    held.release()
    expect((await ack).position).toBeGreaterThan(4096)
  })
})

describe('a verdict that rests on writes which are not flushed', () => {
  /** An append whose durable write is held, and a second one that the first has made wrong. */
  async function wrongBehindHeld() {
    const { disk, store } = await storeOn()
    const flush = disk.hold('writeDurably', { path: CHUNK })
    const told: string[] = []
    const tell = (who: string) => () => void told.push(who)
    const append = store.append('orders', order(), { expectedRevision: 'no_stream' })
    append.then(tell('append'), tell('append'))
    const wrong = store.append('orders', order(), { expectedRevision: 'no_stream' })
    wrong.then(tell('wrong'), tell('wrong'))
    await flush.reached
    return { store, flush, append, wrong, told }
  }

  test('is told when they are flushed, behind their acks', async () => {
    const { flush, append, wrong, told } = await wrongBehindHeld()
    expect(await stateOf(wrong)).toBe('pending')
    flush.release()
    await append
    expect(await rejectionOf(wrong)).toBeInstanceOf(WrongExpectedRevisionError)
    expect(told).toEqual(['append', 'wrong'])
  })

  test('becomes the failure if the flush fails: nobody hears of bytes that were lost', async () => {
    const { store, flush, append, wrong } = await wrongBehindHeld()
    flush.fail('EIO')
    const failed = await rejectionOf<TailraceError>(append)
    expect(failed).toBeInstanceOf(WriterFailedError)
    expect(failed.outcome).toBe('unknown')
    const verdict = await rejectionOf<TailraceError>(wrong)
    expect(verdict).toBeInstanceOf(WriterFailedError)
    expect(verdict.outcome).toBe('rejected')
    await store.close()
  })

  test('waits also when it is that a check holds', async () => {
    const { disk, store } = await storeOn()
    const flush = disk.hold('writeDurably', { path: CHUNK })
    const append = store.append('orders', order())
    const check = store.append('orders', [], { expectedRevision: 0 })
    await flush.reached
    expect(await stateOf(check)).toBe('pending')
    flush.release()
    await append
    expect(await check).toMatchObject({ firstRevision: null, duplicate: false })
  })

  test('is told at once when nothing is on its way', async () => {
    const { store } = await storeOn()
    await store.append('orders', order())
    const wrong = store.append('orders', order(), { expectedRevision: 'no_stream' })
    expect(await rejectionOf(wrong)).toBeInstanceOf(WrongExpectedRevisionError)
  })
})

test('acks come in the order of the calls, over streams, groups and roll-overs', async () => {
  const disk = new SimulatedDisk({ seed: 7, shuffle: true })
  const store = await EventStore.openOn(disk, '/store', { clock: new ManualClock(), chunkSizeBytes: 8192 })
  const told: number[] = []
  const appends = Array.from({ length: 400 }, async (_, index) => {
    const expectedRevision = index % 7 === 3 ? 10_000 : undefined
    await store.append(`stream-${index % 5}`, order(index % 300), { expectedRevision }).catch(() => {})
    told.push(index)
  })
  await Promise.all(appends)
  expect(told).toEqual(told.slice().sort((one, other) => one - other))
  await store.close()
})

test('close resolves when every append that was accepted has been told', async () => {
  const { disk, store } = await storeOn()
  const flush = disk.hold('writeDurably', { path: CHUNK })
  const append = store.append('orders', order())
  const closing = store.close()
  expect(await stateOf(closing)).toBe('pending')
  flush.release()
  await closing
  expect(await stateOf(append)).toBe('resolved')
})
