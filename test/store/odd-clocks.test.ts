import { expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { ManualClock } from '../support/manual-clock.ts'
import { all, openStore, order } from './words.ts'

class OddClock extends ManualClock {
  nowMs = 1_700_000_000_000
  override now(): number {
    return this.nowMs
  }
}

test.each([
  Number.NaN,
  Number.POSITIVE_INFINITY,
  2 ** 50,
  -1,
])('a clock that once says %d takes no event back in time, nor those behind it', async odd => {
  const clock = new OddClock()
  const store = await openStore(new MemoryDisk(), { clock })
  for (const nowMs of [1_700_000_000_000, odd, 1_800_000_000_000]) {
    clock.nowMs = nowMs
    await store.append('s', order(0))
  }
  const times = (await all(store.readStream('s'))).map(({ created }) => created.getTime())
  expect(times).toEqual([1_700_000_000_000, 1_700_000_000_000, 1_800_000_000_000])
  await store.close()
})
