import { expect, test } from 'vitest'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { readIndexHeader } from '../../src/format/index-layout.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { ManualClock, settle } from '../support/manual-clock.ts'
import { rejectionOf } from '../support/promises.ts'
import { typesIn } from '../support/readings.ts'
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

test('an index file of a version that nobody knows is none', async () => {
  const content = await contentOf(store => appendEvents(store, 3))
  const path = [...content.keys()].find(name => name.endsWith('.index'))!
  const page = new ByteWindow(Buffer.from(content.get(path)!.subarray(0, 4096)))
  expect(readIndexHeader(page)).not.toBe(null)
  page.view.setUint16(8, 99, true)
  expect(readIndexHeader(page)).toBe(null)
})
