import type { Clock } from '../../../src/core/clock.ts'
import { TailraceError } from '../../../src/core/errors.ts'
import type { RecordedEvent } from '../../../src/core/events.ts'
import { type DiskContent, MemoryDisk } from '../../../src/disk/memory-disk.ts'
import { EventStore } from '../../../src/store/event-store.ts'
import { impatient } from '../../support/impatience.ts'
import { ManualClock, settle, stillClock } from '../../support/manual-clock.ts'
import { Random } from '../../support/random.ts'
import { collect } from '../../support/readings.ts'
import { copyOf, DIRECTORY } from '../../support/store-content.ts'
import { seedStoreIds } from '../../support/store-ids.ts'

export type SampleName = 'plain' | 'compact' | 'killed'

/** A store on disk, and everything that may come out of it. */
export interface Sample {
  readonly name: SampleName
  readonly content: DiskContent
  readonly all: readonly RecordedEvent[]
  readonly streams: ReadonlyMap<string, readonly RecordedEvent[]>
}

const OPTIONS = { chunkSizeBytes: 64 * 1024 }
const STREAMS = ['orders', 'payments', 'a-stream-with-a-longer-name']

/**
 * 'plain': a completed chunk of 64 KiB and one that is being filled, with their index files, closed. 'compact': the same after a
 * scavenge. 'killed': the process died right behind its last flush, nothing proves the last append.
 * @param store another one gives a store of another id, with the same records at the same places, but other data in them.
 */
export async function makeSample(name: SampleName, seed: string, store = 'own'): Promise<Sample> {
  seedStoreIds(`${seed}/${name}/${store}`)
  const random = new Random(`${seed}/${name}`)
  const payload = new Random(`${seed}/${name}/${store}`)
  const disk = new MemoryDisk()
  const clock = new ManualClock()
  const opened = await open(disk, name === 'killed' ? clock : stillClock)
  for (let turn = 0; turn < 48; turn++) await opened.append(random.pick(STREAMS), newEvents(random, payload, turn))
  if (name === 'compact') {
    await opened.setMetadata('orders', { maxCount: 5 })
    await opened.delete('payments')
    await opened.scavenge()
    await opened.append('payments', newEvents(random, payload, 60))
  }
  await settle()
  if (name === 'killed') {
    await opened.append('orders', newEvents(random, payload, 61))
    // The hint is written: it proves everything but the last append.
    clock.advance(10)
    await settle()
    await opened.append('orders', [{ type: 'last', data: payload.bytes(300) }])
  } else await opened.close()
  const content = copyOf(disk.snapshot())
  const sound = await open(new MemoryDisk(copyOf(content)))
  const all = await collect(sound.readAll({ includeSystem: true }).batches())
  const streams = new Map<string, readonly RecordedEvent[]>()
  for (const stream of STREAMS) streams.set(stream, await collect(sound.readStream(stream).batches()))
  await sound.close()
  return { name, content, all, streams }
}

function newEvents(random: Random, payload: Random, turn: number) {
  return Array.from({ length: random.chance(0.6) ? 1 : 1 + random.int(4) }, (_, k) => ({
    type: `${turn}.${k}`,
    data: payload.bytes(200 + random.int(1800)),
    ...(random.chance(0.3) && { metadata: { by: 'me', turn } }),
  }))
}

function open(disk: MemoryDisk, clock: Clock = stillClock): Promise<EventStore> {
  return EventStore.openOn(impatient(disk), DIRECTORY, { ...OPTIONS, clock })
}

/** What became of an opening of damaged files. */
export interface Examination {
  /** The code of the first error; null when there was none. */
  readonly code: string | null
  /** Events that readAll gave, all of them right. */
  readonly count: number
}

/** Something came out that never went in, or an error that is none of the engine's. */
export class WrongAnswer extends Error {
  override readonly name = 'WrongAnswer'
}

/**
 * Opens what is left of a sample, and reads it until an error comes.
 * @param streams also stream by stream, as the index has it.
 * @param meanwhile called when the store is open, before anything is read.
 * @throws WrongAnswer
 */
export async function examine(
  sample: Sample,
  content: DiskContent,
  streams = false,
  meanwhile: (disk: MemoryDisk) => Promise<void> = async () => {},
): Promise<Examination> {
  let count = 0
  let store: EventStore | null = null
  try {
    const disk = new MemoryDisk(content)
    store = await open(disk)
    await meanwhile(disk)
    count = await compare(store.readAll({ includeSystem: true }).batches(), sample.all)
    for (const [stream, events] of streams ? sample.streams : []) {
      const found = await compare(store.readStream(stream).batches(), events)
      if (found < events.length && count === sample.all.length) throw new WrongAnswer(`'${stream}' ends early`)
    }
    // Closing writes what is known to be right by now: only where that is asked for.
    if (streams) await store.close()
    return { code: null, count }
  } catch (error) {
    await store?.close().catch(() => {})
    if (error instanceof TailraceError) return { code: error.code, count }
    if (error instanceof WrongAnswer) throw error
    throw new WrongAnswer(`an error of no kind: ${String((error as Error)?.stack ?? error)}`)
  }
}

async function compare(batches: AsyncIterable<readonly RecordedEvent[]>, expected: readonly RecordedEvent[]): Promise<number> {
  let count = 0
  for await (const batch of batches) {
    for (const event of batch) {
      const right = expected[count++]
      if (right === undefined) throw new WrongAnswer(`an event too many: ${event.type} at ${event.position}`)
      const isRight =
        event.position === right.position &&
        event.revision === right.revision &&
        event.stream === right.stream &&
        event.type === right.type &&
        Buffer.compare(event.bytes, right.bytes) === 0
      if (!isRight) throw new WrongAnswer(`${event.stream}/${event.revision} at ${event.position} is not what was appended`)
    }
  }
  return count
}
