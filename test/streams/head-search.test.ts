import { expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { HeadSearch } from '../../src/streams/head-search.ts'
import { StreamIndex } from '../../src/streams/stream-index.ts'
import { failingReads } from '../support/failing-reads.ts'
import { Random } from '../support/random.ts'
import { CHUNK_SIZE, DIRECTORY, IndexStage } from './index-files-stage.ts'
import { COLLIDING, hashOfName, type ModelEvent } from './index-model.ts'

const SEED = process.env['SEED'] ?? '1'
const CHUNK_COUNT = 7
const NAMES = [...COLLIDING.flat(), ...Array.from({ length: 300 }, (_, i) => `stream-${i}`)]

/** A disk with the index files of some chunks, and the events in them: runs that stand in their entry, longer ones, and runs with holes. */
async function stageOf(random: Random, inFirst: readonly string[] = NAMES): Promise<{ stage: IndexStage; disk: MemoryDisk }> {
  const disk = new MemoryDisk()
  await disk.makeDirectory(DIRECTORY)
  const stage = new IndexStage()
  for (let chunk = 0; chunk < CHUNK_COUNT; chunk++) {
    stage.growChunk(
      random,
      400,
      chunk === 0 ? inFirst : chunk % 2 === 0 ? NAMES : [...NAMES.slice(0, 30), ...NAMES.slice(0, 4)],
      chunk % 3 === 2,
    )
  }
  const files = await stage.open(disk, { chunkCount: 0 })
  await stage.addChunks(files)
  await files.settled()
  await files.close()
  return { stage, disk }
}

/** An index over the files of `disk`; the searches that are done with it find pages in a cache of so many bytes. */
async function indexOn(stage: IndexStage, disk: MemoryDisk, cacheBytes: number) {
  const files = await stage.open(disk, { cacheBytes })
  const chunks = {
    find: (position: LogPosition) => {
      const start = (Math.floor(position / CHUNK_SIZE) * CHUNK_SIZE) as LogPosition
      return { start, end: (start + CHUNK_SIZE) as LogPosition }
    },
  }
  return { files, index: new StreamIndex(chunks, files, files.end) }
}

/** One search, used again and again. */
class Searching {
  readonly #search: HeadSearch
  #settle: (error: unknown) => void = () => {}
  waitCount = 0

  constructor(index: StreamIndex) {
    this.#search = new HeadSearch(index, error => this.#settle(error))
  }

  async endOf(stream: string): Promise<{ revision: number; position: number }> {
    const ended = new Promise((resolve, reject) => {
      this.#settle = error => (error === null ? resolve(null) : reject(error))
    })
    if (!this.#search.begin(Buffer.from(stream), hashOfName(stream))) {
      this.waitCount++
      await ended
    }
    return { revision: this.#search.lastRevision, position: this.#search.lastPosition }
  }
}

function endIn(events: readonly ModelEvent[], stream: string): { revision: number; position: number } {
  const last = events.filter(event => event.stream === stream).at(-1)
  return last === undefined ? { revision: -1, position: 0 } : { revision: last.revision, position: last.position }
}

/** Every stream, and one that nobody ever wrote. */
async function expectEnds(searching: readonly Searching[], events: readonly ModelEvent[], random: Random): Promise<void> {
  const names = random.shuffle([...NAMES, ...NAMES, 'nobody'])
  await Promise.all(
    searching.map(async one => {
      for (let name = names.pop(); name !== undefined; name = names.pop()) {
        expect(await one.endOf(name), name).toEqual(endIn(events, name))
      }
    }),
  )
}

test.each([
  ['no cache', 0],
  ['a cache of three pages', 3 * 4096],
  ['all pages in memory', 1 << 20],
])(`finds where each stream ends, with %s (SEED=${SEED})`, async (_, cacheBytes) => {
  const random = new Random(`${SEED}/ends`)
  const { stage, disk } = await stageOf(random)
  const { files, index } = await indexOn(stage, disk, cacheBytes)
  const searching = Array.from({ length: 9 }, () => new Searching(index))
  await expectEnds(searching, stage.model.events, random)
  expect(searching.some(({ waitCount }) => waitCount > 0)).toBe(true)
  if (cacheBytes > 1e6) {
    const before = searching.map(({ waitCount }) => waitCount)
    await expectEnds(searching, stage.model.events, random)
    expect(searching.map(({ waitCount }) => waitCount)).toEqual(before)
  }
  await files.close()
})

test(`finds it in a file that turns out to be damaged, which is made again (SEED=${SEED})`, async () => {
  const random = new Random(`${SEED}/damage`)
  const { stage, disk } = await stageOf(random)
  const damaged = new Map([...disk.snapshot()].map(([path, bytes]) => [path, new Uint8Array(bytes)]))
  for (const bytes of damaged.values()) for (let page = 1; page < bytes.length / 4096; page++) bytes[page * 4096 + 100]! ^= 1
  stage.scans.length = 0
  const { files, index } = await indexOn(stage, new MemoryDisk(damaged), 0)
  await expectEnds(
    Array.from({ length: 9 }, () => new Searching(index)),
    stage.model.events,
    random,
  )
  expect(stage.scans.sort((a, b) => a - b)).toEqual(Array.from({ length: CHUNK_COUNT }, (_, chunk) => chunk * CHUNK_SIZE))
  await files.close()
})

test('tells that a page could not be read, and finds the next stream', async () => {
  const { stage, disk } = await stageOf(new Random('fails'))
  const reads = failingReads(disk)
  const { files, index } = await indexOn(stage, disk, 0)
  const searching = new Searching(index)
  reads.areFailing = true
  await expect(searching.endOf(NAMES[0]!)).rejects.toMatchObject({ code: 'READ_FAILED' })
  reads.areFailing = false
  expect(await searching.endOf(NAMES[0]!)).toEqual(endIn(stage.model.events, NAMES[0]!))
  await files.close()
})

test('keeps the files that it asks open, though a merge replaces them meanwhile', async () => {
  const { stage, disk } = await stageOf(new Random('merge'), ['oldest'])
  let isWaiting = false
  let mergeDone: () => void = () => {}
  const merged = new Promise<void>(resolve => {
    mergeDone = resolve
  })
  let failedCount = 0
  const open = disk.open.bind(disk)
  disk.open = async (path, mode) => {
    const file = await open(path, mode)
    const read = file.read.bind(file)
    file.read = async (target, offset) => {
      if (isWaiting) {
        isWaiting = false
        await merged
      }
      return read(target, offset).catch(error => {
        failedCount++
        throw error
      })
    }
    return file
  }
  const { files, index } = await indexOn(stage, disk, 0)
  await files.settled()
  // It asks the newest part first, and waits there for its page.
  isWaiting = true
  const end = new Searching(index).endOf('oldest')
  // With two more chunks, all nine are merged into one file.
  for (let chunk = 0; chunk < 2; chunk++) stage.growChunk(new Random('grow'), 50, ['another'])
  await stage.addChunks(files)
  files.rested()
  await files.settled()
  expect((await disk.list(DIRECTORY)).filter(name => name.endsWith('.index'))).toContain('000000-000008.index')
  mergeDone()
  expect(await end).toEqual(endIn(stage.model.events, 'oldest'))
  expect(failedCount).toBe(0)
  await files.close()
})
