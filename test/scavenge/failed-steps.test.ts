import { expect, test, vi } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { CrashModel } from '../support/crash-states.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { rejectionOf } from '../support/promises.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { DIRECTORY, fileOf } from '../support/store-content.ts'

const ERASED = { type: 'a', data: 'SECRET', id: '0193b7c0-1234-7abc-8def-0123456789ab' }

function open(disk: SimulatedDisk): Promise<EventStore> {
  return EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock(), chunkSizeBytes: 4096 })
}

/** A scavenge whose chunk has its new name, when the directory can't be synced. */
async function unsynced(disk: SimulatedDisk, store: EventStore): Promise<unknown> {
  const rename = disk.hold('rename', { path: '000000.chunk.tmp' })
  const rejection = rejectionOf(store.scavenge())
  await rename.reached
  disk.failNext({ op: 'syncDirectory', error: 'EIO' })
  rename.release()
  return rejection
}

test('a directory that can not be synced is an error of this scavenge and of the next, until no old file can come back', async () => {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  await store.append('people', ERASED)
  await store.append('others', { type: 'a', data: 'kept' })
  await store.delete('people')
  expect(await unsynced(disk, store)).toMatchObject({ code: 'READ_FAILED', cause: { code: 'EIO' } })
  expect(await unsynced(disk, store)).toMatchObject({ code: 'READ_FAILED', cause: { code: 'EIO' } })
  expect(await store.scavenge()).toMatchObject({ eventsKept: 2, eventsDropped: 0 })
  disk.mark('scavenged')
  await new Promise(resolve => setImmediate(resolve))
  const states = [...new CrashModel(disk, { fromMark: 1 }).states()]
  expect(states.length).toBeGreaterThan(0)
  for (const state of states) {
    const bytes = state.disk.snapshot().get(fileOf(0))!
    expect(Buffer.from(bytes).includes('SECRET'), state.describe()).toBe(false)
  }
  expect(await store.scavenge()).toMatchObject({ chunksReplaced: 0 })
  await store.close()
})

test('what is gone is gone for everybody, though the directory could not be synced: the id of a dropped event is free', async () => {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  await store.append('people', ERASED)
  await store.delete('people')
  expect(await unsynced(disk, store)).toMatchObject({ code: 'READ_FAILED', cause: { code: 'EIO' } })
  expect(await store.append('people', ERASED)).toMatchObject({ firstRevision: 1, duplicate: false })
  await store.close()
})

test('an index file that could not be made anew is made by the next scavenge, and merged again, though that one replaces nothing', async () => {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  await store.append('people', ERASED)
  await store.append('others', { type: 'a', data: 'kept' })
  await store.delete('people')
  const rename = disk.hold('rename', { path: '000000.chunk.tmp' })
  const rejection = rejectionOf(store.scavenge())
  await rename.reached
  disk.failNext({ op: 'read', path: '000000.chunk', error: 'EIO' })
  rename.release()
  expect(await rejection).toMatchObject({ code: 'READ_FAILED' })
  await store.append('others', { type: 'a', data: 'kept' })
  expect(await store.scavenge()).toMatchObject({ chunksRead: 2, chunksReplaced: 0 })
  const indexFiles = async () => (await disk.list(DIRECTORY)).filter(name => name.endsWith('.index'))
  await vi.waitFor(async () => expect(await indexFiles()).toEqual(['000000-000001.index']))
  disk.mark('made anew')
  await store.scavenge()
  const since = disk.log.slice(disk.log.findIndex(({ kind }) => kind === 'mark'))
  expect(since).not.toContainEqual(expect.objectContaining({ kind: 'rename', to: expect.stringContaining('.index') }))
  await store.close()
})

test.each([
  ['ENOSPC', 'open'],
  ['EDQUOT', 'rename'],
] as const)('a full disk (%s) that stops the rewrite is a DiskFullError, as in the step before it', async (error, op) => {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  await store.append('people', ERASED)
  await store.delete('people')
  const fault = disk.failNext({ op, path: '000000.chunk.tmp', error, times: 'forever' })
  expect(await rejectionOf(store.scavenge())).toMatchObject({
    code: 'DISK_FULL',
    retryable: true,
    message: expect.stringContaining(`the disk is full, ${DIRECTORY} cannot be scavenged`),
    cause: { code: error },
  })
  fault.clear()
  expect(await store.scavenge()).toMatchObject({ eventsDropped: 1 })
  await store.close()
})

test('the reason of a signal is told as it is, though the system could have said it', async () => {
  const disk = new SimulatedDisk()
  const store = await open(disk)
  await store.append('people', ERASED)
  const reason = Object.assign(new Error('ENOSPC: elsewhere'), { code: 'ENOSPC' })
  expect(await rejectionOf(store.scavenge({ signal: AbortSignal.abort(reason) }))).toBe(reason)
  await store.close()
})
