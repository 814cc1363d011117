import { describe, expect, test } from 'vitest'
import type { EventStore } from '../../src/store/event-store.ts'
import type { EventFilter } from '../../src/streams/event-filter.ts'
import type { SubscribeOptions } from '../../src/subscriptions/subscribe.ts'
import { upTo, withStore } from '../store/words.ts'
import { settle } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { LogModel, type Seen, type Written } from './hand-over-model.ts'

const SEED = process.env['TAILRACE_SEED'] ?? 'hand-over'
const READER_COUNT = 1000
const APPEND_COUNT = 3000
const STREAM_COUNT = 7
const CHUNK_SIZE = 16_384
/** What is given up of each stream; of the others everything stays. */
const [TRUNCATED, DELETED, ERASED, SHORT, TOMBSTONED] = ['s-1', 's-2', 's-3', 's-5', 's-6'] as const
const SHORT_COUNT = 40

interface Reading {
  readonly what: string
  readonly seen: Seen
  readonly isMeant: (event: Written) => boolean
  readonly done: Promise<void>
  failure: unknown
}

/** Starts a reader at a place of its own: fast, slow, or one that stands still until `later`. */
function startReader(
  store: EventStore,
  model: LogModel,
  random: Random,
  known: readonly number[],
  later: Promise<void>,
): Reading {
  const { what, options, isMeant } = pickReader(store, model, random, known)
  const pace = random.pick(['fast', 'slow', 'stopped'] as const)
  const subscription = store.subscribe(options)
  const seen: Seen = { positions: [], moments: [] }
  const idle = async () => {
    if (random.chance(pace === 'slow' ? 0.3 : 0.01)) await settle(1)
  }
  const read = async () => {
    if (pace === 'stopped') {
      const { value } = await subscription.next()
      if (value !== undefined) model.see(seen, value)
      await later
    }
    if (random.chance(0.3)) {
      for await (const batch of subscription.batches()) {
        for (const event of batch) model.see(seen, event)
        await idle()
      }
    } else {
      for await (const event of subscription) {
        model.see(seen, event)
        await idle()
      }
    }
  }
  const done = read().catch((error: unknown) => {
    reading.failure = error
  })
  const reading: Reading = { what: `${pace} ${what}`, seen, isMeant, done, failure: null }
  return reading
}

function pickReader(store: EventStore, model: LogModel, random: Random, known: readonly number[]) {
  const kind = random.pick(['all', 'filter', 'types', 'stream', 'end', 'system'] as const)
  const stream = `s-${random.int(STREAM_COUNT - 1)}`
  const place = known.length === 0 ? 0 : random.pick(known) + random.pick([0, 0, 1, 13])
  const isBehind = (event: Written) => event.position! >= place
  let options: SubscribeOptions
  let isMeant: (event: Written) => boolean
  if (kind === 'stream') {
    const from = random.int(2 + model.eventsOf(stream).length)
    options = { stream, from }
    isMeant = event => event.stream === stream && event.revision >= from
  } else if (kind === 'end') {
    const end = store.lastPosition
    options = { from: 'end' }
    isMeant = event => event.position! > end
  } else if (kind === 'filter') {
    const filter: EventFilter = { streams: [stream], streamPrefix: 's-1' }
    options = { from: place, filter }
    isMeant = event => isBehind(event) && (event.stream === stream || event.stream.startsWith('s-1'))
  } else if (kind === 'types') {
    options = { from: place, filter: { types: [typeOf(0)], streamPrefix: 's-' } }
    isMeant = event => isBehind(event) && typeOf(event.revision) === typeOf(0)
  } else {
    options = { from: place, includeSystem: kind === 'system' }
    isMeant = isBehind
  }
  return { what: `${kind} ${JSON.stringify(options)}`, options, isMeant }
}

/** Gives up some events, in all the ways there are, and scavenges. */
async function giveUp(store: EventStore, model: LogModel, random: Random, isForGood: boolean): Promise<number> {
  const truncated = model.eventsOf(TRUNCATED)
  const truncateBefore = random.int(truncated.length + 1)
  model.die(truncated.slice(0, truncateBefore), model.now())
  const truncating = store.setMetadata(TRUNCATED, { truncateBefore })
  const erased = random.pick(
    model.eventsOf(ERASED).filter(({ position, diedAt }) => position !== null && diedAt === Number.POSITIVE_INFINITY),
  )
  model.die([erased], model.now())
  await Promise.all([truncating, store.erase(ERASED, erased.revision)])
  const moment = model.now()
  await store.delete(DELETED)
  // It holds for appends that came while it was under way, too.
  const { truncateBefore: deletedBefore } = await store.metadata(DELETED)
  model.die(model.eventsOf(DELETED).slice(0, deletedBefore), moment)
  if (isForGood) {
    model.die(model.eventsOf(TOMBSTONED), model.now())
    await store.tombstone(TOMBSTONED)
  }
  return (await store.scavenge()).chunksReplaced
}

const typeOf = (revision: number): string => `Third${revision % 3}`

async function append(store: EventStore, model: LogModel, stream: string, sizes: readonly number[]): Promise<number> {
  const first = model.eventsOf(stream).length
  const acked = model.append(stream, sizes.length)
  if (stream === SHORT) model.die(model.eventsOf(stream).slice(0, -SHORT_COUNT), model.now())
  const { position } = await store.append(
    stream,
    sizes.map((size, index) => ({ type: typeOf(first + index), data: new Uint8Array(size) })),
  )
  acked(position)
  return position
}

describe(`the hand-over from old events to new ones (seed ${SEED})`, () => {
  test('of 1,000 readers from anywhere, under load, over roll-overs and scavenges: no gap, no event twice, in order', async () => {
    const random = new Random(SEED)
    const model = new LogModel()
    await withStore({ chunkSizeBytes: CHUNK_SIZE }, async store => {
      const readings: Reading[] = []
      const known: number[] = []
      const appending: Promise<unknown>[] = []
      let wakeTheStopped = () => {}
      const later = new Promise<void>(resolve => {
        wakeTheStopped = resolve
      })
      await store.setMetadata(SHORT, { maxCount: SHORT_COUNT })
      let replaced = 0
      let replacedUnderLoad = 0
      let scavenging: Promise<unknown> = Promise.resolve()
      for (const turn of upTo(APPEND_COUNT)) {
        const streamCount = turn < APPEND_COUNT / 2 ? STREAM_COUNT : STREAM_COUNT - 1
        const count = random.chance(0.1) ? 1 + random.int(5) : 1
        const sizes = upTo(count).map(() => random.int(300))
        appending.push(append(store, model, `s-${random.int(streamCount)}`, sizes).then(position => known.push(position)))
        if (turn % 3 === 0) readings.push(startReader(store, model, random.fork(turn), known, later))
        if (random.chance(0.2)) await settle(1)
        if (turn % 300 === 299) {
          await Promise.race([scavenging, settle(50)])
          const dice = random.fork(`scavenge ${turn}`)
          scavenging = scavenging.then(async () => {
            replaced += await giveUp(store, model, dice, turn === 2099)
          })
        }
        if (turn === 2500) wakeTheStopped()
      }
      replacedUnderLoad = replaced
      await Promise.all(appending)
      await scavenging
      // Nobody gives these up: whoever has the last one that is meant for him has everything.
      for (const stream of upTo(STREAM_COUNT - 1)) await append(store, model, `s-${stream}`, [0])

      const log = model.log()
      const meant = readings.map(({ isMeant }) => log.filter(isMeant))
      const isBehind = ({ seen, failure }: Reading, index: number) => {
        const last = meant[index]!.at(-1)?.position
        return failure === null && last !== undefined && !((seen.positions.at(-1) ?? 0) >= last!)
      }
      for (let turn = 0; turn < 10_000 && readings.some(isBehind); turn++) await settle(1)
      let gone = 0
      let got = 0
      for (const [index, { what, seen, failure }] of readings.entries()) {
        expect(failure, what).toBeNull()
        gone += model.check(`${index}: ${what}`, withoutSystem(seen, log), meant[index]!)
        got += seen.positions.length
      }
      console.log(
        `hand-over: ${readings.length} readers of ${log.length} events got ${got}, passed over ${gone} that were gone, ` +
          `${replaced} chunks were scavenged, ${replacedUnderLoad} of them under load, seed ${SEED}`,
      )
      expect(readings).toHaveLength(READER_COUNT)
      expect(store.lastPosition).toBeGreaterThan(20 * CHUNK_SIZE)
      expect(replacedUnderLoad).toBeGreaterThan(20)
      expect(gone).toBeGreaterThan(1000)
      await store.close()
      await Promise.all(readings.map(({ done }) => done))
    })
  }, 240_000)
})

/** Events of the store's own streams are not in the model; those that a reader got must come in order, too. */
function withoutSystem({ positions, moments }: Seen, log: readonly Written[]): Seen {
  const isOrdered = positions.every((position, index) => index === 0 || position > positions[index - 1]!)
  expect(isOrdered).toBe(true)
  const ours = new Set(log.map(({ position }) => position!))
  const isOurs = (_: unknown, index: number) => ours.has(positions[index]!)
  return { positions: positions.filter(isOurs), moments: moments.filter(isOurs) }
}
