import { expect, test } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { KEPT_ID_COUNT } from '../../src/streams/index-part.ts'
import { event } from '../behaviours/words.ts'
import { openStore, upTo } from '../store/words.ts'

const BATCH_COUNT = 4096

test(`a retry with 'any' is known among exactly the last ${KEPT_ID_COUNT} ids, before and after a restart, also of ids in index files`, async () => {
  const disk = new MemoryDisk()
  const options = { chunkSizeBytes: 4 * MIB }
  const first = await openStore(disk, options)
  await first.append('s', event(0))
  for (let n = 1; n <= KEPT_ID_COUNT; n += BATCH_COUNT)
    await first.append(
      's',
      upTo(BATCH_COUNT).map(i => event(n + i)),
    )
  const isKnown = async (store: typeof first, n: number) => (await store.append('s', event(n))).duplicate
  expect(await isKnown(first, KEPT_ID_COUNT)).toBe(true)
  expect(await isKnown(first, 1)).toBe(true)
  // The oldest has left; that it was appended again makes the next one leave.
  expect(await isKnown(first, 0)).toBe(false)
  expect(await isKnown(first, 2)).toBe(true)
  await first.close()
  const second = await openStore(disk, options)
  expect(await isKnown(second, 0)).toBe(true)
  expect(await isKnown(second, 2)).toBe(true)
  expect(await isKnown(second, 1)).toBe(false)
  expect(await isKnown(second, 2)).toBe(false)
  await second.close()
}, 300_000)
