import { bringIntoCache } from '../support/cached-files.ts'
import { longStream, randomNumbers, shortStream } from '../support/data-set.ts'
import type { Figures } from '../support/figures.ts'
import { LatencyRecorder } from '../support/histogram.ts'
import { cpuSeconds } from '../support/process-usage.ts'
import type { OpenSpec } from '../support/subject.ts'
import { subjectNamed } from '../support/subjects.ts'

/** W5: whole streams at random, of files that are in the cache of the system when it begins. */
export interface StreamReadsSpec extends OpenSpec {
  readonly subject: string
  readonly streams: number
  readonly isLong: boolean
  /** That each stream has, checked with each read; fewer is an error. */
  readonly events: number
  readonly readers: number
  readonly seconds: number
  readonly seed: number
}

export async function measureStreamReads(spec: StreamReadsSpec): Promise<Figures> {
  await bringIntoCache(spec.directory)
  const subject = await subjectNamed(spec.subject).open(spec)
  const random = randomNumbers(spec.seed)
  const nameOf = spec.isLong ? longStream : shortStream
  const latencies = new LatencyRecorder()
  let bytes = 0
  let reads = 0
  const take = (_stream: string, _revision: number, data: Uint8Array) => {
    bytes += data.length
  }
  const readUntil = async (end: number, isMeasured: boolean) => {
    for (let started = performance.now(); started < end; ) {
      const name = nameOf(Math.floor(random() * spec.streams))
      const count = await subject.readStream(name, take)
      if (count < spec.events) throw new Error(`${name} has ${count} events, it should have ${spec.events}`)
      const ended = performance.now()
      if (isMeasured) {
        latencies.record(ended - started)
        reads++
      }
      started = ended
      // A reader whose store answers without a turn of the event loop would keep the others out.
      if (spec.readers > 1) await new Promise(resolve => setImmediate(resolve))
    }
  }
  const all = (end: number, isMeasured: boolean) =>
    Promise.all(Array.from({ length: spec.readers }, () => readUntil(end, isMeasured)))
  await all(performance.now() + spec.seconds * 500, false)
  bytes = 0
  const cpuBefore = cpuSeconds(subject.serverPids)
  const startedAt = performance.now()
  await all(startedAt + spec.seconds * 1000, true)
  const seconds = (performance.now() - startedAt) / 1000
  const cpu = cpuSeconds(subject.serverPids) - cpuBefore
  await subject.close()
  if (bytes !== reads * spec.events * spec.payloadBytes) throw new Error('what was read is not what was written')
  const { p50Us, p99Us } = latencies.summary()
  return { streamsPerSecond: reads / seconds, p50Us, p99Us, cpuPerMillion: (cpu / (reads * spec.events)) * 1e6 }
}
