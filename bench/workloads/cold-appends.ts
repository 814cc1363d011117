import { EventStore } from 'tailrace'
import { randomNumbers, shortStream } from '../support/data-set.ts'
import type { Figures } from '../support/figures.ts'
import { LatencyRecorder } from '../support/histogram.ts'
import { ProcessWatch } from './process-watch.ts'

/** Two crowds of clients on one store: one on a few hot streams, one on all streams at random, whose heads can't all be kept. */
export interface ColdAppendsSpec {
  readonly directory: string
  readonly streams: number
  readonly payloadBytes: number
  readonly hotInFlight: number
  readonly coldInFlight: number
  /** Where the second crowd appends: to streams at random, or to hot ones like the first, to compare with. */
  readonly second: 'cold' | 'hot'
  readonly seconds: number
  readonly seed: number
}

const HOT_STREAMS = 1000

export async function measureColdAppends(spec: ColdAppendsSpec): Promise<Figures> {
  const watch = new ProcessWatch()
  const store = await EventStore.open(spec.directory)
  const random = randomNumbers(spec.seed)
  const hot = new Crowd(store, spec.hotInFlight, spec.payloadBytes, turn => `hot-${turn % HOT_STREAMS}`)
  const second = new Crowd(store, spec.coldInFlight, spec.payloadBytes, turn =>
    spec.second === 'cold' ? shortStream(Math.floor(random() * spec.streams)) : `hot-${turn % HOT_STREAMS}`,
  )
  const warmUntil = performance.now() + spec.seconds * 500
  await Promise.all([hot.run(warmUntil), second.run(warmUntil)])
  watch.resetDelays()
  const until = performance.now() + spec.seconds * 1000
  const [hotFigures, secondFigures] = await Promise.all([hot.run(until), second.run(until)])
  const { memoryMiB, delayMaxMs } = watch.figures()
  watch.stop()
  await store.close()
  return {
    hotPerSecond: hotFigures.perSecond,
    hotP50Us: hotFigures.p50Us,
    hotP99Us: hotFigures.p99Us,
    coldPerSecond: secondFigures.perSecond,
    coldP50Us: secondFigures.p50Us,
    coldP99Us: secondFigures.p99Us,
    memoryMiB,
    delayMaxMs,
  }
}

/** Clients that append again when their ack has come. */
class Crowd {
  readonly #store: EventStore
  readonly #inFlight: number
  readonly #data: Uint8Array
  readonly #streamOf: (turn: number) => string
  #turn = 0

  constructor(store: EventStore, inFlight: number, payloadBytes: number, streamOf: (turn: number) => string) {
    this.#store = store
    this.#inFlight = inFlight
    this.#data = new Uint8Array(payloadBytes).fill(7)
    this.#streamOf = streamOf
  }

  async run(until: number): Promise<{ perSecond: number; p50Us: number; p99Us: number }> {
    if (this.#inFlight === 0) return { perSecond: 0, p50Us: 0, p99Us: 0 }
    const latencies = new LatencyRecorder()
    const startedAt = performance.now()
    let acks = 0
    const client = async () => {
      for (let started = performance.now(); started < until; ) {
        await this.#store.append(this.#streamOf(this.#turn++), { type: 'Measured', data: this.#data })
        const acked = performance.now()
        latencies.record(acked - started)
        started = acked
        acks++
      }
    }
    await Promise.all(Array.from({ length: this.#inFlight }, client))
    const { p50Us, p99Us } = latencies.summary()
    return { perSecond: (acks / (performance.now() - startedAt)) * 1000, p50Us, p99Us }
  }
}
