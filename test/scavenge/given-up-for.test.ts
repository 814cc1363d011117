import { describe, expect, test } from 'vitest'
import type { Disk } from '../../src/disk/disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { Durability } from '../../src/writer/durability.ts'
import { CrashModel } from '../support/crash-states.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { rejectionOf } from '../support/promises.ts'
import { eventsOf } from '../support/readings.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { DIRECTORY, fileOf } from '../support/store-content.ts'

function open(disk: Disk, durability: Durability): Promise<EventStore> {
  return EventStore.openOn(disk, DIRECTORY, { clock: new ManualClock(), chunkSizeBytes: 4096, durability })
}

/** A durable event, of which the stream keeps one; and a scavenge that reads its chunk when a newer one has just been acked. */
async function overtaken(
  durability: Durability,
): Promise<{ disk: SimulatedDisk; store: EventStore; scavenge(): Promise<unknown> }> {
  const before = new SimulatedDisk()
  const filled = await open(before, durability)
  await filled.setMetadata('s', { maxCount: 1 })
  await filled.append('s', { type: 'a', data: 'durable' })
  await filled.close()
  const disk = new SimulatedDisk({ content: before.snapshot() })
  const store = await open(disk, durability)
  const read = disk.hold('read', { path: '000000.chunk' })
  const scavenging = store.scavenge()
  scavenging.catch(() => {})
  await read.reached
  await store.append('s', { type: 'a', data: 'acked' })
  return {
    disk,
    store,
    scavenge() {
      read.release()
      return scavenging
    },
  }
}

describe.each([
  'os',
  'memory',
] as const)("with the durability '%s' a durable event that is given up for a newer one", durability => {
  test('goes when the newer one is durable, too: a power cut at any moment leaves one of them', async () => {
    const { disk, store, scavenge } = await overtaken(durability)
    expect(await scavenge()).toMatchObject({ eventsDropped: 1 })
    const seen = new Set<unknown>()
    for (const state of new CrashModel(disk).states()) {
      const crashed = await open(state.disk, durability)
      const left = (await eventsOf(crashed)).filter(({ stream }) => stream === 's').map(({ data }) => data)
      expect(['durable', 'acked', 'durable,acked'], state.describe()).toContain(left.join())
      const { firstRevision } = await crashed.append('s', { type: 'a', data: 'next' })
      expect(firstRevision, state.describe()).toBe(left.includes('acked') ? 2 : 1)
      seen.add(left.at(-1))
      await crashed.close()
    }
    expect([...seen].sort()).toEqual(['acked', 'durable'])
    await store.close()
  })

  test('stays when the newer one can not be made durable, and the scavenge says what ended the writer', async () => {
    const { disk, store, scavenge } = await overtaken(durability)
    disk.failNext({ op: 'datasync', path: '000001.chunk', error: 'EIO' })
    disk.failNext({ op: 'writeDurably', path: '000001.chunk', error: 'EIO' })
    expect(await rejectionOf(scavenge())).toMatchObject({ code: 'WRITER_FAILED', cause: { code: 'EIO' } })
    expect(disk.log).not.toContainEqual(expect.objectContaining({ kind: 'rename', to: fileOf(0) }))
    await store.close()
  })
})
