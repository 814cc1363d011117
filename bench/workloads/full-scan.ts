import type { Figures } from '../support/figures.ts'
import { cpuSeconds } from '../support/process-usage.ts'
import type { OpenSpec } from '../support/subject.ts'
import { subjectNamed } from '../support/subjects.ts'

/** W4: everything from the beginning, with payload, stream and revision. */
export interface FullScanSpec extends OpenSpec {
  readonly subject: string
  readonly limit: number
}

export async function measureFullScan(spec: FullScanSpec): Promise<Figures> {
  const subject = await subjectNamed(spec.subject).open(spec)
  let bytes = 0
  let revisions = 0
  const cpuBefore = cpuSeconds(subject.serverPids)
  const startedAt = performance.now()
  const events = await subject.scan((stream, revision, data) => {
    bytes += data.length + stream.length
    revisions += revision
  }, spec.limit)
  const seconds = (performance.now() - startedAt) / 1000
  const cpu = cpuSeconds(subject.serverPids) - cpuBefore
  await subject.close()
  if (events < spec.limit) throw new Error(`${events} events were found, there should be ${spec.limit}`)
  if (bytes < events * spec.payloadBytes || revisions === 0) throw new Error('what was read is not what was written')
  return { eventsPerSecond: events / seconds, cpuPerMillion: (cpu / events) * 1e6, mibPerSecond: bytes / 2 ** 20 / seconds }
}
