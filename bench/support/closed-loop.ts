import type { Appender, AppenderCounts } from './appender.ts'
import type { LoopResult, LoopSpec } from './cells.ts'
import { LatencyRecorder } from './histogram.ts'
import { cpuSeconds } from './process-usage.ts'

/** How many streams the appends go to in turn. */
export const STREAM_COUNT = 1000

/**
 * However short its time, the warm-up lasts for so many acks of each client, and so does the window: with 4,096 clients and
 * 16 KiB each, a group is 64 MiB, and a second holds hardly more than the growing of the buffers.
 */
const LEAST_ACKS_PER_CLIENT = 4

interface Edge {
  readonly at: number
  readonly acks: number
  readonly counts: AppenderCounts
  readonly cpuSeconds: number
}

/**
 * Drives an appender with as many clients as shall be in flight: each appends, awaits its ack, and appends again.
 *
 * The measured window runs from the first ack after the warm-up to the first ack after its time is over, so that it holds
 * whole groups. Throughput is what was acked within it. Latencies are those of the appends that *started* within it, also
 * when they end later: a stall at the very end must not go unseen.
 *
 * A closed loop waits while the disk stalls, so a stall counts once for each client and not for the appends that would
 * have come meanwhile: read the high percentiles as what these clients saw, not as what an open queue would see.
 *
 * @param streamCount streams that the appends go to in turn
 */
export async function runClosedLoop(appender: Appender, spec: LoopSpec, streamCount: number = STREAM_COUNT): Promise<LoopResult> {
  const streams = Array.from({ length: streamCount }, (_, index) => `stream-${index}`)
  const payload = Uint8Array.from({ length: spec.payloadBytes }, (_, index) => (index * 31 + 7) % 256)
  const latencies = new LatencyRecorder()
  let stream = 0
  let acks = 0
  let opened: Edge | undefined
  let closed: Edge | undefined
  // Kept apart as plain numbers: they are compared on every ack.
  let openedAt = Number.POSITIVE_INFINITY
  let closedAt = Number.POSITIVE_INFINITY
  let nextEdgeAt = performance.now() + spec.warmupSeconds * 1000
  let nextEdgeAcks = LEAST_ACKS_PER_CLIENT * spec.inFlight

  const passEdge = (at: number) => {
    const edge: Edge = { at, acks, counts: appender.counts(), cpuSeconds: cpuSeconds(appender.serverPids) }
    if (!opened) {
      opened = edge
      openedAt = at
      nextEdgeAt = at + spec.seconds * 1000
      nextEdgeAcks += acks
    } else {
      closed = edge
      closedAt = at
      nextEdgeAt = Number.POSITIVE_INFINITY
    }
  }

  const client = async () => {
    // One look at the clock per append: the ack of one is the start of the next.
    let started = performance.now()
    while (started < closedAt) {
      const name = streams[stream]!
      stream = stream + 1 === streamCount ? 0 : stream + 1
      await appender.append(name, payload)
      const acked = performance.now()
      acks++
      if (acked >= nextEdgeAt && acks >= nextEdgeAcks) passEdge(acked)
      if (started >= openedAt) latencies.record(acked - started)
      started = acked
    }
  }

  await Promise.all(Array.from({ length: spec.inFlight }, client))
  if (!opened || !closed) throw new Error('the clients ended before the window did')
  const taken = appender.counts().appends
  if (taken !== acks) throw new Error(`${acks} acks were given for ${taken} appends`)
  return { ...between(opened, closed), latency: latencies.summary() }
}

function between(opened: Edge, closed: Edge) {
  const seconds = (closed.at - opened.at) / 1000
  const acks = closed.acks - opened.acks
  const flushes = closed.counts.flushes - opened.counts.flushes
  const appends = closed.counts.appends - opened.counts.appends
  const acksPerSecond = acks / seconds
  const cpu = closed.cpuSeconds - opened.cpuSeconds
  return { seconds, acks, acksPerSecond, flushes, appendsPerFlush: flushes > 0 ? appends / flushes : null, cpuSeconds: cpu }
}
