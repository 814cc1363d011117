import { describe, expect, test } from 'vitest'
import { QueueFullError, RecordTooLargeError } from '../../src/core/errors.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { prepareSize } from '../../src/format/record-encoding.ts'
import { chunkCapacity } from '../../src/log/chunk-file.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { rejectionOf, stateOf } from '../support/promises.ts'
import { eventsOf, typesIn } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { DIRECTORY, openStore } from '../support/store-content.ts'

async function simulated(chunkSizeBytes = 4096, more = {}): Promise<{ disk: SimulatedDisk; store: EventStore }> {
  const disk = new SimulatedDisk()
  return { disk, store: await EventStore.openOn(disk, DIRECTORY, { chunkSizeBytes, clock: new ManualClock(), ...more }) }
}

describe('sizes', () => {
  /** The data of the largest event that a chunk can hold, in a stream named 's', of type 't'. */
  const largest = (chunkSize: number) => {
    const empty = {
      eventType: Buffer.from('t'),
      data: '',
      dataSize: 0,
      metadata: undefined,
      metadataSize: 0,
      suppliedId: undefined,
    }
    return chunkCapacity(chunkSize) - prepareSize(empty, 1)
  }

  test.each([
    4096, 8192, 65_536,
  ])('the largest append of a chunk of %i is taken, one byte more is refused before anything is written', async chunkSize => {
    const { disk, store } = await simulated(chunkSize)
    const most = largest(chunkSize)
    for (let index = 0; index < 3; index++) {
      await store.append('s', { type: 't', data: new Uint8Array(most).fill(index + 1) })
      const writes = disk.callCount('write') + disk.callCount('writeDurably')
      const refusal = await rejectionOf(store.append('s', { type: 't', data: new Uint8Array(most + 1) }))
      expect(refusal).toBeInstanceOf(RecordTooLargeError)
      expect(refusal).toMatchObject({ code: 'RECORD_TOO_LARGE', outcome: 'rejected', retryable: false })
      expect(disk.callCount('write') + disk.callCount('writeDurably')).toBe(writes)
    }
    await store.close()
    const again = await openStore(disk.snapshot(), { chunkSizeBytes: chunkSize })
    expect((await eventsOf(again)).map(event => event.bytes[most - 1])).toEqual([1, 2, 3])
    expect(again.recovery.clean).toBe(true)
  })

  test('of what was written when chunks were larger, a retry is known, and nothing else is taken', async () => {
    const disk = new MemoryDisk()
    const [known, other] = ['1', '2'].map(last => ({
      type: 't',
      data: new Uint8Array(10_000),
      id: `00000000-0000-4000-8000-00000000000${last}`,
    }))
    const before = await openStore(disk, { chunkSizeBytes: 65_536 })
    const { position } = await before.append('s', known!, { expectedRevision: 'no_stream' })
    await before.close()
    const store = await openStore(disk, { chunkSizeBytes: 4096 })
    for (const expectedRevision of ['no_stream', 'any'] as const)
      expect(await store.append('s', known!, { expectedRevision })).toMatchObject({ duplicate: true, position })
    expect(await store.commit([{ stream: 's', events: known! }])).toMatchObject({ duplicate: true, position })
    for (const refused of [store.append('s', other!), store.commit([{ stream: 's', events: other! }])])
      expect(await rejectionOf(refused)).toMatchObject({ code: 'RECORD_TOO_LARGE', outcome: 'rejected' })
    expect(await store.head('s')).toBe(0)
    await store.close()
  })

  test('several events that are too large together are refused together', async () => {
    const { store } = await simulated()
    const events = Array.from({ length: 5 }, () => ({ type: 't', data: new Uint8Array(1000) }))
    expect(await rejectionOf(store.append('s', events))).toBeInstanceOf(RecordTooLargeError)
    expect(await store.exists('s')).toBe(false)
  })

  test('events of no bytes are events', async () => {
    const { disk, store } = await simulated()
    await store.append(
      's',
      Array.from({ length: 30 }, (_, index) => ({ type: String(index), data: new Uint8Array(0) })),
    )
    await store.close()
    const found = await eventsOf(await openStore(disk.snapshot(), { chunkSizeBytes: 4096 }))
    expect(found.map(event => event.bytes.length)).toEqual(new Array(30).fill(0))
  })
})

describe('a disk that does not answer', () => {
  test('acks wait, and nothing is told by a timeout; reads go on; beyond the bound appends are refused', async () => {
    const { disk, store } = await simulated(1024 * 1024, { maxPendingAppends: 10 })
    await store.append('s', { type: 'acked', data: 1 })
    const stalled = disk.hold('writeDurably', { path: '.chunk' })
    const waiting = Array.from({ length: 10 }, (_, index) => store.append('s', { type: String(index), data: index }))
    await stalled.reached
    expect(await rejectionOf(store.append('s', { type: 'refused', data: 1 }))).toBeInstanceOf(QueueFullError)
    for (const append of waiting) expect(await stateOf(append)).toBe('pending')
    expect(await typesIn(store)).toEqual(['acked'])
    expect(store.stats().pending.appends).toBe(10)
    stalled.release()
    await Promise.all(waiting)
    expect(await typesIn(store)).toEqual(['acked', ...Array.from({ length: 10 }, (_, index) => String(index))])
    await store.append('s', { type: 'after', data: 1 })
  })

  test('an abort ends the wait, and does not say that it was rejected', async () => {
    const { disk, store } = await simulated()
    const stalled = disk.hold('writeDurably', { path: '.chunk' })
    const abort = new AbortController()
    const append = store.append('s', { type: 'a', data: 1 }, { signal: abort.signal })
    await stalled.reached
    abort.abort(new Error('no patience'))
    expect(await rejectionOf(append)).toMatchObject({ message: 'no patience', outcome: 'unknown' })
    stalled.release()
    await settle()
    expect(await typesIn(store)).toEqual(['a'])
    await store.close()
  })

  test('close waits for it', async () => {
    const { disk, store } = await simulated()
    const stalled = disk.hold('writeDurably', { path: '.chunk' })
    const append = store.append('s', { type: 'a', data: 1 })
    await stalled.reached
    const closing = store.close()
    expect(await stateOf(closing)).toBe('pending')
    stalled.release()
    await closing
    await append
  })
})
