import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test, vi } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { all, sized, upTo } from '../store/words.ts'
import { take } from './words.ts'

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

/** Bytes of buffers that are alive. */
function bufferBytes(): number {
  collectGarbage()
  return process.memoryUsage().arrayBuffers
}

async function withDirectory(scene: (directory: string) => Promise<void>): Promise<void> {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-subscriptions-'))
  try {
    await scene(directory)
  } finally {
    rmSync(directory, { recursive: true, force: true })
  }
}

describe('a reader that has stopped', () => {
  test('keeps no memory while 96 MiB go by it, disturbs nobody, and then gets everything', async () => {
    await withDirectory(async directory => {
      const store = await EventStore.open(directory, { durability: 'os', chunkSizeBytes: 8 * MIB })
      await store.append('s', { type: 'First', data: null })
      const stopped = store.subscribe()
      await take(stopped, 1)
      const keepingUp = store.subscribe()
      let seen = 0
      const following = (async () => {
        for await (const batch of keepingUp.batches()) {
          seen += batch.length
          if (seen === 1 + 96 * 16) break
        }
      })()
      // The slabs that the store keeps for everyone are there from the first turns on.
      let before = 0
      let most = 0
      for (const turn of upTo(96)) {
        await Promise.all(upTo(16).map(() => store.append('s', sized(MIB / 16))))
        if (turn === 31) before = bufferBytes()
        else if (turn > 31 && turn % 8 === 0) most = Math.max(most, bufferBytes())
      }
      await following
      expect(most - before).toBeLessThan(24 * MIB)
      const rest = await take(stopped, 96 * 16)
      expect(rest.map(event => event.revision as number)).toEqual(upTo(96 * 16).map(revision => revision + 1))
      await store.close()
    })
  }, 60_000)
})

describe('few events of many', () => {
  test('that wait in a group keep none of what its filter leaves out', async () => {
    await withDirectory(async directory => {
      const store = await EventStore.open(directory, { durability: 'os', chunkSizeBytes: 8 * MIB })
      // Each stands in a batch of its own.
      for (const _ of upTo(100)) await store.append('s', [sized(MIB / 3), { type: 'Rare', data: null }])
      const filter = { types: ['Rare'] }
      // What is kept for whoever reads next is there from the first reader on.
      for await (const _ of store.subscribe({ filter })) break
      const before = bufferBytes()
      const group = store.group('workers', { filter })
      const rare = store.subscribe({ filter })
      const taken = await take(rare, 100)
      await vi.waitFor(() => expect(group.stats().waiting).toBe(100))
      await vi.waitFor(() => expect(bufferBytes() - before).toBeLessThan(8 * MIB))
      const read = await all(store.readAll({ filter }))
      expect(read).toEqual(taken)
      for (const { bytes } of read) expect(bytes.buffer.byteLength).toBeLessThan(200)
      await store.close()
    })
  }, 60_000)
})
