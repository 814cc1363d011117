import { beforeAll, describe, expect, test } from 'vitest'
import type { CorruptLogError } from '../../src/core/errors.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { rejectionOf } from '../support/promises.ts'
import { eventsOf, typesIn } from '../support/readings.ts'
import { appendEvents, changed, contentOf, DIRECTORY, fileOf, openStore } from '../support/store-content.ts'

const options = { chunkSizeBytes: 4096 }
type Content = Map<string, Uint8Array>
const types = Array.from({ length: 11 }, (_, index) => String(index))

/** Eleven events in chunks 0 to 2, completed, and 3; and the same of another store. */
let content: Content
let foreign: Content
beforeAll(async () => {
  content = await contentOf(store => appendEvents(store, 11, 1000), options)
  foreign = await contentOf(store => appendEvents(store, 11, 1000), options)
})

const without = (...numbers: number[]) => numbers.reduce((left, number) => changed(left, fileOf(number), () => null), content)
const copied = (from: Content, source: number, target: number) =>
  changed(content, fileOf(target), () => from.get(fileOf(source))!)
const damaged = (number: number, change: (bytes: Uint8Array) => unknown) => changed(content, fileOf(number), change)
const flipped = (at: number) => (bytes: Uint8Array) => {
  bytes[at < 0 ? bytes.length + at : at]! ^= 4
}

test('the scene: three completed chunks and one being filled', async () => {
  expect([...content.keys()].filter(path => path.endsWith('.chunk'))).toEqual([0, 1, 2, 3].map(fileOf))
  expect(await typesIn(await openStore(content, options))).toEqual(types)
})

/** What was done to the directory, and which file the refusal names. */
const refused: [string, () => Content, string, RegExp][] = [
  ['the first chunk is missing', () => without(0), fileOf(0), /missing/],
  ['a chunk in the middle is missing', () => without(1), fileOf(1), /missing/],
  ['two in the middle are missing', () => without(1, 2), fileOf(1), /missing/],
  ['the last chunk is missing', () => without(3), fileOf(3), /missing/],
  ['the last two are missing', () => without(2, 3), fileOf(2), /missing/],
  ['all are missing, and the hint is there', () => without(0, 1, 2, 3), fileOf(0), /missing/],
  ['a chunk of another store stands in the middle', () => copied(foreign, 1, 1), fileOf(1), /another store/],
  ['a chunk of another store stands at the end', () => copied(foreign, 3, 3), fileOf(3), /another store/],
  ['a chunk stands at the place of another', () => copied(content, 1, 2), fileOf(2), /number 1/],
  ['a completed chunk stands at the end once more', () => copied(content, 2, 4), fileOf(4), /number 2/],
  ['a chunk is there behind a gap', () => copied(content, 3, 9), fileOf(4), /missing/],
  ['the first chunk is empty', () => damaged(0, () => new Uint8Array(0)), fileOf(0), /0 bytes/],
  ['a chunk in the middle is empty', () => damaged(1, () => new Uint8Array(0)), fileOf(1), /0 bytes/],
  ['the last chunk, which had records, is empty', () => damaged(3, () => new Uint8Array(0)), fileOf(3), /0 bytes/],
  ['a header in the middle is damaged', () => damaged(1, flipped(41)), fileOf(1), /header/],
  ['the header of the last chunk, which has records, is damaged', () => damaged(3, flipped(41)), fileOf(3), /header/],
  ['a header is zeros', () => damaged(1, bytes => bytes.fill(0, 0, 128)), fileOf(1), /zeros/],
  ['a footer is damaged', () => damaged(1, flipped(-20)), fileOf(1), /footer/],
  ['a block table is damaged', () => damaged(1, flipped(-66)), fileOf(1), /footer/],
  ['a completed chunk is shorter by a byte', () => damaged(1, bytes => bytes.slice(0, -1)), fileOf(1), /footer/],
  [
    'a completed chunk is longer by a byte',
    () => damaged(1, bytes => Buffer.concat([bytes, Buffer.from([0])])),
    fileOf(1),
    /footer/,
  ],
  ['a completed chunk lost its second half', () => damaged(1, bytes => bytes.slice(0, bytes.length / 2)), fileOf(1), /footer/],
]

describe('opening is refused, the file is named, and nothing is changed, when', () => {
  test.each(refused)('%s', async (_, made, file, found) => {
    const directory = made()
    const disk = new MemoryDisk(directory)
    for (const mode of [options, options, { ...options, readOnly: true }]) {
      const refusal = await rejectionOf<CorruptLogError>(openStore(disk, mode))
      expect(refusal).toMatchObject({ code: 'CORRUPT_LOG', file })
      expect(refusal.found).toMatch(found)
    }
    const left = disk.snapshot()
    for (const [path, bytes] of directory) expect(Buffer.compare(left.get(path)!, bytes), path).toBe(0)
    // Locks are free again, and an opener that finds the files back in their places finds everything.
    expect(await typesIn(await openStore(content, options))).toEqual(types)
  })
})

describe('a completed chunk with damage inside', () => {
  test.each([130, 700, 2000])('at %i: reads of it throw, none ends early, and the others go on', async offset => {
    const store = await openStore(damaged(1, flipped(offset)), options).catch((error: CorruptLogError) => error)
    // Opening reads all chunks, as long as nothing keeps the index: it may refuse, too.
    if (store instanceof Error) expect(store).toMatchObject({ code: 'CORRUPT_LOG', file: fileOf(1) })
    else {
      expect(await rejectionOf(eventsOf(store))).toMatchObject({ code: 'CORRUPT_LOG', file: fileOf(1) })
    }
  })
})

describe('what a crash amid a roll-over leaves is repaired', () => {
  /** A store that was about to go to chunk 1: what stands there can be made anew. */
  const beforeRollOver = () => contentOf(store => appendEvents(store, 2, 1000), options)

  test.each<[string, (bytes: Uint8Array) => unknown]>([
    ['no bytes', () => new Uint8Array(0)],
    ['zeros', () => new Uint8Array(4096)],
    ['half a header', bytes => bytes.slice(0, 60)],
    ['a damaged header', flipped(20)],
  ])('the next chunk has %s and no record', async (_, change) => {
    const filled = await contentOf(store => appendEvents(store, 3, 1000), options)
    expect(filled.has(fileOf(1))).toBe(true)
    const disk = new MemoryDisk(changed(filled, fileOf(1), change))
    for (let attempt = 0; attempt < 2; attempt++) {
      const store = await openStore(disk, options)
      expect(await typesIn(store)).toEqual(attempt === 0 ? ['0', '1', '2'] : ['0', '1', '2', '3', '4', '5'])
      await appendEvents(store, 3, 1000, 3 + attempt * 3)
      await store.close()
    }
  })

  test('unfinished chunks are removed, other files are left alone', async () => {
    const base = await beforeRollOver()
    const notes = fileOf('notes.txt')
    const leftovers = [fileOf('000001.chunk.tmp'), fileOf('000000.chunk.tmp')]
    const littered = new Map([...base, [notes, Buffer.from('mine')], [fileOf('copy.chunk'), Buffer.from('mine')]])
    for (const path of leftovers) littered.set(path, base.get(fileOf(0))!)
    const disk = new MemoryDisk(littered)
    const store = await openStore(disk, options)
    expect(await typesIn(store)).toEqual(['0', '1'])
    await appendEvents(store, 4, 1000, 2)
    await store.close()
    const left = [...disk.snapshot().keys()]
    expect(left).toContain(notes)
    expect(left).toContain(fileOf('copy.chunk'))
    for (const path of leftovers) expect(left).not.toContain(path)
  })

  test('a store of which nothing but an unfinished chunk exists is made anew', async () => {
    const disk = new MemoryDisk(new Map([[`${DIRECTORY}/000000.chunk.tmp`, new Uint8Array(50).fill(1)]]))
    const store = await openStore(disk, options)
    expect(store.recovery).toMatchObject({ events: 0 })
    await appendEvents(store, 1)
    await store.close()
    expect([...disk.snapshot().keys()]).not.toContain(`${DIRECTORY}/000000.chunk.tmp`)
  })

  test('an empty chunk of another size behind the last one is made anew in the wanted size', async () => {
    const filled = await contentOf(store => appendEvents(store, 3, 1000), options)
    const store = await openStore(filled, { chunkSizeBytes: 16_384 })
    await appendEvents(store, 4, 2000, 3)
    expect(await typesIn(store)).toEqual(['0', '1', '2', '3', '4', '5', '6'])
  })
})
