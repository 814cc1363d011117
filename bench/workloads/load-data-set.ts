import { type DataSet, eventCount, payloadPool, streamsInOrder } from '../support/data-set.ts'
import type { Figures, Tell } from '../support/figures.ts'
import type { OpenSpec } from '../support/subject.ts'
import { subjectNamed } from '../support/subjects.ts'

/** Fills a directory for W4 to W7. */
export interface LoadSpec extends OpenSpec {
  readonly subject: string
  readonly dataSet: DataSet
}

const TELL_EVERY = 1_000_000
/** What an engine does when nothing comes any more, it begins before it is closed; closing waits for it. */
const REST_MS = 250

export async function loadDataSet(spec: LoadSpec, tell: Tell): Promise<Figures> {
  const subject = await subjectNamed(spec.subject).open(spec)
  const payloads = payloadPool(spec.dataSet.payloadBytes)
  const streams = streamsInOrder(spec.dataSet)
  const total = eventCount(spec.dataSet)
  const startedAt = performance.now()
  let count = 0
  const client = async () => {
    for (let next = streams.next(); !next.done; next = streams.next()) {
      const payload = payloads[count++ % payloads.length]!
      if (count % TELL_EVERY === 0) tell({ progress: `${count / 1e6} of ${(total / 1e6).toFixed(1)} M events` })
      await subject.append(next.value, payload)
    }
  }
  await Promise.all(Array.from({ length: spec.inFlight }, client))
  await new Promise(resolve => setTimeout(resolve, REST_MS))
  await subject.close()
  const seconds = (performance.now() - startedAt - REST_MS) / 1000
  return { seconds, events: count, eventsPerSecond: count / seconds }
}
