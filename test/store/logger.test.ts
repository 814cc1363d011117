import { expect, test } from 'vitest'
import { rejectionOf } from '../support/promises.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { openStore, order, sized } from './words.ts'

/** As a logger does whose own file is on the full disk. */
function say(): never {
  throw new Error('the log has no room')
}
const logger = { info: say, warn: say, error: say } as never

test('a logger that throws fails no open, and keeps nobody from hearing that the disk is full', async () => {
  const disk = new SimulatedDisk()
  const store = await openStore(disk, { logger })
  await store.append('s', order(0))
  disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'ENOSPC' })
  expect(await rejectionOf(store.append('s', sized(100_000)))).toMatchObject({ code: 'DISK_FULL', outcome: 'rejected' })
  expect(await store.append('s', order(1))).toMatchObject({ lastRevision: 1 })
  await store.close()
})

test('a logger that throws keeps nobody from hearing that the writer has failed', async () => {
  const disk = new SimulatedDisk()
  const store = await openStore(disk, { logger })
  disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO' })
  expect(await rejectionOf(store.append('s', order(0)))).toMatchObject({ code: 'WRITER_FAILED', outcome: 'unknown' })
  await store.close()
})
