import { expect, test } from 'vitest'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { readIndexHeader } from '../../src/format/index-layout.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { rejectionOf } from '../support/promises.ts'
import { collect, typesIn } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { appendEvents, contentOf, DIRECTORY, fileOf } from '../support/store-content.ts'

test('a directory that can not be listed is no missing store: nothing is made, and the next open finds what is there', async () => {
  const disk = new SimulatedDisk({ content: await contentOf(store => appendEvents(store, 3)) })
  const before = new Map(disk.snapshot())
  disk.failNext({ op: 'list', error: 'EIO' })
  expect(await rejectionOf(EventStore.openOn(disk, DIRECTORY))).toMatchObject({ code: 'READ_FAILED' })
  for (const [path, bytes] of before) if (!path.endsWith('lock')) expect(disk.snapshot().get(path)).toEqual(bytes)
  const store = await EventStore.openOn(disk, DIRECTORY)
  expect(await typesIn(store)).toEqual(['0', '1', '2'])
  await store.close()
})

test('zeros ahead that the disk does not take, though it is not full, finish the writer: it may not take records either', async () => {
  const disk = new SimulatedDisk()
  const store = await EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() })
  const fault = disk.failNext({ op: 'write', path: fileOf(0), error: 'EIO' })
  await appendEvents(store, 1, 140_000)
  await settle()
  expect(fault.fired).toBe(1)
  const refusal = await rejectionOf(store.append('orders', { type: 'late', data: 1 }))
  expect(refusal).toMatchObject({ code: 'WRITER_FAILED' })
  expect(await typesIn(store)).toEqual(['0'])
  await store.close()
})

test('a merge of index files that fails when its file has its name: the next open does not find an event twice', async () => {
  const disk = new SimulatedDisk()
  const clock = new ManualClock()
  const store = await EventStore.openOn(disk, DIRECTORY, { chunkSizeBytes: 4096, clock })
  await appendOneByOne(store, 21)
  const fault = disk.failNext({ op: 'syncDirectory', error: 'EIO' })
  clock.advance(30)
  await settle()
  expect(fault.fired).toBe(1)
  await appendOneByOne(store, 9)
  await store.close()
  const again = await EventStore.openOn(disk, DIRECTORY, { chunkSizeBytes: 4096, clock: new ManualClock() })
  expect((await collect(again.readStream('orders').batches())).map(({ revision }) => revision)).toEqual([...Array(30).keys()])
  await again.close()
})

/** In small chunks, each of which gets its index file before the next one is full. */
async function appendOneByOne(store: EventStore, count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    await appendEvents(store, 1, 900)
    await settle()
  }
}

test('an index file of a version that nobody knows is none', async () => {
  const content = await contentOf(store => appendEvents(store, 3))
  const path = [...content.keys()].find(name => name.endsWith('.index'))!
  const page = new ByteWindow(Buffer.from(content.get(path)!.subarray(0, 4096)))
  expect(readIndexHeader(page)).not.toBe(null)
  page.view.setUint16(8, 99, true)
  expect(readIndexHeader(page)).toBe(null)
})
