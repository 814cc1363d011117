import { readdirSync } from 'node:fs'
import { pino } from 'pino'
import { EventStore } from 'tailrace'
import { payloadPool, shortStream, streamsInOrder } from '../support/data-set.ts'
import type { Figures, Tell } from '../support/figures.ts'
import { ProcessWatch } from './process-watch.ts'

/** Fills a store with very many streams; watches memory and event loop meanwhile. */
export interface StoreFillSpec {
  readonly directory: string
  readonly streams: number
  readonly eventsPerStream: number
  readonly payloadBytes: number
  readonly inFlight: number
}

const TELL_EVERY = 250_000

export async function measureStoreFill(spec: StoreFillSpec, tell: Tell): Promise<Figures> {
  const payloads = payloadPool(spec.payloadBytes)
  const order = streamsInOrder({ ...spec, longStreams: 0, eventsPerLongStream: 0 })
  const total = spec.streams * spec.eventsPerStream
  const watch = new ProcessWatch()
  const store = await EventStore.open(spec.directory)
  const startedAt = performance.now()
  let count = 0
  const client = async () => {
    for (let next = order.next(); !next.done; next = order.next()) {
      const data = payloads[count++ % payloads.length]!
      if (count % TELL_EVERY === 0) tell({ progress: `appended ${count / 1e6} of ${total / 1e6} M events` })
      await store.append(next.value, { type: 'Measured', data })
    }
  }
  await Promise.all(Array.from({ length: spec.inFlight }, client))
  const seconds = (performance.now() - startedAt) / 1000
  const watched = watch.figures()
  watch.stop()
  await store.close()
  return { eventsPerSecond: count / seconds, ...watched }
}

/** Opens a store, reads a little, and closes it. */
export interface StoreOpenSpec {
  readonly directory: string
  readonly streams: number
  /** Streams that are read behind the open, so that what they bring into memory counts. */
  readonly reads: number
}

export async function measureStoreOpen({ directory, streams, reads }: StoreOpenSpec, tell: Tell): Promise<Figures> {
  const watch = new ProcessWatch()
  const chunks = readdirSync(directory).filter(name => name.endsWith('.chunk')).length
  let rebuiltEvents = 0
  const write = (line: string) => {
    const said = JSON.parse(line) as Said
    if (said.msg === 'index files were made') rebuiltEvents = said.events ?? 0
    tell({ progress: progressOf(said) })
  }
  const logger = pino({ base: null }, { write })
  const startedAt = performance.now()
  const store = await EventStore.open(directory, { logger })
  const openMs = performance.now() - startedAt
  const { events, scannedBytes } = store.recovery
  for (let index = 0; index < reads; index++) {
    for await (const batch of store.readStream(shortStream((index * 7919) % streams)).batches()) {
      if (batch.length === 0) throw new Error('an empty batch')
    }
  }
  const { memoryMiB } = watch.figures()
  watch.stop()
  await store.close()
  return { openMs, events, rebuiltEvents, scannedBytes, chunks, memoryMiB }
}

interface Said {
  readonly msg: string
  readonly events?: number
  readonly chunks?: number
}

function progressOf({ msg, events, chunks }: Said): string {
  return [msg, events === undefined ? '' : `${events} events`, chunks === undefined ? '' : `${chunks} chunks`]
    .filter(Boolean)
    .join(', ')
}
