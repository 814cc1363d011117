import type { Appender } from '../support/appender.ts'
import { runClosedLoop } from '../support/closed-loop.ts'
import type { Figures } from '../support/figures.ts'
import { memoryMiB, peakMemoryMiB } from '../support/process-usage.ts'
import type { OpenSpec, Subject } from '../support/subject.ts'
import { subjectNamed } from '../support/subjects.ts'

/** W1, W2, W3: clients that each wait for their ack before they append again. */
export interface AppendLoadSpec extends OpenSpec {
  readonly subject: string
  readonly streams: number
  /** Events of an append; one goes as one, not as a batch. */
  readonly batchEvents: number
  readonly warmupSeconds: number
  readonly seconds: number
}

export async function measureAppendLoad(spec: AppendLoadSpec): Promise<Figures> {
  const description = subjectNamed(spec.subject)
  await description.prepare?.()
  const before = memoryMiB()
  const subject = await description.open(spec)
  const appender = spec.batchEvents === 1 ? subject : inBatches(subject, spec)
  const result = await runClosedLoop(appender, spec, spec.streams)
  const peak = peakMemoryMiB()
  await subject.close()
  const events = result.acks * spec.batchEvents
  return {
    eventsPerSecond: result.acksPerSecond * spec.batchEvents,
    p50Us: result.latency.p50Us,
    p99Us: result.latency.p99Us,
    cpuPerMillion: (result.cpuSeconds / events) * 1e6,
    memoryMiB: peak - before,
    ...(result.appendsPerFlush === null ? {} : { appendsPerFlush: result.appendsPerFlush }),
  }
}

/** The loop appends one by one; here, each of those is a batch. */
function inBatches(subject: Subject, { batchEvents, payloadBytes }: AppendLoadSpec): Appender {
  const payload = Uint8Array.from({ length: payloadBytes }, (_, index) => (index * 31 + 7) % 256)
  const batch = Array.from({ length: batchEvents }, () => payload)
  return {
    append: stream => subject.appendBatch(stream, batch),
    counts: () => subject.counts(),
    close: () => subject.close(),
    ...(subject.serverPids === undefined ? {} : { serverPids: subject.serverPids }),
  }
}
