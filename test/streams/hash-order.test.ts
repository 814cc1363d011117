import { expect, test } from 'vitest'
import { type Clock, systemClock } from '../../src/core/clock.ts'
import { compareNames, hashOrder } from '../../src/streams/hash-order.ts'
import { NameTable } from '../../src/streams/name-table.ts'
import { TimeSlices } from '../../src/streams/time-slices.ts'
import { Random } from '../support/random.ts'
import { COLLIDING, hashOfName } from './index-model.ts'

const SEED = process.env['SEED'] ?? '1'
const COUNT = 20_000

/** A clock that is always past the slice: whoever asks it pauses. */
function hurried(): Clock {
  let nowMs = 0
  return {
    ...systemClock,
    monotonic: () => {
      nowMs += 5
      return nowMs
    },
  }
}

class CountedSlices extends TimeSlices {
  pauseCount = 0

  override pause(): Promise<void> {
    this.pauseCount++
    return super.pause()
  }
}

function tableOf(names: readonly string[]): NameTable {
  const table = new NameTable()
  for (const name of names) {
    const bytes = Buffer.from(name)
    table.add(bytes, 0, bytes.length, hashOfName(name))
  }
  return table
}

test(`names are put in the order of their hashes, then of their bytes (SEED=${SEED})`, async () => {
  const random = new Random(`${SEED}/order`)
  const names = random.shuffle([...COLLIDING.flat(), ...Array.from({ length: COUNT }, (_, i) => `stream-${i}`)])
  const { slots, hashes } = await hashOrder(tableOf(names), new TimeSlices(hurried()))
  const expected = [...names].sort((one, other) => {
    const [a, b] = [Buffer.from(one), Buffer.from(other)]
    return (hashOfName(one) >>> 0) - (hashOfName(other) >>> 0) || compareNames(a, 0, a.length, b, 0, b.length)
  })
  expect([...slots].map(slot => names[slot])).toEqual(expected)
  expect([...hashes]).toEqual(expected.map(hashOfName))
})

test('the event loop goes round in each of the loops over all names', async () => {
  const slices = new CountedSlices(hurried())
  await hashOrder(tableOf(Array.from({ length: COUNT }, (_, i) => `stream-${i}`)), slices)
  // Hashes taken; three digits counted, and moved; equal hashes looked for: eight times, three steps each, but for two of the last.
  expect(slices.pauseCount).toBeGreaterThanOrEqual(7 * 3)
})
