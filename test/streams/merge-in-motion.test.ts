import { expect, test } from 'vitest'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { INDEX_PAGE_SIZE } from '../../src/format/index-pages.ts'
import { openStore, order, SMALL_CHUNKS, sized } from '../store/words.ts'
import { Random } from '../support/random.ts'

const SEED = 'merge in motion'
const NAMES = Array.from({ length: 40 }, (_, i) => `stream-${i}`)
const EVENTS_PER_STREAM = 12

/** Files of a store whose index files are gone: they are made again at open, and merged while it is in use. */
async function withoutIndexFiles(): Promise<Map<string, Uint8Array>> {
  const disk = new MemoryDisk()
  const store = await openStore(disk, SMALL_CHUNKS)
  for (let turn = 0; turn < EVENTS_PER_STREAM; turn++) {
    for (const name of NAMES) await store.append(name, { ...order(turn), type: `type-${turn}` })
    await store.append('filler', sized(2000))
  }
  await store.close()
  const files = disk.snapshot()
  for (const path of files.keys()) if (path.endsWith('.index')) files.delete(path)
  return files
}

/** Single pages come late, so that merges, which read many at once, are done between two of them. */
function slowInAnswers(disk: MemoryDisk): MemoryDisk {
  const open = disk.open.bind(disk)
  disk.open = async (path, mode) => {
    const file = await open(path, mode)
    const read = file.read.bind(file)
    file.read = async (target, offset) => {
      if (target.length === INDEX_PAGE_SIZE) for (let wait = 0; wait < 20; wait++) await new Promise(setImmediate)
      return read(target, offset)
    }
    return file
  }
  return disk
}

test(`whoever asks the index by and by finds all, while merges replace the files that he asks (seed ${SEED})`, async () => {
  const files = await withoutIndexFiles()
  const random = new Random(SEED)
  for (let turn = 0; turn < 20; turn++) {
    const disk = slowInAnswers(new MemoryDisk(files))
    const store = await openStore(disk, { ...SMALL_CHUNKS, cacheBytes: 0 })
    const list = async () => {
      const found: string[] = []
      for await (const { stream } of store.streams()) found.push(stream)
      expect(found.sort()).toEqual([...NAMES, 'filler'].sort())
    }
    const read = async (name: string) => {
      const from = turn % 2 === 0 ? 0 : 3
      const revisions: number[] = []
      for await (const { revision } of store.readStream(name, { from })) revisions.push(revision)
      expect(revisions).toEqual(Array.from({ length: EVENTS_PER_STREAM - from }, (_, i) => from + i))
    }
    const conflict = async (name: string) => {
      const condition = { failIf: { streams: [name], types: ['type-3'] }, after: 0 }
      await expect(store.append(name, order(0), { condition })).rejects.toMatchObject({ code: 'CONDITION_FAILED' })
    }
    const later = async (work: () => Promise<void>) => {
      for (let wait = random.int(30); wait > 0; wait--) await new Promise(setImmediate)
      await work()
    }
    await Promise.all([
      ...Array.from({ length: 20 }, () => later(list)),
      ...NAMES.flatMap(name => [later(() => read(name)), later(() => conflict(name)), later(() => read(name))]),
    ])
    await store.close()
    expect(await disk.list('/data').then(names => names.filter(name => name.endsWith('.tmp')))).toEqual([])
  }
})

test('when nobody has appended for a while, there are fewer files to look into', async () => {
  const disk = new MemoryDisk()
  const store = await openStore(disk, SMALL_CHUNKS)
  // Five chunks are complete: under load there would be a file of four of them, and one of the fifth.
  for (let turn = 0; turn < 6; turn++) await store.append('filler', sized(1900))
  const files = async () => (await disk.list('/data')).filter(name => name.endsWith('.index'))
  await expect.poll(files).toEqual(['000000-000004.index'])
  await store.close()
})
