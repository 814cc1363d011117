import { EventStore } from 'tailrace'
import { randomNumbers } from '../support/data-set.ts'
import type { Figures, Tell } from '../support/figures.ts'
import { LatencyRecorder } from '../support/histogram.ts'
import { NumberedEvents } from './numbered-events.ts'
import { ProcessWatch } from './process-watch.ts'

/** A log of which nine tenths are dead is scavenged while others append and read. */
export interface ScavengingSpec {
  readonly directory: string
  readonly streams: number
  readonly eventsPerStream: number
  readonly payloadBytes: number
  /** Of the events of each stream: what its metadata keeps. */
  readonly keptShare: number
  readonly appendsInFlight: number
  readonly readers: number
  /** Under the same load, before the scavenge. */
  readonly secondsBefore: number
  readonly seed: number
}

const LOAD_IN_FLIGHT = 2048

export async function measureScavenging(spec: ScavengingSpec, tell: Tell): Promise<Figures> {
  const events = new NumberedEvents(spec.payloadBytes)
  const store = await EventStore.open(spec.directory)
  await fill(store, spec, events)
  const kept = Math.max(1, Math.round(spec.eventsPerStream * spec.keptShare))
  await Promise.all(Array.from({ length: spec.streams }, (_, index) => store.setMetadata(nameOf(index), { maxCount: kept })))
  tell({
    progress: `filled: ${spec.streams * spec.eventsPerStream} events, of which ${Math.round((1 - spec.keptShare) * 100)}% are dead`,
  })
  const bytesBefore = store.lastPosition

  const watch = new ProcessWatch()
  const load = new Load(store, spec, events)
  await load.over(spec.secondsBefore / 2)
  watch.resetDelays()
  const before = await load.over(spec.secondsBefore)
  const delaysBefore = watch.figures()
  watch.resetDelays()

  const startedAt = performance.now()
  const scavenged = store.scavenge({
    onProgress: ({ chunk, chunks }) => tell({ progress: `scavenged ${chunk} of ${chunks} chunks` }),
  })
  const [result, during] = await Promise.all([scavenged, load.until(scavenged)])
  const seconds = (performance.now() - startedAt) / 1000
  const delaysDuring = watch.figures()
  watch.stop()
  await check(store, spec, events, kept)
  await load.check()
  await store.close()
  const reopened = await EventStore.open(spec.directory)
  await check(reopened, spec, events, kept)
  await reopened.close()
  return {
    seconds,
    bytesBefore,
    bytesFreed: result.bytesFreed,
    eventsDropped: result.eventsDropped,
    chunks: result.chunksReplaced,
    ...prefixed('before', { ...before, delayP99Ms: delaysBefore.delayP99Ms, delayMaxMs: delaysBefore.delayMaxMs }),
    ...prefixed('during', { ...during, delayP99Ms: delaysDuring.delayP99Ms, delayMaxMs: delaysDuring.delayMaxMs }),
  }
}

async function fill(store: EventStore, { streams, eventsPerStream }: ScavengingSpec, events: NumberedEvents): Promise<void> {
  const total = streams * eventsPerStream
  let next = 0
  const client = async () => {
    while (next < total) {
      const number = next++
      const stream = number % streams
      await store.append(nameOf(stream), events.event(stream, Math.floor(number / streams)))
    }
  }
  await Promise.all(Array.from({ length: Math.min(LOAD_IN_FLIGHT, streams) }, client))
}

/** Clients that append to streams of their own, and readers of the streams that are scavenged. */
class Load {
  readonly #store: EventStore
  readonly #spec: ScavengingSpec
  readonly #events: NumberedEvents
  readonly #random: () => number
  /** Acked of each client's stream. */
  readonly #acked: number[]

  constructor(store: EventStore, spec: ScavengingSpec, events: NumberedEvents) {
    this.#store = store
    this.#spec = spec
    this.#events = events
    this.#random = randomNumbers(spec.seed)
    this.#acked = new Array<number>(spec.appendsInFlight).fill(0)
  }

  over(seconds: number): Promise<Figures> {
    return this.until(new Promise(resolve => setTimeout(resolve, seconds * 1000)))
  }

  async until(end: Promise<unknown>): Promise<Figures> {
    let isOver = false
    const stop = () => {
      isOver = true
    }
    end.then(stop, stop)
    const latencies = new LatencyRecorder()
    const startedAt = performance.now()
    let reads = 0
    const appender = async (client: number) => {
      while (!isOver) {
        const started = performance.now()
        const stream = this.#spec.streams + client
        await this.#store.append(nameOf(stream), this.#events.event(stream, this.#acked[client]!))
        this.#acked[client]!++
        latencies.record(performance.now() - started)
      }
    }
    const reader = async () => {
      while (!isOver) {
        const stream = Math.floor(this.#random() * this.#spec.streams)
        for await (const batch of this.#store.readStream(nameOf(stream)).batches()) {
          for (const event of batch) this.#events.check(stream, event.revision, event.bytes)
        }
        reads++
      }
    }
    await Promise.all([
      ...this.#acked.map((_, client) => appender(client)),
      ...Array.from({ length: this.#spec.readers }, () => reader()),
    ])
    const seconds = (performance.now() - startedAt) / 1000
    const { p50Us, p99Us, maxUs, samples } = latencies.summary()
    return {
      appendP50Us: p50Us,
      appendP99Us: p99Us,
      appendMaxUs: maxUs,
      appendsPerSecond: samples / seconds,
      readsPerSecond: reads / seconds,
    }
  }

  /** Everything that was acked is there. */
  async check(): Promise<void> {
    for (const [client, acked] of this.#acked.entries()) {
      await checkStream(this.#store, this.#events, this.#spec.streams + client, 0, acked)
    }
  }
}

/** Every stream has its last events, whole and in order, and no others. */
async function check(store: EventStore, spec: ScavengingSpec, events: NumberedEvents, kept: number): Promise<void> {
  for (let stream = 0; stream < spec.streams; stream++) {
    await checkStream(store, events, stream, spec.eventsPerStream - kept, spec.eventsPerStream)
  }
}

async function checkStream(store: EventStore, events: NumberedEvents, stream: number, from: number, to: number): Promise<void> {
  let revision = from
  for await (const batch of store.readStream(nameOf(stream)).batches()) {
    for (const event of batch) {
      if (event.revision !== revision)
        throw new Error(`${nameOf(stream)}: revision ${event.revision} where ${revision} should be`)
      events.check(stream, revision++, event.bytes)
    }
  }
  if (revision !== to) throw new Error(`${nameOf(stream)} ends at revision ${revision - 1}, it should at ${to - 1}`)
}

function nameOf(stream: number): string {
  return `stream-${stream}`
}

function prefixed(prefix: string, figures: Figures): Figures {
  return Object.fromEntries(Object.entries(figures).map(([name, value]) => [`${prefix}.${name}`, value]))
}
