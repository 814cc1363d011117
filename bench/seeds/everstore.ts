import { EventStore } from 'tailrace'
import type { Figures } from '../support/figures.ts'
import { memoryMiB, peakMemoryMiB } from '../support/process-usage.ts'
import { median } from '../support/summary.ts'

/** everstore's own programme: some journals are written, and then read over and over through transactions. */
export interface EverstoreSpec {
  readonly directory: string
  readonly durability: 'fsync' | 'os'
  readonly journals: number
  readonly eventsPerJournal: number
  /** Passes over all journals. */
  readonly runs: number
}

/** As many as its client keeps connections. */
const WORKERS = 6
const EVENTS_PER_COMMIT = 100

export async function measureEverstore(spec: EverstoreSpec): Promise<Figures> {
  const before = memoryMiB()
  const store = await EventStore.open(spec.directory, { durability: spec.durability })
  const writeStartedAt = performance.now()
  await eachJournal(spec, journal => write(store, journal, spec.eventsPerJournal))
  const writeMs = performance.now() - writeStartedAt
  const expected = spec.journals * spec.eventsPerJournal
  const passes: number[] = []
  for (let run = 0; run < spec.runs; run++) {
    const startedAt = performance.now()
    let sum = 0
    await eachJournal(spec, async journal => {
      const transaction = store.transaction(journal)
      for await (const batch of transaction.events().batches()) {
        sum += batch.length
        // Its adapter decodes what it reads.
        for (const event of batch) if (event.data === undefined) throw new Error('an event without data')
      }
      await transaction.rollback()
    })
    if (sum !== expected) throw new Error(`${sum} events were read, ${expected} were written`)
    passes.push(performance.now() - startedAt)
  }
  const peak = peakMemoryMiB()
  await store.close()
  const readMs = median(passes)
  return {
    readMs,
    readsPerSecond: (expected / readMs) * 1000,
    writeMs,
    writesPerSecond: (expected / writeMs) * 1000,
    memoryMiB: peak - before,
  }
}

async function write(store: EventStore, journal: string, count: number): Promise<void> {
  for (let from = 0; from < count; from += EVENTS_PER_COMMIT) {
    const transaction = store.transaction(journal)
    const batch = Array.from({ length: Math.min(EVENTS_PER_COMMIT, count - from) }, (_, index) => ({
      type: 'AmountTransferred',
      data: { amount: from + index, from: 'savings', to: 'cash' },
    }))
    const result = await transaction.commit(batch)
    if (!result.committed) throw new Error('nobody else writes, and yet there was a conflict')
  }
}

async function eachJournal({ journals }: EverstoreSpec, visit: (journal: string) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < journals) await visit(`journal-${next++}`)
  }
  await Promise.all(Array.from({ length: WORKERS }, worker))
}
