/** Stores that were written by each version of the format, as real files: what was written once is read for ever. */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { EventStore } from '../../src/store/event-store.ts'
import { type DescribedStore, describeEvent, describeStore } from '../fixtures/describe-store.ts'
import { all, order } from '../store/words.ts'

const FIXTURES = fileURLToPath(new URL('../fixtures', import.meta.url))
const versions = readdirSync(FIXTURES).filter(name => /^format-v\d+$/.test(name))

test('there is a golden store of every version', () => {
  expect(versions).toContain('format-v1')
})

describe.each(versions)('the golden store of %s', version => {
  const golden = join(FIXTURES, version)
  const expected = JSON.parse(readFileSync(join(golden, 'expected.json'), 'utf8')) as DescribedStore
  let directory: string

  const filesIn = (path: string) =>
    new Map(
      readdirSync(path)
        .filter(name => /\.chunk$|^flushed$/.test(name))
        .map(name => [name, readFileSync(join(path, name))]),
    )

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'tailrace-golden-'))
    cpSync(golden, directory, { recursive: true })
  })

  afterEach(() => {
    rmSync(directory, { recursive: true, force: true })
  })

  test('has what there is to have: chunks, completed and not, events of all kinds', () => {
    const chunks = [...filesIn(golden)].filter(([name]) => name.endsWith('.chunk'))
    const completed = chunks.filter(([, bytes]) => bytes.toString('latin1', bytes.length - 64, bytes.length - 56) === 'TRFOOTER')
    expect(completed.length).toBeGreaterThan(1)
    expect(completed.length).toBeLessThan(chunks.length)
    expect(new Set(chunks.map(([, bytes]) => Number(bytes.readBigUInt64LE(48)))).size).toBe(2)
    expect(new Set(expected.events.map(event => event.contentType))).toEqual(new Set(['json', 'binary']))
    expect(expected.events.length).toBeGreaterThan(100)
  })

  test('is read as it was written, and left byte for byte as it is', async () => {
    const store = await EventStore.open(directory, { readOnly: true })
    expect(await describeStore(store)).toEqual(expected)
    expect(store.recovery).toMatchObject({ clean: true, events: expected.events.length, truncatedBytes: 0 })
    await store.close()
    expect(filesIn(directory)).toEqual(filesIn(golden))
  })

  test('is read backwards, and stream by stream', async () => {
    const store = await EventStore.open(directory, { readOnly: true })
    const backwards = (await all(store.readAll({ direction: 'backwards', includeSystem: true }))).map(describeEvent)
    expect(backwards.reverse()).toEqual(expected.events)
    for (const [stream, head] of Object.entries(expected.heads)) {
      const events = (await all(store.readStream(stream))).map(describeEvent)
      expect(events).toEqual(expected.events.filter(event => event.stream === stream))
      expect(events.at(-1)!.revision).toBe(head)
    }
    await store.close()
  })

  test('is opened for writing, says that the last close was clean, and goes on where it ended', async () => {
    const store = await EventStore.open(directory)
    expect(store.recovery).toMatchObject({ clean: true, events: expected.events.length, truncatedBytes: 0 })
    expect(await describeStore(store)).toEqual(expected)
    const head = expected.heads['order-1']!
    expect((await store.append('order-1', order(0), { expectedRevision: head })).firstRevision).toBe(head + 1)
    await store.close()
    const again = await EventStore.open(directory)
    expect((await describeStore(again)).events.slice(0, -1)).toEqual(expected.events)
    await again.close()
  })

  test('is read without its hint', async () => {
    rmSync(join(directory, 'flushed'))
    const store = await EventStore.open(directory)
    expect(await describeStore(store)).toEqual(expected)
    await store.close()
  })

  test('is not believed with one bit turned in any of its chunks', async () => {
    for (const [name, bytes] of filesIn(golden)) {
      if (!name.endsWith('.chunk') || bytes.length < 1000) continue
      cpSync(golden, directory, { recursive: true })
      const rotten = Buffer.from(bytes)
      rotten[700]! ^= 0x20
      writeFileSync(join(directory, name), rotten)
      await expect(EventStore.open(directory, { readOnly: true }), name).rejects.toMatchObject({ code: 'CORRUPT_LOG' })
    }
  })
})
