import { expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { all, openStore, revisions, upTo } from '../store/words.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const event = (data: unknown = 'x', id?: string) => ({ type: 'T', data: data as string, id })

async function turns(count: number): Promise<void> {
  for (const _ of upTo(count)) await new Promise(resolve => setImmediate(resolve))
}

test('a scavenge in a burst of appends leaves alone what was not published yet: every event is found, also after a restart', async () => {
  const disk = new MemoryDisk()
  const store = await openStore(disk, { chunkSizeBytes: 65_536 })
  const before = upTo(3000).map(number => store.append('s', event(number)))
  const scavenge = store.scavenge()
  const beside = upTo(9000).map(number => store.append('s', event(3000 + number)))
  await Promise.all([...before, ...beside, scavenge])
  expect(await revisions(store.readStream('s'))).toEqual(upTo(12_000))
  await store.close()
  const again = await openStore(disk, { chunkSizeBytes: 65_536 })
  expect(await revisions(again.readStream('s'))).toEqual(upTo(12_000))
  await again.close()
})

test('a request to erase that a scavenge could not see yet is met by the next one', async () => {
  const disk = new SimulatedDisk()
  const options = { chunkSizeBytes: 256 * 1024, cacheBytes: 0 }
  const first = await openStore(disk, options)
  await first.append('victim', event('PERSONAL'))
  await first.append('other', event())
  await first.erase('other', 0)
  await first.close()
  const store = await openStore(disk, options)
  const index = disk.hold('rename', { path: '.index' })
  const scavenge = store.scavenge()
  await index.reached
  // One flush is under way; the next group has many appends, and behind them the request.
  const flush = disk.hold('writeDurably', { path: '.chunk' })
  const appends: Promise<unknown>[] = [store.append('busy', event(0))]
  await flush.reached
  appends.push(...upTo(1500).map(number => store.append('busy', event(number))), store.erase('victim', 0))
  await turns(20)
  const nextFlush = disk.hold('writeDurably', { path: '.chunk' })
  flush.release()
  await nextFlush.reached
  // The scavenge reads which requests there are; meanwhile all is published, and the chunk completed.
  const requests = disk.hold('read', { path: '000000.chunk' })
  nextFlush.release()
  index.release()
  await requests.reached
  await Promise.all(appends)
  for (const _ of upTo(40)) await store.append('busy', { type: 'T', data: Buffer.alloc(8000) })
  requests.release()
  await scavenge
  await store.scavenge()
  expect(await all(store.readStream('victim'))).toEqual([])
  await store.close()
})

test('an id that is looked up while its event is scavenged is free', async () => {
  const disk = new SimulatedDisk()
  const options = { chunkSizeBytes: 4096, cacheBytes: 0 }
  const id = '00000000-0000-4000-8000-000000000001'
  const first = await openStore(disk, options)
  await first.append('a', event('x', id))
  await first.append('b', event())
  await first.close()
  const store = await openStore(disk, options)
  await store.delete('a')
  const lookup = disk.hold('read', { path: '000000.chunk' })
  const retry = store.append('a', event('x', id))
  await lookup.reached
  await store.scavenge()
  lookup.release()
  expect(await retry).toMatchObject({ firstRevision: 1, duplicate: false })
  expect(await store.append('a', event('x', id))).toMatchObject({ firstRevision: 1, duplicate: true })
  await store.close()
})

test('events that were erased amid a stream hide none of those behind them, wherever a read begins', async () => {
  const store = await openStore(new MemoryDisk(), { chunkSizeBytes: 16_384 })
  const append = (count: number) => Promise.all(upTo(count).map(() => store.append('s', event())))
  await append(400)
  const erased = new Set(upTo(60).map(index => 150 + 3 * index))
  for (const revision of erased) await store.erase('s', revision)
  await store.scavenge()
  await append(500)
  const kept = upTo(900).filter(revision => !erased.has(revision))
  for (const from of [0, 100, 160, 200, 250, 300, 390, 500, 700, 880]) {
    for (const maxCount of [50, 200, 350, 600, 1200]) {
      const forwards = kept.filter(revision => revision >= from)
      const backwards = kept.filter(revision => revision <= from).reverse()
      expect(await revisions(store.readStream('s', { from, maxCount }))).toEqual(forwards.slice(0, maxCount))
      expect(await revisions(store.readStream('s', { from, maxCount, direction: 'backwards' }))).toEqual(
        backwards.slice(0, maxCount),
      )
    }
  }
  await store.close()
})
