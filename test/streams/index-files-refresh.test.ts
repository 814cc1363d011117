import { describe, expect, test } from 'vitest'
import type { LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { INDEX_PAGE_SIZE } from '../../src/format/index-pages.ts'
import { ActiveIndex } from '../../src/streams/active-index.ts'
import { settle } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { CHUNK_SIZE, DIRECTORY, IndexStage } from './index-files-stage.ts'
import { expectAnswers, hashOfName } from './index-model.ts'

const NAMES = ['a', 'b', 'c', 'd', 'e']

/** A stage whose generations are all there, so that sums have no holes. */
function stage(): IndexStage {
  const made = new IndexStage()
  made.generations.push(0, 0, 0, 0)
  return made
}

async function grow(made: IndexStage, files: Awaited<ReturnType<IndexStage['open']>>): Promise<void> {
  made.growChunk(new Random(`chunk ${made.chunkCount}`), 100, NAMES)
  await made.addChunks(files)
  await files.settled()
}

function indexFiles(disk: MemoryDisk | SimulatedDisk): string[] {
  return [...disk.snapshot().keys()].filter(path => path.includes('.index')).map(path => path.slice(DIRECTORY.length + 1))
}

async function damage(disk: SimulatedDisk, name: string): Promise<void> {
  const file = await disk.open(`${DIRECTORY}/${name}`, 'write')
  const pages = (await file.size()) / INDEX_PAGE_SIZE
  for (let page = 1; page < pages; page++) await file.write(new Uint8Array(1).fill(0xff), page * INDEX_PAGE_SIZE + 3)
  await file.close()
}

/** A chunk whose index file could not be written, on a full disk, and which was then rewritten. Now there is room. */
async function unwrittenAndRewritten() {
  const disk = new SimulatedDisk()
  await disk.makeDirectory(DIRECTORY)
  const made = stage()
  const files = await made.open(disk)
  const fault = disk.failNext({ op: 'write', path: '.index', error: 'ENOSPC', times: 'forever' })
  made.growChunk(new Random('full'), 100, NAMES)
  await made.addChunks(files).catch(() => {})
  fault.clear()
  made.rewriteChunk(0)
  return { disk, made, files }
}

describe('the index file of a chunk that was rewritten', () => {
  test('is made anew, also when it covers others, and fits at the next open', async () => {
    const disk = new MemoryDisk()
    await disk.makeDirectory(DIRECTORY)
    const made = stage()
    const files = await made.open(disk)
    for (let chunk = 0; chunk < 3; chunk++) await grow(made, files)
    made.rewriteChunk(1)
    await files.refresh([1])
    await expectAnswers(files.parts, made.model.events, NAMES)
    await files.close()
    made.scans.length = 0
    const again = await made.open(disk)
    expect(again.missing).toEqual([])
    await again.settled()
    await expectAnswers(again.parts, made.model.events, NAMES)
    expect(made.scans).toEqual([])
    await again.close()
  })

  test('keeps the time of the last event that is left, though nothing of the chunks behind it is', async () => {
    const disk = new MemoryDisk()
    await disk.makeDirectory(DIRECTORY)
    const made = stage()
    const files = await made.open(disk)
    await grow(made, files)
    const { position } = made.model.events.at(-1)!
    const stubs = new ActiveIndex(CHUNK_SIZE as LogPosition)
    stubs.add(stubs.slotOf(Buffer.from('gone'), 0, 4, hashOfName('gone')), 0, CHUNK_SIZE + 128)
    await files.add(stubs, (2 * CHUNK_SIZE) as LogPosition, 'complete')
    await files.settled()
    expect(indexFiles(disk)).toEqual(['000000-000001.index'])
    expect(files.parts.map(({ lastCreatedMs }) => lastCreatedMs)).toEqual([position])
    await files.close()
  })

  test('is not merged before that: the merged one would pass for a file of the new chunk', async () => {
    const disk = new MemoryDisk()
    await disk.makeDirectory(DIRECTORY)
    const made = stage()
    const files = await made.open(disk)
    await grow(made, files)
    made.rewriteChunk(0)
    await grow(made, files)
    expect(indexFiles(disk).sort()).toEqual(['000000-000000.index', '000001-000001.index'])
    await files.refresh([0])
    await files.settled()
    expect(indexFiles(disk)).toEqual(['000000-000001.index'])
    await expectAnswers(files.parts, made.model.events, NAMES)
    await files.close()
  })

  test('is made from the new chunk, too, when the old one could never be written', async () => {
    const { disk, made, files } = await unwrittenAndRewritten()
    await files.refresh([0])
    await expectAnswers(files.parts, made.model.events, NAMES)
    expect(indexFiles(disk)).toEqual(['000000-000000.index'])
    await files.close()
  })

  test('is made anew by the next open, too, when the old one was written only behind that', async () => {
    const { disk, made, files } = await unwrittenAndRewritten()
    await grow(made, files)
    expect(indexFiles(disk).sort()).toEqual(['000000-000000.index', '000001-000001.index'])
    await files.close()
    const again = await made.open(disk)
    expect(again.missing.map(({ number }) => number)).toEqual([0])
    await again.rebuild()
    await expectAnswers(again.parts, made.model.events, NAMES)
    await again.close()
  })
})

test('is made anew though somebody meets damage in the old one meanwhile', async () => {
  const disk = new SimulatedDisk()
  await disk.makeDirectory(DIRECTORY)
  const made = stage()
  const files = await made.open(disk, { cacheBytes: 0 })
  for (let chunk = 0; chunk < 2; chunk++) await grow(made, files)
  made.rewriteChunk(1)
  await damage(disk, '000000-000001.index')
  const parts = files.retain()
  const held = disk.hold('write', { path: '.tmp' })
  const refreshed = files.refresh([1])
  await held.reached
  const answered = expectAnswers(parts, made.model.events, NAMES)
  await settle()
  held.release()
  await Promise.all([refreshed, answered])
  await expectAnswers(files.parts, made.model.events, NAMES)
  expect(made.failures).toEqual([])
  files.release(parts)
  await files.close()
})

test('is gone when the new one is there, though it was merged meanwhile', async () => {
  const disk = new SimulatedDisk()
  await disk.makeDirectory(DIRECTORY)
  const made = stage()
  const files = await made.open(disk)
  await grow(made, files)
  const held = disk.hold('close', { path: '000000-000000' })
  made.growChunk(new Random('another'), 100, NAMES)
  await made.addChunks(files)
  await held.reached
  made.rewriteChunk(0)
  let isRefreshed = false
  const refreshed = files.refresh([0]).then(() => {
    isRefreshed = true
  })
  await settle()
  expect(isRefreshed).toBe(false)
  held.release()
  await refreshed
  expect(indexFiles(disk)).toEqual(['000000-000001.index'])
  await files.close()
})

test('a close waits for the files of which others are just letting go', async () => {
  const disk = new SimulatedDisk()
  await disk.makeDirectory(DIRECTORY)
  const made = stage()
  const files = await made.open(disk)
  await grow(made, files)
  const held = disk.hold('close', { path: '000000-000000' })
  made.growChunk(new Random('another'), 100, NAMES)
  await made.addChunks(files)
  await held.reached
  let isClosed = false
  const closing = files.close().then(() => {
    isClosed = true
  })
  await settle()
  expect(isClosed).toBe(false)
  held.release()
  await closing
  expect(disk.openPaths).toEqual([])
})

test('a file that was merged, and that a reader lets go of late, does not take along a new one of its name', async () => {
  const disk = new SimulatedDisk()
  await disk.makeDirectory(DIRECTORY)
  const made = stage()
  const files = await made.open(disk)
  await grow(made, files)
  const parts = files.retain()
  await grow(made, files)
  expect(indexFiles(disk)).toContain('000000-000000.index')
  made.rewriteChunk(1)
  // The file of all is made of files for each: the first has its name, and is about to be opened.
  const opening = disk.hold('open', { path: '000000-000000.index', nth: 2 })
  const refreshed = files.refresh([1])
  await opening.reached
  files.release(parts)
  await settle()
  opening.release()
  await refreshed
  await files.settled()
  expect(made.failures).toEqual([])
  await expectAnswers(files.parts, made.model.events, NAMES)
  await files.close()
  expect(indexFiles(disk)).toEqual(['000000-000001.index'])
  expect(disk.openPaths).toEqual([])
})
