import { describe, expect, test } from 'vitest'
import { type TailraceError, WriterFailedError } from '../../src/core/errors.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { powerCut } from '../support/crash-states.ts'
import type { DiskOperation } from '../support/faults.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { rejectionOf } from '../support/promises.ts'
import { typesIn } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { DIRECTORY, fileOf, openStore } from '../support/store-content.ts'

const event = (type: string, size = 100) => ({ type, data: Buffer.alloc(size, type) })
/** More than goes in one trip: such a group is written, and then synced. */
const LARGE = 1100 * 1024

async function simulated(clock = new ManualClock()): Promise<{ disk: SimulatedDisk; store: EventStore; clock: ManualClock }> {
  const disk = new SimulatedDisk()
  const store = await EventStore.openOn(disk, DIRECTORY, { clock })
  await store.append('orders', event('acked'))
  return { disk, store, clock }
}

/** Writes and syncs of chunks so far. */
const chunkCalls = (disk: SimulatedDisk) =>
  disk.log.filter(entry => 'inode' in entry && entry.kind !== 'create' && entry.inode === 1 && entry.kind !== 'truncate').length

describe.each<[string, DiskOperation, number]>([
  ['the durable write of a small group', 'writeDurably', 100],
  ['the sync of a large group', 'datasync', LARGE],
  ['the write of a large group', 'write', LARGE],
])('when %s fails', (_, op, size) => {
  test.each(['EIO', 'EROFS'])('with %s, the writer is finished, and nobody is told a lie', async error => {
    const { disk, store } = await simulated()
    disk.failNext({ op, path: '.chunk', error })
    const waiting = [store.append('orders', event('a', size)), store.append('payments', event('b'))]
    const failed = await rejectionOf<TailraceError>(waiting[0]!)
    expect(failed).toBeInstanceOf(WriterFailedError)
    expect(failed).toMatchObject({ outcome: 'unknown', code: 'WRITER_FAILED' })
    expect((failed.cause as { code: string }).code).toBe(error)
    expect(await rejectionOf(waiting[1]!)).toBeInstanceOf(WriterFailedError)

    const calls = chunkCalls(disk)
    const late = await rejectionOf(store.append('orders', event('late')))
    expect(late).toMatchObject({ code: 'WRITER_FAILED', outcome: 'rejected' })
    expect(await typesIn(store)).toEqual(['acked'])
    expect(await store.head('orders')).toBe(0)
    await store.close()
    // No write and no sync on that file any more: a second sync could say that all is well.
    expect(chunkCalls(disk)).toBe(calls)
    expect(disk.openPaths).toEqual([])

    const reopened = await openStore(disk.snapshot())
    expect((await typesIn(reopened))[0]).toBe('acked')
    await reopened.append('orders', event('after'))
    await reopened.close()
  })

  test('what is told to be rejected does not appear at the next open', async () => {
    const { disk, store } = await simulated()
    const held = disk.hold(op, { path: '.chunk' })
    const first = store.append('orders', event('a', size))
    await held.reached
    const behind = store.append('orders', event('b'))
    held.fail('EIO')
    expect(await rejectionOf(first)).toMatchObject({ outcome: 'unknown' })
    const outcome = (await rejectionOf<TailraceError>(behind)).outcome
    await store.close()
    const types = await typesIn(await openStore(disk.snapshot()))
    if (outcome === 'rejected') expect(types).not.toContain('b')
  })
})

describe('a retry of an append that may be lost is told so, too', () => {
  const doubtful = { ...event('doubtful'), id: '00000000-0000-4000-8000-000000000001' }
  const outcomesOf = async (appends: Promise<unknown>[]) => {
    const settled = await Promise.allSettled(appends)
    return settled.map(result => (result.status === 'rejected' ? result.reason.outcome : 'acked'))
  }

  test('when it waits in front of the queue while the writer fails', async () => {
    const { disk, store } = await simulated()
    const flush = disk.hold('writeDurably')
    const first = store.append('orders', doubtful)
    await flush.reached
    // What is being written has to be published before a condition is looked at.
    const condition = { failIf: { streams: ['payments'] }, after: 0 }
    const others = [
      store.append('orders', doubtful, { condition }),
      store.append('orders', doubtful),
      store.append('orders', event('behind')),
    ]
    await settle()
    flush.fail('EIO')
    expect(await outcomesOf([first, ...others])).toEqual(['unknown', 'unknown', 'unknown', 'rejected'])
    await store.close()
  })

  test('when it comes after the writer has failed: until the next open nobody can tell', async () => {
    const { disk, store } = await simulated()
    disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
    expect(await outcomesOf([store.append('orders', doubtful)])).toEqual(['unknown'])
    const late = [
      store.append('orders', doubtful, { expectedRevision: 0 }),
      store.commit([
        { stream: 'payments', events: [] },
        { stream: 'orders', events: doubtful },
      ]),
      store.append('payments', doubtful),
      store.append('orders', event('doubtful')),
    ]
    expect(await outcomesOf(late)).toEqual(['unknown', 'unknown', 'rejected', 'rejected'])
    await store.close()
    expect(await typesIn(await openStore(disk.snapshot()))).toEqual(['acked', 'doubtful'])
  })
})

describe('a retry of an append that was acked before the writer failed gets its answer', () => {
  const known = { ...event('known'), id: '00000000-0000-4000-8000-000000000002' }

  test.each([
    ['any'],
    ['no_stream'],
    [0],
  ] as const)('when it was decided behind the flush that fails, with %s', async expectedRevision => {
    const { disk, store } = await simulated()
    const stream = expectedRevision === 0 ? 'orders' : 'payments'
    const { position } = await store.append(stream, known)
    const flush = disk.hold('writeDurably')
    const lost = rejectionOf(store.append('orders', event('lost')))
    await flush.reached
    const retry = store.append(stream, known, { expectedRevision })
    const refused = rejectionOf(store.append('orders', event('other'), { expectedRevision: 0 }))
    await settle()
    flush.fail('EIO')
    expect(await lost).toMatchObject({ outcome: 'unknown' })
    expect(await retry).toMatchObject({ duplicate: true, position })
    expect(await refused).toMatchObject({ outcome: 'rejected', code: 'WRITER_FAILED' })
    await store.close()
  })
})

describe('after a sync that failed, the page cache shows what is not on the disk', () => {
  /** A store whose flush failed, closed and opened again on the same machine. */
  async function reopened() {
    const { disk, store } = await simulated()
    disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
    await rejectionOf(store.append('orders', event('doubtful')))
    await store.close()
    return { disk, store: await EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() }) }
  }

  test('a power cut before the reopen loses it: it was never acked', async () => {
    const { disk, store } = await simulated()
    disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
    await rejectionOf(store.append('orders', event('doubtful')))
    await store.close()
    expect(await typesIn(await openStore(disk.snapshot()))).toEqual(['acked', 'doubtful'])
    expect(await typesIn(await openStore(powerCut(disk)))).toEqual(['acked'])
  })

  test('opening writes it again before anyone sees it, so that a power cut then loses nothing', async () => {
    const { disk, store } = await reopened()
    expect(await typesIn(store)).toEqual(['acked', 'doubtful'])
    expect(store.recovery.clean).toBe(false)
    expect(await typesIn(await openStore(powerCut(disk)))).toEqual(['acked', 'doubtful'])
  })

  test('and loses nothing that was acked behind it', async () => {
    const { disk, store } = await reopened()
    await store.append('orders', event('after'), { expectedRevision: 1 })
    expect(await typesIn(await openStore(powerCut(disk)))).toEqual(['acked', 'doubtful', 'after'])
  })

  test('if that fails, too, the store stays closed; nothing is lost, and it opens when the disk is well', async () => {
    const { disk, store } = await simulated()
    disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
    await rejectionOf(store.append('orders', event('doubtful')))
    await store.close()
    const fault = disk.failNext({ op: 'datasync', path: '.chunk', error: 'EIO', times: 'forever' })
    for (let attempt = 0; attempt < 2; attempt++) {
      const refused = await rejectionOf<TailraceError>(EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() }))
      expect(refused.code).toMatch(/READ_FAILED|WRITER_FAILED/)
      expect(disk.openPaths).toEqual([])
    }
    fault.clear()
    const well = await EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() })
    expect(await typesIn(well)).toEqual(['acked', 'doubtful'])
    expect(await typesIn(await openStore(powerCut(disk)))).toEqual(['acked', 'doubtful'])
  })

  test('a footer whose sync failed is written again before a record stands behind it', async () => {
    const clock = new ManualClock()
    const options = { clock, chunkSizeBytes: 4096 }
    const disk = new SimulatedDisk()
    const store = await EventStore.openOn(disk, DIRECTORY, options)
    await store.append('orders', event('acked', 3000))
    const fault = disk.failNext({ op: 'datasync', path: fileOf(0), error: 'EIO' })
    expect(await rejectionOf(store.append('orders', event('lost', 3000)))).toMatchObject({ outcome: 'rejected' })
    expect(fault.fired).toBe(1)
    await store.close()
    const again = await EventStore.openOn(disk, DIRECTORY, options)
    await again.append('orders', event('after', 3000))
    expect(await typesIn(await openStore(powerCut(disk), { chunkSizeBytes: 4096 }))).toEqual(['acked', 'after'])
  })

  test('a store whose creation failed in the sync of a name is made anew by the next open: no later sync proves that name', async () => {
    const probe = new SimulatedDisk()
    await EventStore.openOn(probe, DIRECTORY, { clock: new ManualClock() })
    for (let nth = 1; nth <= probe.callCount('syncDirectory'); nth++) {
      const disk = new SimulatedDisk()
      disk.failNext({ op: 'syncDirectory', nth, error: 'EIO' })
      const opened = await EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() }).catch(() => null)
      const store = opened ?? (await EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() }))
      await store.append('orders', event('acked'))
      expect(await typesIn(await openStore(powerCut(disk))), `sync ${nth}`).toEqual(['acked'])
    }
  })

  test('a chunk whose name was never synced is not appended to before it is', async () => {
    const options = { chunkSizeBytes: 4096 }
    const disk = new SimulatedDisk()
    const store = await EventStore.openOn(disk, DIRECTORY, { ...options, clock: new ManualClock() })
    disk.failNext({ op: 'syncDirectory', error: 'EIO' })
    await store.append('orders', event('acked', 3000))
    await settle()
    await store.close()
    const again = await EventStore.openOn(disk, DIRECTORY, { ...options, clock: new ManualClock() })
    await again.append('orders', event('after', 3000))
    expect(await typesIn(await openStore(powerCut(disk), options))).toEqual(['acked', 'after'])
  })
})

describe('failures that nobody has to hear of', () => {
  test('of the hint: opened, written or closed', async () => {
    const { disk, store, clock } = await simulated()
    const fault = disk.failNext({ path: 'flushed', op: 'write', error: 'EIO', times: 'forever' })
    clock.advance(2)
    await settle()
    await store.append('orders', event('more'))
    await store.close()
    expect(fault.fired).toBeGreaterThan(0)
    expect(await typesIn(await openStore(disk.snapshot()))).toEqual(['acked', 'more'])
  })

  test('of zeros ahead, when the disk has no room for them', async () => {
    const disk = new SimulatedDisk()
    const store = await EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() })
    const fault = disk.failNext({ op: 'write', path: '.chunk', error: 'ENOSPC' })
    for (let index = 0; index < 4; index++) await store.append('orders', event(String(index), 60_000))
    expect(fault.fired).toBe(1)
    expect(await typesIn(store)).toEqual(['0', '1', '2', '3'])
    await store.close()
    expect(await typesIn(await openStore(powerCut(disk)))).toEqual(['0', '1', '2', '3'])
  })
})

test('an idle proof that fails finishes the writer, and loses nothing that was acked', async () => {
  const { disk, store, clock } = await simulated()
  disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
  clock.advance(20)
  await settle()
  expect(await rejectionOf(store.append('orders', event('late')))).toMatchObject({ code: 'WRITER_FAILED', outcome: 'rejected' })
  await store.close()
  expect(await typesIn(await openStore(powerCut(disk)))).toEqual(['acked'])
})
