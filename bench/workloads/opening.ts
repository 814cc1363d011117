import type { Figures, Tell } from '../support/figures.ts'
import { processTree } from '../support/process-usage.ts'
import type { OpenSpec } from '../support/subject.ts'
import { subjectNamed } from '../support/subjects.ts'

/** W6: from the call of open to the first ack. */
export interface OpeningSpec extends OpenSpec {
  readonly subject: string
  readonly stream: string
}

export async function measureOpening(spec: OpeningSpec): Promise<Figures> {
  const description = subjectNamed(spec.subject)
  await description.prepare?.()
  const payload = new Uint8Array(spec.payloadBytes)
  const startedAt = performance.now()
  const subject = await description.open(spec)
  const openMs = performance.now() - startedAt
  await subject.append(spec.stream, payload)
  const firstAckMs = performance.now() - startedAt
  await subject.close()
  return { firstAckMs, openMs }
}

/** Before it is killed, it has so many appends acked, so that its log has a tail that no clean close has seen. */
const LEAST_APPENDS = 20_000
/** How full the chunk is that the next open must look through. */
const FULL = 0.95

/** Appends until it is killed; says when that may be, and which processes have to go. Never ends by itself. */
export async function appendUntilKilled(spec: OpeningSpec, tell: Tell): Promise<Figures> {
  const subject = await subjectNamed(spec.subject).open(spec)
  const payload = new Uint8Array(spec.payloadBytes)
  let appends = 0
  let hasTold = false
  const isReady = () => appends >= LEAST_APPENDS && (subject.activeFill?.() ?? 1) >= FULL
  const client = async () => {
    for (;;) {
      await subject.append(`${spec.stream}-${appends++ % 1000}`, payload)
      if (!hasTold && isReady()) {
        hasTold = true
        tell({ ready: processTree(subject.serverPids ?? []) })
      }
      // Then a few more, slowly: the chunk must not be left before the signal comes.
      if (hasTold) await new Promise(resolve => setTimeout(resolve, 100))
    }
  }
  await Promise.all(Array.from({ length: spec.inFlight }, client))
  return {}
}
