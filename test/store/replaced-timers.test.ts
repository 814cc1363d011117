/** Whoever tests with the store may have replaced the timers of Node since it was loaded: the store goes on under them. */
import { mkdtemp, rm } from 'node:fs/promises'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import timers from 'node:timers'
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

async function useTheStore(): Promise<void> {
  const store = await EventStore.open(directory)
  const acks = await Promise.all(upTo(3000).map(n => store.append(`s-${n % 10}`, { type: 'Happened', data: n })))
  expect(acks.at(-1)).toMatchObject({ stream: 's-9', lastRevision: 299 })
  let count = 0
  for await (const _ of store.readAll()) count++
  expect(count).toBe(3000)
  await store.delete('s-1')
  await store.scavenge()
  await store.close()
}

test('a burst of appends is acked, read, scavenged and closed while all timers stand still', async () => {
  vi.useFakeTimers()
  await useTheStore()
})

test('and while those of the process and of the module stand still, too', async () => {
  const { nextTick } = process
  const { setImmediate, setTimeout } = timers
  const held: (() => void)[] = []
  const hold = (callback: (...args: unknown[]) => void, ...args: unknown[]): void => {
    held.push(() => callback(...args))
  }
  process.nextTick = hold
  Object.assign(timers, { setImmediate: hold, setTimeout: () => ({ unref() {} }) })
  syncBuiltinESMExports()
  // The runner's own limit rests on what is held.
  const late = new Promise((_, reject) => setTimeout(() => reject(new Error('the store stands still, too')), 20_000).unref())
  try {
    await Promise.race([useTheStore(), late])
  } finally {
    process.nextTick = nextTick
    Object.assign(timers, { setImmediate, setTimeout })
    syncBuiltinESMExports()
    for (const call of held) call()
  }
}, 30_000)

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
