import type { NewEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { ReadStreamOptions } from '../../src/streams/read-options.ts'
import { all, orders, revisions, SMALL_CHUNKS, withStore } from '../store/words.ts'

/** Event n: its id, type and data say so. */
export function event(n: number, type = 'Happened'): NewEvent & { readonly id: string } {
  return { id: `00000000-0000-4000-8000-${String(n).padStart(12, '0')}`, type, data: { n } }
}

/** Events from `first` on, up to but not including `end`. */
export function events(first: number, end: number, type?: string): (NewEvent & { readonly id: string })[] {
  return Array.from({ length: end - first }, (_, i) => event(first + i, type))
}

export async function idsIn(store: EventStore, stream: string): Promise<string[]> {
  return (await all(store.readStream(stream))).map(({ id }) => id)
}

/** Revisions of the stream s, as a read shows them. */
export function read(store: EventStore, options: ReadStreamOptions = {}): Promise<number[]> {
  return revisions(store.readStream('s', options))
}

export function backwards(store: EventStore, options: ReadStreamOptions = {}): Promise<number[]> {
  return read(store, { direction: 'backwards', ...options })
}

/** A store whose stream s has `count` events. */
export async function withEvents<T>(count: number, scene: (store: EventStore) => Promise<T>): Promise<T> {
  return withStore(SMALL_CHUNKS, async store => {
    for (const order of orders(count)) await store.append('s', order)
    return scene(store)
  })
}
