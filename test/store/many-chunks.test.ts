import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'

const CHUNKS = 600
/** Of files that nobody writes; beside them, the active chunk, index files and hints. */
const MOST_OPEN = 512 + 40
const EVERY = 10

describe.runIf(process.platform === 'linux')('a store of more chunks than a process should have descriptors', () => {
  let directory: string
  let store: EventStore

  const descriptors = () =>
    readdirSync('/proc/self/fd').filter(fd => {
      try {
        return readlinkSync(`/proc/self/fd/${fd}`).startsWith(directory)
      } catch {
        return false
      }
    }).length
  const open = () => EventStore.open(join(directory, 'store'), { chunkSizeBytes: 4096 })

  async function keptNumbers(reading: AsyncIterable<{ readonly stream: string; readonly data: unknown }>): Promise<number[]> {
    const numbers: number[] = []
    for await (const event of reading) if (event.stream === 'kept') numbers.push((event.data as { number: number }).number)
    return numbers
  }

  beforeAll(async () => {
    directory = mkdtempSync(join(tmpdir(), 'tailrace-many-'))
    store = await open()
    await store.setMetadata('faded', { maxCount: 1 })
    const filler = 'x'.repeat(3500)
    const appends = Array.from({ length: CHUNKS }, (_, number) =>
      store.append(number % EVERY === 0 ? 'kept' : 'faded', { type: 'Filled', data: { number, filler } }),
    )
    await Promise.all(appends)
  }, 120_000)

  afterAll(async () => {
    await store.close()
    rmSync(directory, { recursive: true, force: true })
  })

  const expected = Array.from({ length: CHUNKS / EVERY }, (_, index) => index * EVERY)

  test('has a bounded number of files open', async () => {
    expect(store.lastPosition).toBeGreaterThan(CHUNKS * 3500)
    await expect.poll(descriptors).toBeLessThanOrEqual(MOST_OPEN)
  })

  test('shows all events, forwards and backwards', async () => {
    expect(await keptNumbers(store.readStream('kept'))).toEqual(expected)
    expect(await keptNumbers(store.readAll({ direction: 'backwards' }))).toEqual([...expected].reverse())
  })

  test('shows them to who reads while all of it is scavenged', { timeout: 120_000 }, async () => {
    const readers = Array.from({ length: 4 }, () => keptNumbers(store.readAll()))
    const scavenging = store.scavenge()
    const later = keptNumbers(store.readStream('kept'))
    for (const numbers of await Promise.all([...readers, later])) expect(numbers).toEqual(expected)
    await scavenging
    expect(await keptNumbers(store.readAll())).toEqual(expected)
    await expect.poll(descriptors).toBeLessThanOrEqual(MOST_OPEN)
  })

  test('is opened with as few', { timeout: 120_000 }, async () => {
    await store.close()
    store = await open()
    await expect.poll(descriptors).toBeLessThanOrEqual(MOST_OPEN)
    expect(await keptNumbers(store.readAll())).toEqual(expected)
  })
})
