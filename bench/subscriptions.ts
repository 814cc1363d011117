/**
 * How soon after its ack is an event delivered to a subscriber in the same process, and how many are delivered to many subscribers
 * at once? `npm run bench:subscriptions -- --help`.
 */
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { EventStore } from 'tailrace'
import { AppendLoad } from './support/append-load.ts'
import { BatchReader, DeliveryRecorder, type DeliverySummary } from './support/delivery.ts'
import { COMMON_HELP, type FollowerOptions, runFollowerBench } from './support/follower-bench.ts'
import { figure, layOut } from './support/table.ts'

const HELP = `Usage: npm run bench:subscriptions -- [options]

Measures, in one process: how long after its ack an event is delivered to a live subscriber, with 1 append in flight
and at full load; how many events per second are delivered to many subscribers, at full load and while they catch up.

  --seconds S        measured in each row (3)
  --subscribers LIST how many at once (1,10,100)
${COMMON_HELP}`

interface DeliveryRow {
  readonly inFlight: number
  readonly acksPerSecond: number
  readonly delivery: DeliverySummary
}

interface FanOutRow {
  readonly subscribers: number
  readonly acksPerSecond: number
  /** To all of them together, while they follow the load. */
  readonly liveEventsPerSecond: number
  /** To all of them together, while they read what is there. */
  readonly catchUpEventsPerSecond: number
  /** Each has got everything, once, in order. */
  readonly isComplete: boolean
}

export interface SubscriptionsReport {
  readonly durability: string
  readonly payloadBytes: number
  readonly delivery: readonly DeliveryRow[]
  readonly fanOut: readonly FanOutRow[]
}

async function measure(options: FollowerOptions, directory: string): Promise<SubscriptionsReport> {
  const { durability, payloadBytes, inFlight, subscribers } = options
  const delivery: DeliveryRow[] = []
  for (const count of [1, inFlight]) {
    console.error(`one subscriber, ${count} in flight ...`)
    delivery.push(await measureDelivery(options, join(directory, `delivery-${count}`), count))
  }
  const fanOut: FanOutRow[] = []
  for (const count of subscribers) {
    console.error(`${count} subscribers ...`)
    fanOut.push(await measureFanOut(options, join(directory, `fan-out-${count}`), count))
  }
  return { durability, payloadBytes, delivery, fanOut }
}

/** One by one, as most people read. */
async function measureDelivery(options: FollowerOptions, directory: string, inFlight: number): Promise<DeliveryRow> {
  const { durability, payloadBytes, seconds } = options
  const store = await EventStore.open(directory, { durability })
  const load = new AppendLoad(store, { inFlight, payloadBytes, streamCount: 1000 })
  const recorder = new DeliveryRecorder(load)
  const subscription = store.subscribe()
  const reading = (async () => {
    for await (const event of subscription) recorder.record(event)
  })()
  load.start()
  await pause(seconds * 250)
  recorder.take()
  const [startedAt, acked] = [performance.now(), load.acked]
  await pause(seconds * 1000)
  const acksPerSecond = ((load.acked - acked) * 1000) / (performance.now() - startedAt)
  const delivery = recorder.take()
  await load.stop()
  await subscription.return()
  await reading
  await store.close()
  return { inFlight, acksPerSecond, delivery }
}

async function measureFanOut(options: FollowerOptions, directory: string, subscribers: number): Promise<FanOutRow> {
  const { durability, payloadBytes, inFlight, seconds } = options
  const store = await EventStore.open(directory, { durability })
  const load = new AppendLoad(store, { inFlight, payloadBytes, streamCount: 1000 })
  const begin = () => Array.from({ length: subscribers }, () => new BatchReader(store.subscribe()))
  const delivered = (readers: readonly BatchReader[]) => readers.reduce((sum, { count }) => sum + count, 0)
  const live = begin()
  load.start()
  await pause(seconds * 250)
  const [startedAt, acked, before] = [performance.now(), load.acked, delivered(live)]
  await pause(seconds * 1000)
  const took = (performance.now() - startedAt) / 1000
  const acksPerSecond = (load.acked - acked) / took
  const liveEventsPerSecond = (delivered(live) - before) / took
  await load.stop()
  await everything(live, load.acked)

  const catchUpStartedAt = performance.now()
  const late = begin()
  await everything(late, load.acked)
  const catchUpEventsPerSecond = (subscribers * load.acked * 1000) / (performance.now() - catchUpStartedAt)
  const isComplete = [...live, ...late].every(({ count, inOrder }) => inOrder && count === load.acked)
  await Promise.all([...live, ...late].map(reader => reader.end()))
  await store.close()
  return { subscribers, acksPerSecond, liveEventsPerSecond, catchUpEventsPerSecond, isComplete }
}

async function everything(readers: readonly BatchReader[], count: number): Promise<void> {
  while (readers.some(reader => reader.count < count)) await pause(1)
}

function textOf({ durability, payloadBytes, delivery, fanOut }: SubscriptionsReport): string {
  const deliveryRows = delivery.map(({ inFlight, acksPerSecond, delivery: { p50Us, p99Us, maxUs, samples, beforeAck } }) => [
    durability,
    ...[inFlight, acksPerSecond, p50Us, p99Us, maxUs].map(value => figure(value)),
    `${figure((100 * beforeAck) / samples)} %`,
  ])
  const fanOutRows = fanOut.map(({ subscribers, acksPerSecond, liveEventsPerSecond, catchUpEventsPerSecond, isComplete }) => [
    durability,
    ...[subscribers, acksPerSecond, liveEventsPerSecond, catchUpEventsPerSecond].map(value => figure(value)),
    isComplete ? 'yes' : 'NO',
  ])
  return [
    `From the ack to the delivery, one subscriber, ${payloadBytes} B`,
    '',
    layOut(['durability', 'in flight', 'acks/s', 'p50 µs', 'p99 µs', 'max µs', 'before the ack'], deliveryRows),
    '',
    'Events delivered per second, to all subscribers together',
    '',
    layOut(['durability', 'subscribers', 'acks/s', 'live', 'catching up', 'complete'], fanOutRows),
  ].join('\n')
}

await runFollowerBench('bench:subscriptions', HELP, { seconds: 3, subscribers: '1,10,100' }, measure, textOf)
