import { expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { rejectionOf } from '../support/promises.ts'
import { eventsOf } from '../support/readings.ts'
import { openStore } from '../support/store-content.ts'

test('a stream that was deleted for good is so behind a scavenge and a reopen: it cannot be read, nor begun anew', async () => {
  const disk = new MemoryDisk()
  let store = await openStore(disk)
  await store.append('dead', { type: 'a', data: 1 })
  await store.tombstone('dead')
  await store.append('alive', { type: 'a', data: 1 })
  for (let round = 0; round < 2; round++) {
    await store.scavenge()
    await store.close()
    store = await openStore(disk)
    expect((await eventsOf(store)).map(({ stream }) => stream)).toEqual(['alive'])
    expect(await rejectionOf(store.readStream('dead').batches()[Symbol.asyncIterator]().next())).toMatchObject({
      code: 'STREAM_DELETED',
    })
    expect(await rejectionOf(store.append('dead', { type: 'a', data: 1 }))).toMatchObject({ code: 'STREAM_DELETED' })
  }
  await store.close()
})
