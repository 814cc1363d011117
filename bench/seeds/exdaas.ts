import { isDeepStrictEqual } from 'node:util'
import { EventStore } from 'tailrace'
import type { Figures } from '../support/figures.ts'

/** exdaas's console programme: so many documents are fetched with a value, one after the other, cold and then warm. */
export interface ExdaasSpec {
  readonly directory: string
  readonly durability: 'fsync' | 'os'
  readonly documents: number
}

const VALUE = { color: 'blue' }

export async function measureExdaas({ directory, durability, documents }: ExdaasSpec): Promise<Figures> {
  const store = await EventStore.open(directory, { durability })
  const cold = await fetchAll(store, documents)
  const warm = await fetchAll(store, documents)
  await store.close()
  if (cold.written !== documents || warm.written !== 0) throw new Error(`${cold.written} were written cold, ${warm.written} warm`)
  return {
    coldMs: cold.ms,
    coldPerSecond: (documents / cold.ms) * 1000,
    warmMs: warm.ms,
    warmPerSecond: (documents / warm.ms) * 1000,
  }
}

/** A stream for each document, its last event the value. What is equal is not written again. */
async function fetchAll(store: EventStore, documents: number): Promise<{ ms: number; written: number }> {
  const startedAt = performance.now()
  let written = 0
  for (let id = 0; id < documents; id++) {
    const stream = `document-${id}`
    if (isDeepStrictEqual(await lastValue(store, stream), VALUE)) continue
    await store.append(stream, { type: 'Set', data: VALUE })
    written++
  }
  return { ms: performance.now() - startedAt, written }
}

async function lastValue(store: EventStore, stream: string): Promise<unknown> {
  if (!(await store.exists(stream))) return null
  for await (const event of store.readStream(stream, { direction: 'backwards', maxCount: 1 })) return event.data
  return null
}
