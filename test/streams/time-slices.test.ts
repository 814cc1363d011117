import { expect, test } from 'vitest'
import { TimeSlices } from '../../src/streams/time-slices.ts'
import { ManualClock } from '../support/manual-clock.ts'

/** Long work, one pause after a turn in which the others took so long, and how long its next slice lasts. */
async function sliceBehind(turnMs: number): Promise<number> {
  const clock = new ManualClock()
  const slices = new TimeSlices(clock)
  setImmediate(() => clock.advance(turnMs))
  await slices.pause()
  let ms = 0
  for (; !slices.isOver; ms += 0.5) clock.advance(0.5)
  return ms
}

test('the first slice of long work takes a millisecond', () => {
  const clock = new ManualClock()
  const slices = new TimeSlices(clock)
  clock.advance(0.9)
  expect(slices.isOver).toBe(false)
  clock.advance(0.2)
  expect(slices.isOver).toBe(true)
})

test.each([
  ['of nothing, the slice takes a millisecond: who comes meanwhile waits no longer', 0, 1],
  ['of 1 ms, too', 1, 1],
  ['of 5 ms, the slice is half as long: the work must get on', 5, 2.5],
  ['of 100 ms, it is 4 ms long and no longer', 100, 4],
])('behind a turn %s', async (_, turnMs, sliceMs) => {
  expect(await sliceBehind(turnMs)).toBe(sliceMs)
})
