import { describe, expect, test } from 'vitest'
import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { EventFilter } from '../../src/streams/event-filter.ts'
import { all, sized, upTo, withStore } from '../store/words.ts'
import { Random } from '../support/random.ts'

const SEED = process.env['TAILRACE_SEED'] ?? 'hand-over'
const READER_COUNT = 1000
const APPEND_COUNT = 3000
const STREAM_COUNT = 7

interface Reading {
  readonly what: string
  readonly seen: number[]
  readonly isMeant: (event: RecordedEvent) => boolean
  readonly done: Promise<void>
}

/** Lets others run, as somebody does who has work with each event. */
async function idle(random: Random, isSlow: boolean): Promise<void> {
  if (isSlow ? random.chance(0.3) : random.chance(0.01)) await new Promise(resolve => setImmediate(resolve))
}

/** Starts a reader at a place of its own; it reads until it has seen the event that stands last in its stream. */
function startReader(store: EventStore, random: Random, known: readonly RecordedEvent[]): Reading {
  const seen: number[] = []
  const isSlow = random.chance(0.5)
  const isWanted = (event: RecordedEvent, from: number) => event.position >= from
  const pickFrom = (): number => {
    const event = known.length === 0 ? null : random.pick(known)
    return event === null ? 0 : event.position + random.pick([0, 0, 1, 13])
  }
  const kind = random.pick(['all', 'all', 'prefix', 'stream', 'end'] as const)
  const stream = `s-${random.int(STREAM_COUNT)}`
  let isMeant: (event: RecordedEvent) => boolean
  let subscription: ReturnType<EventStore['subscribe']>
  let what: string = kind
  if (kind === 'stream') {
    const from = random.int(2 + known.filter(event => event.stream === stream).length)
    subscription = store.subscribe({ stream, from })
    isMeant = event => event.stream === stream && event.revision >= from
    what += ` ${stream} from ${from}`
  } else if (kind === 'end') {
    const end = store.lastPosition
    subscription = store.subscribe({ from: 'end' })
    isMeant = event => event.position > end
    what += ` ${end}`
  } else {
    const from = pickFrom()
    const filter: EventFilter | undefined = kind === 'prefix' ? { streams: [stream], streamPrefix: 's-1' } : undefined
    subscription = store.subscribe({ from, filter })
    isMeant = event =>
      isWanted(event, from) && (filter === undefined || event.stream === stream || event.stream.startsWith('s-1'))
    what += ` from ${from}`
  }
  const read = async () => {
    if (random.chance(0.3)) {
      for await (const batch of subscription.batches()) {
        seen.push(...batch.map(event => event.position))
        await idle(random, isSlow)
      }
    } else {
      for await (const event of subscription) {
        seen.push(event.position)
        await idle(random, isSlow)
      }
    }
  }
  const closing = read()
  return { what, seen, isMeant, done: closing }
}

describe(`the hand-over from old events to new ones (seed ${SEED})`, () => {
  test('of 1,000 readers from anywhere, fast and slow, under load and over roll-overs: no gap, no event twice, in order', async () => {
    const random = new Random(SEED)
    await withStore({ chunkSizeBytes: 16_384 }, async store => {
      const readings: Reading[] = []
      let known: RecordedEvent[] = []
      const appending: Promise<unknown>[] = []
      for (let turn = 0; turn < APPEND_COUNT; turn++) {
        const stream = `s-${random.int(STREAM_COUNT)}`
        const count = random.chance(0.1) ? 1 + random.int(5) : 1
        appending.push(
          store.append(
            stream,
            upTo(count).map(() => sized(random.int(300))),
          ),
        )
        if (turn % 3 === 0) readings.push(startReader(store, random.fork(turn), known))
        if (random.chance(0.2)) await new Promise(resolve => setImmediate(resolve))
        if (turn % 500 === 499) known = await all(store.readAll())
      }
      await Promise.all(appending)
      expect(readings).toHaveLength(READER_COUNT)
      const log = await all(store.readAll())
      expect(store.lastPosition).toBeGreaterThan(20 * 16_384)
      const expected = readings.map(({ isMeant }) => log.filter(isMeant).map(event => event.position as number))
      const isBehind = () => readings.some(({ seen }, index) => seen.length < expected[index]!.length)
      for (let turn = 0; turn < 50_000 && isBehind(); turn++) await new Promise(resolve => setImmediate(resolve))
      for (const [index, { what, seen }] of readings.entries()) expect(seen, `${index}: ${what}`).toEqual(expected[index])
      await store.close()
      await Promise.all(readings.map(({ done }) => done))
    })
  }, 60_000)
})
