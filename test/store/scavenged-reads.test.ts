import { expect, test } from 'vitest'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { settle } from '../support/manual-clock.ts'
import { eventsOf } from '../support/readings.ts'
import { copyOf, DIRECTORY, openStore } from '../support/store-content.ts'
import { all } from './words.ts'

const options = { chunkSizeBytes: 16_384 }
const event = (type: string) => ({ type, data: Buffer.alloc(300, type) })

/** Two streams, of which one keeps only its last events; scavenged. */
async function scavenged(disk: MemoryDisk) {
  const store = await openStore(disk, options)
  for (let turn = 0; turn < 120; turn++) await store.append(turn % 2 === 0 ? 'orders' : 'payments', event(String(turn)))
  await store.setMetadata('orders', { maxCount: 2 })
  await store.scavenge()
  await store.append('payments', event('after'))
  await settle()
  return store
}

test('what a scavenge has dropped is not read from memory either', async () => {
  const store = await scavenged(new MemoryDisk())
  const left = (await eventsOf(store)).filter(({ stream }) => stream === 'orders')
  expect(left.map(({ revision }) => revision)).toEqual([58, 59])
  await store.close()
})

test('time does not go back behind a chunk of which nothing is left but what stubs remember', async () => {
  const disk = new MemoryDisk()
  let nowMs = Date.UTC(2024, 0, 1)
  const clock: Clock = { ...systemClock, now: () => nowMs }
  const store = await openStore(disk, { ...options, clock })
  await store.setMetadata('short', { maxAge: 1 })
  for (const type of ['first', 'second']) {
    await store.append('kept', event(type))
    await store.scavenge()
  }
  await store.append('short', event('old'))
  nowMs += 10_000
  await store.scavenge()
  await store.close()
  nowMs -= 20_000
  const again = await openStore(disk, { ...options, clock })
  await again.append('kept', event('third'))
  const kept = (await eventsOf(again)).filter(({ stream }) => stream === 'kept')
  expect(kept.map(({ created }) => created.getTime())).toEqual(kept.map(() => nowMs + 10_000))
  await again.close()
})

test('an index file that is damaged behind a scavenge hides no event', async () => {
  const disk = new MemoryDisk()
  await (await scavenged(disk)).close()
  const content = disk.snapshot()
  const names = [...content.keys()].filter(path => path.endsWith('.index'))
  expect(names.length).toBeGreaterThan(0)
  for (const path of names) {
    for (let at = 100; at < content.get(path)!.length; at += 4096) {
      const damaged = copyOf(content)
      damaged.get(path)![at]! ^= 1
      const store = await openStore(damaged, options)
      for (const direction of ['forwards', 'backwards'] as const) {
        const revisions: number[] = []
        for await (const { revision } of store.readStream('orders', { direction })) revisions.push(revision)
        expect(revisions, `${path.slice(DIRECTORY.length)} at ${at}, ${direction}`).toEqual(
          direction === 'forwards' ? [58, 59] : [59, 58],
        )
      }
    }
  }
})

test('backwards from the start gives the first event, also when others were scavenged before it, and when it is not shown', async () => {
  const store = await openStore(new MemoryDisk(), options)
  for (let turn = 0; turn < 120; turn++) await store.append(turn % 2 === 0 ? 'orders' : 'payments', event(String(turn)))
  const backwards = { from: 'start', direction: 'backwards' } as const
  const typesOf = async (reading: AsyncIterable<{ readonly type: string }>) => (await all(reading)).map(({ type }) => type)
  const fromStart = async () => [
    await typesOf(store.readAll(backwards)),
    await typesOf(store.readAll({ ...backwards, maxCount: 0 })),
    await typesOf(store.readAll({ ...backwards, filter: { streams: ['payments'] } })),
    await typesOf(store.readStream('orders', backwards)),
    await typesOf(store.readStream('payments', backwards)),
  ]
  expect(await fromStart()).toEqual([['0'], [], ['1'], ['0'], ['1']])
  await store.setMetadata('orders', { maxCount: 2 })
  await store.erase('payments', 0)
  await store.scavenge()
  expect(await fromStart()).toEqual([['3'], [], ['3'], ['116'], ['3']])
  await store.close()
})
