import { expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { rejectionOf } from '../support/promises.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { DIRECTORY } from '../support/store-content.ts'

test('a scavenge whose first step ends the writer says so, in words of the store', async () => {
  const disk = new SimulatedDisk()
  const store = await EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock() })
  await store.append('s', { type: 'a', data: 1 })
  disk.failNext({ op: 'truncate', path: '.chunk', error: 'EIO' })
  expect(await rejectionOf(store.scavenge())).toMatchObject({ code: 'WRITER_FAILED', cause: { code: 'EIO' } })
  expect(await rejectionOf(store.append('s', { type: 'a', data: 2 }))).toMatchObject({ code: 'WRITER_FAILED' })
  await store.close()
})
