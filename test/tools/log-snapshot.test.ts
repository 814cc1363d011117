import { EventStore } from 'tailrace'
import { expect, test } from 'vitest'
import type { Disk } from '#engine/disk/disk.ts'
import { MemoryDisk } from '#engine/disk/memory-disk.ts'
import { closeSnapshot, openSnapshot } from '../../tools/log-snapshot.ts'

const DIRECTORY = '/data'

/** A disk that does something else when the file is opened for the first time. */
function interrupted(disk: MemoryDisk, path: string, interrupt: () => Promise<unknown>): Disk {
  let isDone = false
  return new Proxy(disk, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name)
      if (typeof member !== 'function') return member
      return async (...args: unknown[]) => {
        const result: unknown = await Reflect.apply(member, target, args)
        if (name === 'open' && args[0] === path && !isDone) {
          isDone = true
          await interrupt()
        }
        return result
      }
    },
  })
}

test('a scavenge between two openings is seen: the snapshot has no chunk of before beside one of after', async () => {
  const disk = new MemoryDisk()
  const store = await EventStore.openOn(disk, DIRECTORY, { chunkSizeBytes: 4096 })
  for (let i = 0; i < 200; i++) await store.append(i % 2 === 0 ? 'kept' : 'dead', { type: 'T', data: { i } })
  await store.delete('dead')
  const between = interrupted(disk, `${DIRECTORY}/000001.chunk`, () => store.scavenge())
  const snapshot = await openSnapshot(between, DIRECTORY)
  const { chunks } = snapshot.log
  expect(chunks.all.length).toBeGreaterThan(3)
  expect(chunks.all.filter(chunk => chunk.isComplete).map(({ header }) => header.generation)).not.toContain(0)
  await closeSnapshot(snapshot)
  await store.close()
})
