/**
 * What does a reader cost that stops, at full append load? `npm run bench:stopped-reader -- --help`.
 *
 * Some readers follow at the tail all the time. For a while the one in question reads, too; then it stands still; then it reads
 * again until it has caught up. What is compared is before and during: memory, and how soon the others get their events.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { EventStore } from 'tailrace'
import { AppendLoad } from './support/append-load.ts'
import { BatchReader, DeliveryRecorder, type DeliverySummary } from './support/delivery.ts'
import { COMMON_HELP, type FollowerOptions, runFollowerBench } from './support/follower-bench.ts'
import { figure, layOut } from './support/table.ts'

const MIB = 1024 * 1024
const SAMPLE_MS = 100

const HELP = `Usage: npm run bench:stopped-reader -- [options]

One reader stands still at full append load: shows memory, and how soon the other readers get their events, before
and meanwhile, and how it catches up.

  --seconds S        how long it stands still (60); before that, the same load is measured for a quarter of it
  --subscribers N    readers that go on reading (4)
${COMMON_HELP}`

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

interface Memory {
  readonly rss: number
  readonly heap: number
  readonly buffers: number
}

interface PhaseReport {
  readonly seconds: number
  readonly acksPerSecond: number
  /** From the ack to the delivery at the readers that go on. */
  readonly delivery: DeliverySummary
  /** In MiB per minute: the slope of a line through samples. */
  readonly slope: Memory
  /** In MiB, what is alive at the end, after a garbage collection. */
  readonly live: Memory
}

export interface StoppedReaderReport {
  readonly durability: string
  readonly settings: { readonly inFlight: number; readonly payloadBytes: number; readonly readers: number }
  readonly before: PhaseReport
  readonly during: PhaseReport
  readonly catchUp: {
    readonly behindEvents: number
    readonly seconds: number
    readonly eventsPerSecond: number
    /** Everything that was acked has come, once, in order. */
    readonly isComplete: boolean
  }
  readonly othersAreComplete: boolean
}

function memory(): Memory {
  const { rss, heapUsed, arrayBuffers } = process.memoryUsage()
  return { rss: rss / MIB, heap: heapUsed / MIB, buffers: arrayBuffers / MIB }
}

/** Samples while it waits. */
async function watch(seconds: number, load: AppendLoad, recorder: DeliveryRecorder): Promise<PhaseReport> {
  recorder.take()
  const startedAt = performance.now()
  const ackedBefore = load.acked
  const samples: { readonly minutes: number; readonly memory: Memory }[] = []
  while (performance.now() - startedAt < seconds * 1000) {
    await pause(Math.min(SAMPLE_MS, seconds * 100))
    samples.push({ minutes: (performance.now() - startedAt) / 60_000, memory: memory() })
  }
  const took = (performance.now() - startedAt) / 1000
  const acksPerSecond = (load.acked - ackedBefore) / took
  const delivery = recorder.take()
  const slopeOf = (of: keyof Memory) => slope(samples.map(sample => [sample.minutes, sample.memory[of]]))
  const slopes = { rss: slopeOf('rss'), heap: slopeOf('heap'), buffers: slopeOf('buffers') }
  collectGarbage()
  return { seconds: took, acksPerSecond, delivery, slope: slopes, live: memory() }
}

/** Of the line that lies closest to the points. */
function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const mean = (of: 0 | 1) => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [meanX, meanY] = [mean(0), mean(1)]
  const spread = points.reduce((sum, [x]) => sum + (x - meanX) ** 2, 0)
  return points.reduce((sum, [x, y]) => sum + (x - meanX) * (y - meanY), 0) / spread
}

async function measure(options: FollowerOptions, directory: string): Promise<StoppedReaderReport> {
  const { durability, inFlight, payloadBytes, seconds } = options
  const readers = options.subscribers[0]!
  const store = await EventStore.open(join(directory, 'store'), { durability })
  const load = new AppendLoad(store, { inFlight, payloadBytes, streamCount: 1000 })
  const recorder = new DeliveryRecorder(load)
  const others = Array.from({ length: readers }, () => new BatchReader(store.subscribe(), last => recorder.record(last)))
  const reader = new BatchReader(store.subscribe())
  load.start()
  await pause(Math.min(2000, seconds * 250))
  console.error('the reader reads ...')
  const before = await watch(seconds / 4, load, recorder)
  let goOn = () => {}
  reader.pause(
    new Promise(resolve => {
      goOn = resolve
    }),
  )
  console.error(`the reader stands still for ${seconds} s ...`)
  const during = await watch(seconds, load, recorder)
  const behindEvents = load.acked - reader.count
  const [count, startedAt] = [reader.count, performance.now()]
  console.error(`the reader is ${figure(behindEvents)} events behind ...`)
  goOn()
  // The load goes on; it ends when the reader has read what was there when it woke up.
  while (reader.count < count + behindEvents) await pause(5)
  const caughtUpSeconds = (performance.now() - startedAt) / 1000
  const eventsPerSecond = (reader.count - count) / caughtUpSeconds
  await load.stop()
  const isComplete = async (one: BatchReader) => {
    for (const deadline = performance.now() + 60_000; one.count < load.acked && performance.now() < deadline; ) await pause(5)
    return one.inOrder && one.count === load.acked
  }
  const complete = await Promise.all([reader, ...others].map(isComplete))
  await Promise.all([reader, ...others].map(one => one.end()))
  await store.close()
  return {
    durability,
    settings: { inFlight, payloadBytes, readers },
    before,
    during,
    catchUp: { behindEvents, seconds: caughtUpSeconds, eventsPerSecond, isComplete: complete[0]! },
    othersAreComplete: complete.slice(1).every(Boolean),
  }
}

function textOf({ durability, settings, before, during, catchUp, othersAreComplete }: StoppedReaderReport): string {
  const row = (name: string, { seconds, acksPerSecond, delivery, slope: slopes, live }: PhaseReport) => [
    name,
    ...[seconds, acksPerSecond, delivery.p50Us, delivery.p99Us].map(value => figure(value)),
    ...[slopes.rss, slopes.heap, slopes.buffers, live.heap, live.buffers].map(value => figure(value, 1)),
  ]
  const head = [
    'reader',
    's',
    'acks/s',
    'others p50 µs',
    'p99 µs',
    'rss MiB/min',
    'heap',
    'buffers',
    'live heap MiB',
    'buffers MiB',
  ]
  return [
    `durability ${durability} · ${settings.inFlight} in flight · ${settings.payloadBytes} B · ${settings.readers} other readers`,
    '',
    layOut(head, [row('reads', before), row('stands still', during)]),
    '',
    `It was ${figure(catchUp.behindEvents)} events behind and read them in ${figure(catchUp.seconds, 1)} s` +
      ` (${figure(catchUp.eventsPerSecond)}/s, the load going on): ${catchUp.isComplete ? 'all of them, once, in order' : 'NOT COMPLETE'}.`,
    `The others got ${othersAreComplete ? 'everything, once, in order' : 'NOT EVERYTHING'}.`,
  ].join('\n')
}

await runFollowerBench('bench:stopped-reader', HELP, { seconds: 60, subscribers: '4' }, measure, textOf)
