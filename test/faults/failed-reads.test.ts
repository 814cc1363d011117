import { beforeAll, describe, expect, test } from 'vitest'
import { ReadFailedError, type TailraceError } from '../../src/core/errors.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { rejectionOf } from '../support/promises.ts'
import { collect, eventsOf, typesIn } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { appendEvents, contentOf, DIRECTORY, fileOf, nonZeroEnd, openStore } from '../support/store-content.ts'

const options = { chunkSizeBytes: 16_384, clock: new ManualClock() }
const types = Array.from({ length: 40 }, (_, index) => String(index))

let closed: Map<string, Uint8Array>
let killed: Map<string, Uint8Array>
beforeAll(async () => {
  closed = await contentOf(store => appendEvents(store, 40, 1000), options)
  killed = await contentOf(store => appendEvents(store, 40, 1000), { ...options, isKilled: true })
})

describe('a file that can not be read while the store is open', () => {
  /** Old events, no longer in memory. */
  const opened = async () => {
    const disk = new SimulatedDisk({ content: closed })
    return { disk, store: await EventStore.openOn(disk, DIRECTORY, { ...options, cacheBytes: 0 }) }
  }

  test.each([
    'EIO',
    'EMFILE',
  ])('with %s: that read says so, it is no end of the stream, and it can be tried again', async error => {
    const { disk, store } = await opened()
    for (const read of [
      () => eventsOf(store),
      () => collect(store.readAll({ direction: 'backwards' }).batches()),
      () => collect(store.readStream('orders').batches()),
      () => collect(store.readStream('orders', { from: 20, direction: 'backwards' }).batches()),
    ]) {
      const fault = disk.failNext({ op: 'read', error, times: 'forever' })
      const refusal = await rejectionOf<ReadFailedError>(read())
      expect(refusal).toBeInstanceOf(ReadFailedError)
      expect(refusal).toMatchObject({ code: 'READ_FAILED', retryable: true })
      expect(refusal.message).toMatch(/\.(chunk|index)/)
      expect((refusal.cause as { code: string }).code).toBe(error)
      fault.clear()
      expect((await read()).length).toBeGreaterThan(20)
    }
    // Nobody mistakes it for a stream that does not exist.
    const fault = disk.failNext({ op: 'read', error })
    expect(await store.exists('orders').catch(({ code }) => code)).toBe('READ_FAILED')
    fault.clear()
    expect(await store.exists('orders')).toBe(true)
    await store.close()
  })

  test('appends to streams whose head is known do not mind; others are refused, and can be tried again', async () => {
    const { disk, store } = await opened()
    const fault = disk.failNext({ op: 'read', error: 'EIO', times: 'forever' })
    const refusal = await rejectionOf(store.append('orders', { type: 'refused', data: 1 }))
    expect(refusal).toMatchObject({ code: 'READ_FAILED', outcome: 'rejected', retryable: true })
    fault.clear()
    expect(await store.append('orders', { type: 'known', data: 1 }, { expectedRevision: 39 })).toMatchObject({
      firstRevision: 40,
    })
    disk.failNext({ op: 'read', error: 'EIO', times: 'forever' })
    expect(await store.append('orders', { type: 'after', data: 1 }, { expectedRevision: 40 })).toMatchObject({
      firstRevision: 41,
    })
    await store.close()
    expect(await typesIn(await openStore(disk.snapshot(), options))).toEqual([...types, 'known', 'after'])
  })

  test('a condition that can not be looked at is told to whoever asked, and to nobody else', async () => {
    const { disk, store } = await opened()
    const unheard: unknown[] = []
    const hear = (error: unknown) => unheard.push(error)
    process.on('unhandledRejection', hear)
    disk.failNext({ op: 'read', path: '.index', error: 'EIO', times: 'forever' })
    const condition = { failIf: { streams: ['orders'] }, after: 1 }
    const refusal = await rejectionOf(store.append('orders', { type: 'refused', data: 1 }, { condition }))
    expect(refusal).toMatchObject({ code: 'READ_FAILED', outcome: 'rejected', retryable: true })
    await settle()
    process.off('unhandledRejection', hear)
    expect(unheard).toEqual([])
    await store.close()
  })

  test('in the midst of a read: the events before it came out, none behind it', async () => {
    const { disk, store } = await opened()
    disk.failNext({ op: 'read', path: fileOf(1), error: 'EIO' })
    const seen: string[] = []
    const failure = await rejectionOf(
      (async () => {
        for await (const event of store.readAll()) seen.push(event.type)
      })(),
    )
    expect(failure).toBeInstanceOf(ReadFailedError)
    expect(seen.length).toBeLessThan(40)
    expect(seen).toEqual(types.slice(0, seen.length))
  })
})

describe('a file that can not be read at open', () => {
  test.each([
    'after a close',
    'after a kill',
  ])('%s: refused at whichever read it is; nothing is truncated, nothing is lost', async when => {
    const content = when === 'after a close' ? closed : killed
    const probe = new SimulatedDisk({ content })
    await EventStore.openOn(probe, DIRECTORY, options)
    const before = await typesIn(await openStore(content, options))
    for (let nth = 1; nth <= probe.callCount('read'); nth++) {
      const disk = new SimulatedDisk({ content })
      disk.failNext({ op: 'read', nth, error: 'EIO' })
      const opened = await EventStore.openOn(disk, DIRECTORY, options).catch((error: TailraceError) => error)
      if (opened instanceof EventStore) {
        // The hint is not needed.
        expect(await typesIn(opened)).toEqual(before)
        await opened.close()
      } else {
        expect(opened.code, `read ${nth}`).toBe('READ_FAILED')
        for (const [path, bytes] of content) {
          // Bytes that were written again are the same bytes; no file lost more than zeros ahead.
          expect(nonZeroEnd(disk.snapshot().get(path)!)).toBeGreaterThanOrEqual(nonZeroEnd(bytes))
        }
      }
      expect(disk.openPaths).toEqual([])
      const again = await EventStore.openOn(disk, DIRECTORY, options)
      expect(again.recovery.truncatedBytes).toBe(0)
      expect(await typesIn(again)).toEqual(before)
      await again.close()
    }
  })
})
