import { expect, test } from 'vitest'
import { systemClock } from '../../src/core/clock.ts'
import { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { indexRange } from '../../src/streams/index-range.ts'
import { TimeSlices } from '../../src/streams/time-slices.ts'
import { rooms } from '../log/scenes.ts'
import { orders } from '../store/words.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { hashOfName } from './index-model.ts'

const SEED = 'index range'

test(`a range of the log is indexed as it was acknowledged, part by part (seed ${SEED})`, async () => {
  const random = new Random(SEED)
  const store = await rooms(new MemoryDisk(), { chunkSizeBytes: 4096, clock: stillClock })
  const positions = new Map<string, number[]>()
  let supplied = 0
  for (let turn = 0; turn < 300; turn++) {
    const stream = `stream-${random.int(5)}`
    const events = orders(1 + random.int(3)).map(event => {
      if (random.chance(0.5)) return event
      supplied++
      return { ...event, id: `00000000-0000-4000-8000-${String(supplied).padStart(12, '0')}` }
    })
    const known = positions.get(stream) ?? []
    positions.set(stream, known)
    const { position } = await store.append(stream, events)
    for (let i = 0; i < events.length; i++) known.push(i === events.length - 1 ? position : Number.NaN)
  }
  const end = store.chaser.published.position
  expect(end).toBeGreaterThan(6 * 4096)
  const middle = LogPosition.of(4 * 4096)
  let progress = 0
  const slices = new TimeSlices(systemClock)
  const parts = [
    await indexRange(store.reader, LogPosition.start, middle, slices, count => {
      progress += count
    }),
    await indexRange(store.reader, middle, end, slices),
  ]
  expect(progress).toBe(parts[0]!.eventCount)
  expect(parts[1]!.end).toBe(end)
  expect(parts[0]!.suppliedIdCount + parts[1]!.suppliedIdCount).toBe(supplied)
  for (const [stream, expected] of positions) {
    const found = parts.flatMap(part => {
      const run = part.find(Buffer.from(stream), hashOfName(stream))
      return run === null ? [] : [...part.events(run, 0, run.eventCount).positions]
    })
    expect(found.length).toBe(expected.length)
    // An ack names the last event of its append.
    for (const [i, position] of expected.entries()) if (!Number.isNaN(position)) expect(found[i]).toBe(position)
  }
  await store.close()
})

test('the event loop goes round while a batch of many records is indexed', async () => {
  const store = await rooms(new MemoryDisk())
  for (let turn = 0; turn < 4; turn++) await store.append('s', orders(500))
  let pauseCount = 0
  const slices = new (class extends TimeSlices {
    override get isOver(): boolean {
      return true
    }
    override async pause(): Promise<void> {
      pauseCount++
    }
  })(systemClock)
  const part = await indexRange(store.reader, LogPosition.start, store.chaser.published.position, slices)
  expect(part.eventCount).toBe(2000)
  expect(pauseCount).toBeGreaterThanOrEqual(2000 / 256)
  await store.close()
})
