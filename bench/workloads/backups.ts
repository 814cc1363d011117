import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { randomNumbers } from '../support/data-set.ts'
import type { Figures, Tell } from '../support/figures.ts'
import { LatencyRecorder } from '../support/histogram.ts'
import { NumberedEvents } from './numbered-events.ts'

/** Backups at random moments while clients append; each is opened as a store and held against what was acked when it began. */
export interface BackupsSpec {
  readonly directory: string
  readonly backups: number
  readonly clients: number
  readonly payloadBytes: number
  /** Small, so that chunks are completed while they are copied. */
  readonly chunkSizeBytes: number
  readonly seed: number
}

/** A client waits so long behind each ack: at full speed the last of a hundred backups would be a hundred times the first. */
const PAUSE_MS = 2
const LONGEST_WAIT_MS = 40

export async function measureBackups(spec: BackupsSpec, tell: Tell): Promise<Figures> {
  const events = new NumberedEvents(spec.payloadBytes)
  const random = randomNumbers(spec.seed)
  const store = await EventStore.open(join(spec.directory, 'store'), { chunkSizeBytes: spec.chunkSizeBytes })
  const acked = new Array<number>(spec.clients).fill(0)
  const latencies = new LatencyRecorder()
  const durations = new LatencyRecorder()
  let isOver = false
  const client = async (stream: number) => {
    while (!isOver) {
      const started = performance.now()
      await store.append(nameOf(stream), events.event(stream, acked[stream]!))
      acked[stream]!++
      latencies.record(performance.now() - started)
      await new Promise(resolve => setTimeout(resolve, random() * PAUSE_MS))
    }
  }
  const clients = acked.map((_, stream) => client(stream))
  let checkedEvents = 0
  try {
    for (let number = 1; number <= spec.backups; number++) {
      await new Promise(resolve => setTimeout(resolve, random() * LONGEST_WAIT_MS))
      const directory = join(spec.directory, `backup-${number}`)
      const atLeast = [...acked]
      const started = performance.now()
      await store.backup(directory)
      durations.record(performance.now() - started)
      checkedEvents += await checkBackup(directory, events, atLeast)
      await rm(directory, { recursive: true })
      if (number % 10 === 0) tell({ progress: `${number} of ${spec.backups} backups restored and checked` })
    }
  } finally {
    isOver = true
    await Promise.all(clients)
  }
  await store.close()
  const { p99Us } = latencies.summary()
  const backup = durations.summary()
  return { backups: spec.backups, checkedEvents, appendP99Us: p99Us, backupP50Us: backup.p50Us, backupMaxUs: backup.maxUs }
}

/**
 * A prefix of the log: each stream from its first event on, without a gap, with the bytes that were given, and at least as far
 * as it was acked when the backup began. Returns how many events there are.
 */
async function checkBackup(directory: string, events: NumberedEvents, atLeast: readonly number[]): Promise<number> {
  const restored = await EventStore.open(directory)
  const next = atLeast.map(() => 0)
  let count = 0
  for await (const batch of restored.readAll().batches()) {
    for (const { stream, revision, bytes } of batch) {
      const number = Number(stream.slice(stream.indexOf('-') + 1))
      if (revision !== next[number]) throw new Error(`${stream}: revision ${revision} where ${next[number]} should be`)
      events.check(number, revision, bytes)
      next[number]!++
      count++
    }
  }
  await restored.close()
  for (const [stream, acked] of atLeast.entries()) {
    if (next[stream]! < acked)
      throw new Error(`${nameOf(stream)} has ${next[stream]} events, ${acked} were acked when the backup began`)
  }
  return count
}

function nameOf(stream: number): string {
  return `stream-${stream}`
}
