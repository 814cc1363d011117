import { type DiskContent, MemoryDisk } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'
import { impatient } from './impatience.ts'
import { stillClock } from './manual-clock.ts'

export const DIRECTORY = '/store'

/** The path of a file of the store. */
export function fileOf(name: string | number): string {
  return `${DIRECTORY}/${typeof name === 'string' ? name : `${String(name).padStart(6, '0')}.chunk`}`
}

/** Opens the store that this content is. */
export function openStore(content: DiskContent | MemoryDisk, options: StoreOptions = {}): Promise<EventStore> {
  const disk = content instanceof MemoryDisk ? content : new MemoryDisk(content)
  return EventStore.openOn(impatient(disk), DIRECTORY, { clock: stillClock, ...options })
}

/** The files of a new store after the script; closed, unless the script's process is killed at its end. */
export async function contentOf(
  script: (store: EventStore) => Promise<unknown>,
  { isKilled = false, ...options }: StoreOptions & { isKilled?: boolean } = {},
): Promise<Map<string, Uint8Array>> {
  const disk = new MemoryDisk()
  const store = await openStore(disk, options)
  await script(store)
  if (isKilled) return copyOf(disk.snapshot())
  await store.close()
  return copyOf(disk.snapshot())
}

/** Bytes that nobody else holds, so that a test can damage them in place. */
export function copyOf(content: DiskContent): Map<string, Uint8Array> {
  return new Map([...content].map(([path, bytes]) => [path, new Uint8Array(bytes)]))
}

/** The content with one file changed in place; or replaced, if `change` returns other bytes; or without it, if null. */
export function changed(content: DiskContent, path: string, change: (bytes: Uint8Array) => unknown): Map<string, Uint8Array> {
  const copy = copyOf(content)
  const bytes = copy.get(path) ?? new Uint8Array(0)
  const replacement = change(bytes)
  if (replacement === null) copy.delete(path)
  else copy.set(path, replacement instanceof Uint8Array ? replacement : bytes)
  return copy
}

/** Appends `count` events of `size` bytes, one by one, of the types 0, 1, 2, ... */
export async function appendEvents(store: EventStore, count: number, size = 100, from = 0): Promise<void> {
  for (let index = from; index < from + count; index++) {
    await store.append('orders', { type: String(index), data: new Uint8Array(size).fill(index + 1) })
  }
}

/** Where the record at `offset` of a chunk's file ends. */
export function recordEnd(bytes: Uint8Array, offset: number): number {
  return offset + new DataView(bytes.buffer, bytes.byteOffset).getUint32(offset, true)
}

/** Behind the last byte that is not zero. Records end with zeros, the high bytes of their size. */
export function nonZeroEnd(bytes: Uint8Array): number {
  let end = bytes.length
  while (end > 0 && bytes[end - 1] === 0) end--
  return end
}
