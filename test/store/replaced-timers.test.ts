/** Whoever tests with the store may have replaced the timers of the global object: the store goes on under them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { EventStore } from '../../src/index.ts'
import { upTo } from './words.ts'

let directory: string

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tailrace-timers-'))
})

afterEach(async () => {
  vi.useRealTimers()
  await rm(directory, { recursive: true })
})

test('a burst of appends is acked, read, scavenged and closed while all timers stand still', async () => {
  vi.useFakeTimers()
  const store = await EventStore.open(directory)
  const acks = await Promise.all(upTo(3000).map(n => store.append(`s-${n % 10}`, { type: 'Happened', data: n })))
  expect(acks.at(-1)).toMatchObject({ stream: 's-9', lastRevision: 299 })
  let count = 0
  for await (const _ of store.readAll()) count++
  expect(count).toBe(3000)
  await store.delete('s-1')
  await store.scavenge()
  await store.close()
})

test('where the timers of the global object are no objects, as in a simulated browser', async () => {
  const { setTimeout: original } = globalThis
  globalThis.setTimeout = ((...args: Parameters<typeof original>) => Number(original(...args))) as unknown as typeof original
  try {
    const store = await EventStore.open(directory)
    await store.append('s', { type: 'Happened', data: 1 })
    await store.close()
  } finally {
    globalThis.setTimeout = original
  }
})
