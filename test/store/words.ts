import type { AppendAck, NewEvent } from '../../src/core/events.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'

export const DIRECTORY = '/data'

/** The smallest chunks: a scene of a few hundred events then has many. */
export const SMALL_CHUNKS: StoreOptions = { chunkSizeBytes: 4096 }

export function openStore(disk: Disk = new MemoryDisk(), options: StoreOptions = {}): Promise<EventStore> {
  return EventStore.openOn(disk, DIRECTORY, options)
}

/** Runs `scene` with an open store and closes it, whatever happens. */
export async function withStore<T>(options: StoreOptions, scene: (store: EventStore) => Promise<T>): Promise<T> {
  const store = await openStore(new MemoryDisk(), options)
  try {
    return await scene(store)
  } finally {
    await store.close()
  }
}

/** Events n, n + 1, ...: each knows its number. */
export function orders(count: number, first = 0): NewEvent[] {
  return Array.from({ length: count }, (_, index) => order(first + index))
}

export function order(number: number): NewEvent {
  return { type: 'OrderPlaced', data: { number } }
}

/** An event whose record takes about `size` bytes. */
export function sized(size: number): NewEvent {
  return { type: 'Sized', data: new Uint8Array(size) }
}

export async function all<T>(iterable: AsyncIterable<T>): Promise<T[]> {
  const items: T[] = []
  for await (const item of iterable) items.push(item)
  return items
}

export async function numbers(events: AsyncIterable<{ readonly data: unknown }>): Promise<number[]> {
  return (await all(events)).map(event => (event.data as { number: number }).number)
}

export async function revisions(events: AsyncIterable<{ readonly revision: number }>): Promise<number[]> {
  return (await all(events)).map(event => event.revision)
}

export async function positions(events: AsyncIterable<{ readonly position: number }>): Promise<number[]> {
  return (await all(events)).map(event => event.position)
}

/** 0, 1, ... up to but not including `count`. */
export function upTo(count: number): number[] {
  return Array.from({ length: count }, (_, index) => index)
}

/** Appends all of them at once and waits for all acks. */
export function appendEach(store: EventStore, stream: string, events: readonly NewEvent[]): Promise<AppendAck[]> {
  return Promise.all(events.map(event => store.append(stream, event)))
}

/** Whatever a promise rejects with. */
export async function rejectionOf(promise: Promise<unknown>): Promise<Error & Record<string, unknown>> {
  try {
    await promise
  } catch (error) {
    return error as Error & Record<string, unknown>
  }
  throw new Error('it did not reject')
}
