import { describe, expect, test } from 'vitest'
import { CorruptLogError } from '../../src/core/errors.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import type { Disk, DiskFile, OpenMode } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { FilePart, mendAmong } from '../../src/streams/file-part.ts'
import type { IndexFiles } from '../../src/streams/index-files.ts'
import type { IndexPart, StreamCursor } from '../../src/streams/index-part.ts'
import { CrashModel } from '../support/crash-states.ts'
import { settle } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { CHUNK_SIZE, DIRECTORY, IndexStage } from './index-files-stage.ts'
import { COLLIDING, expectAnswers, hashOfName } from './index-model.ts'

const SEED = 'index files'
const NAMES = [...Array.from({ length: 300 }, (_, i) => `stream-${i}`), ...COLLIDING.flat(), 'ü'.repeat(512)]
const FEW = ['hot', 'warm', ...COLLIDING.flat()]

/** As a real disk, where each open file takes a descriptor. */
class CountingDisk extends MemoryDisk {
  openCount = 0
  mostOpen = 0

  override async open(path: string, mode: OpenMode): Promise<DiskFile> {
    const file = await super.open(path, mode)
    this.mostOpen = Math.max(this.mostOpen, ++this.openCount)
    const close = file.close.bind(file)
    file.close = () => {
      this.openCount--
      return close()
    }
    return file
  }
}

async function directoryOnDisk(): Promise<MemoryDisk> {
  const disk = new MemoryDisk()
  await disk.makeDirectory(DIRECTORY)
  return disk
}

async function placesOf(parts: readonly IndexPart[], name: string): Promise<number[]> {
  const places: number[] = []
  for (const part of parts) {
    const run = await part.find(Buffer.from(name), hashOfName(name))
    if (run !== null) places.push(...(await part.events(run, 0, run.eventCount)).positions)
  }
  return places
}

/** Tells each of the chunks that it does not know, and waits for its work. */
async function addInTurn(stage: IndexStage, all: readonly IndexFiles[]): Promise<void> {
  for (const files of all) {
    await stage.addChunks(files)
    await files.settled()
  }
}

/** Those of a store that follows which it has made itself. */
function partsInMemory(follower: IndexFiles, disk: Disk): FilePart[] {
  return follower.parts.filter((part): part is FilePart => part instanceof FilePart && part.disk !== disk)
}

describe('index files', () => {
  test.each([
    1, 2, 3, 5, 8, 9,
  ])(`of %d chunks answer as the model does, after merging and after another open (seed ${SEED})`, async count => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const random = new Random(`${SEED}/${count}`)
    const files = await stage.open(disk)
    for (let chunk = 0; chunk < count; chunk++) {
      stage.growChunk(random, 400, chunk % 3 === 2 ? FEW : NAMES, chunk % 4 === 3)
      await stage.addChunks(files)
    }
    await files.settled()
    expect(files.parts.length).toBeLessThanOrEqual(Math.floor(Math.log2(count)) + 1)
    await expectAnswers(files.parts, stage.model.events, NAMES)
    files.rested()
    await files.settled()
    expect(files.parts.length).toBeLessThanOrEqual(2)
    await expectAnswers(files.parts, stage.model.events, NAMES)
    await files.close()
    for (const cacheBytes of [0, 8192, 1 << 20]) {
      const again = await stage.open(disk, { cacheBytes })
      expect(again.missing).toEqual([])
      expect(again.cachedBytes).toBeLessThanOrEqual(cacheBytes)
      await expectAnswers(again.parts, stage.model.events, NAMES)
      expect(again.cachedBytes).toBeLessThanOrEqual(cacheBytes)
      await again.close()
    }
    expect((await disk.list(DIRECTORY)).length).toBeLessThanOrEqual(2)
    expect([stage.scans, stage.failures]).toEqual([[], []])
  })

  test.each(['rebuilt', 'refreshed'])('of hundreds of chunks that are %s have few files open at a time', async how => {
    const disk = new CountingDisk()
    await disk.makeDirectory(DIRECTORY)
    const stage = new IndexStage()
    const random = new Random(SEED)
    for (let chunk = 0; chunk < 300; chunk++) stage.growChunk(random, 3, NAMES)
    stage.generations.push(...Array.from({ length: 300 }, () => 0))
    const files = await stage.open(disk)
    await files.rebuild()
    await files.settled()
    if (how === 'refreshed') {
      stage.rewriteChunk(17)
      disk.mostOpen = 0
      await files.refresh([17])
    }
    expect(disk.mostOpen).toBeLessThan(100)
    await expectAnswers(files.parts, stage.model.events, NAMES)
    await files.close()
    expect(disk.openCount).toBe(0)
    expect((await disk.list(DIRECTORY)).length).toBeLessThanOrEqual(4)
    const again = await stage.open(disk)
    expect(again.missing).toEqual([])
    await again.close()
    expect(stage.failures).toEqual([])
  })

  test('of one stream with thousands of events, dense and with holes', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const files = await stage.open(disk, { cacheBytes: 20_000 })
    stage.model.grow(new Random(SEED), 128, 3000, ['one', 'two'])
    stage.chunkCount = 10
    stage.model.grow(new Random(SEED), 10 * CHUNK_SIZE, 3000, ['two', 'three'], true)
    stage.chunkCount = 20
    await stage.addChunks(files)
    await files.settled()
    await expectAnswers(files.parts, stage.model.events, ['four'])
    await files.close()
  })

  test('of sixty thousand streams have a directory, and a filter of several pages', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const names = Array.from({ length: 60_000 }, (_, i) => `a-rather-long-stream-name-${i}`)
    for (const [i, stream] of names.entries()) {
      stage.model.events.push({ stream, type: `type-${i % 3000}`, revision: 0, position: 128 + i, id: null })
    }
    stage.chunkCount = 1
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    for (const part of files.parts) {
      for (const { stream, position } of stage.model.events) {
        const run = await part.find(Buffer.from(stream), hashOfName(stream))
        if (run?.lastPosition !== position) expect([stream, run?.lastPosition]).toEqual([stream, position])
      }
      for (let i = 0; i < 1000; i++) expect(await part.find(Buffer.from(`absent-${i}`), hashOfName(`absent-${i}`))).toBeNull()
    }
    expect(await files.parts[0]!.lastOfType(Buffer.from('type-2999'))).toBe(128 + 59_999)
    await files.close()
  })

  test(`answer all who ask at once, whatever pages their questions push out (seed ${SEED})`, async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const random = new Random(SEED)
    const names = Array.from({ length: 3000 }, (_, i) => `stream-${i}`)
    for (let chunk = 0; chunk < 8; chunk++) stage.growChunk(random, 400, names)
    const files = await stage.open(disk, { cacheBytes: 3 * 4096, chunkCount: 0 })
    await stage.addChunks(files)
    await files.settled()
    for (let turn = 0; turn < 10; turn++) {
      const asked = Array.from({ length: 1000 }, () => names[random.int(names.length)]!)
      const found = await Promise.all(asked.map(name => placesOf(files.parts, name)))
      for (const [i, name] of asked.entries()) {
        const expected = stage.model.events.filter(({ stream }) => stream === name).map(({ position }) => position)
        expect([name, found[i]]).toEqual([name, expected])
      }
    }
    await files.close()
  })

  test('a clean close leaves a partial file, and the next run goes on behind it', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const random = new Random(`${SEED}/partial`)
    for (let run = 0; run < 4; run++) {
      const files = await stage.open(disk)
      const from = files.end
      stage.growActive(random, 50, NAMES)
      await files.add(stage.active(from, stage.end), stage.end as LogPosition, 'partial')
      expect(files.end).toBe(stage.end)
      await expectAnswers(files.parts, stage.model.events, NAMES)
      await files.close()
      expect(await disk.list(DIRECTORY)).toEqual(['000000-partial.index'])
    }
    const files = await stage.open(disk)
    const from = files.end
    stage.growActive(random, 50, NAMES)
    stage.chunkCount = 1
    stage.end = CHUNK_SIZE
    await files.add(stage.active(from, CHUNK_SIZE), CHUNK_SIZE as LogPosition, 'complete')
    await expectAnswers(files.parts, stage.model.events, NAMES)
    await files.close()
    expect(await disk.list(DIRECTORY)).toEqual(['000000-000000.index'])
  })

  test('missing, cut, zeroed, foreign and stale files are made again, and only those', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const random = new Random(`${SEED}/damage`)
    const files = await stage.open(disk)
    for (let chunk = 0; chunk < 5; chunk++) stage.growChunk(random, 60, NAMES)
    await stage.addChunks(files)
    files.rested()
    await files.settled()
    stage.growChunk(random, 60, NAMES)
    await stage.addChunks(files)
    await files.settled()
    await files.close()
    const names = await disk.list(DIRECTORY)
    expect(names).toEqual(['000000-000004.index', '000005-000005.index'])
    const content = disk.snapshot()
    const path = (name: string) => `${DIRECTORY}/${name}`
    const whole = content.get(path(names[0]!))!
    const damages: Record<string, Uint8Array | null> = {
      missing: null,
      cut: whole.subarray(0, whole.length - 4096),
      empty: new Uint8Array(0),
      zeroed: new Uint8Array(whole.length),
      foreign: content.get(path(names[1]!))!,
    }
    for (const [damage, bytes] of Object.entries(damages)) {
      const copy = new Map(content)
      if (bytes === null) copy.delete(path(names[0]!))
      else copy.set(path(names[0]!), bytes)
      copy.set(path('000009-000009.index.tmp'), whole)
      const damaged = new MemoryDisk(copy)
      stage.scans.length = 0
      const opened = await stage.open(damaged)
      expect(
        opened.missing.map(({ number }) => number),
        damage,
      ).toEqual([0, 1, 2, 3, 4])
      await opened.rebuild()
      await opened.settled()
      expect(stage.scans, damage).toEqual([0, 1, 2, 3, 4].map(chunk => chunk * CHUNK_SIZE))
      await expectAnswers(opened.parts, stage.model.events, NAMES)
      await opened.close()
      expect(await damaged.list(DIRECTORY)).toEqual(['000000-000005.index'])
    }
    const stale = await stage.open(disk, { fingerprint: 6 })
    expect(stale.missing.length).toBe(6)
    await stale.close()
  })

  test('every single bit flip is detected, or changes no answer', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    stage.growChunk(new Random(`${SEED}/flips`), 40, FEW)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    await files.settled()
    await files.close()
    const path = `${DIRECTORY}/000000-000000.index`
    const whole = disk.snapshot().get(path)!
    for (let bit = 0; bit < whole.length * 8; bit += 307) {
      const bytes = new Uint8Array(whole)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      stage.scans.length = 0
      const opened = await stage.open(new MemoryDisk(new Map([[path, bytes]])))
      await opened.rebuild()
      await expectAnswers(opened.parts, stage.model.events, FEW).catch(error => {
        throw new Error(`bit ${bit}`, { cause: error })
      })
      expect(stage.scans, `bit ${bit}`).toEqual([0])
      await opened.close()
    }
  }, 120_000)

  test('a file that can be written nowhere ends the making of files, when the next chunk is indexed', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const random = new Random(`${SEED}/nowhere`)
    for (let chunk = 0; chunk < 3; chunk++) stage.growChunk(random, 300, NAMES)
    const files = await stage.open(disk)
    const active = stage.active.bind(stage)
    stage.active = (start, end) => {
      const part = active(start, end)
      if (start === 0) part.streams = () => Promise.reject(new Error('no memory'))
      // The failure comes while the next chunk is being indexed.
      return start === 0 ? part : (new Promise(resolve => setTimeout(resolve, 20)).then(() => part) as never)
    }
    await expect(files.rebuild()).rejects.toThrow('no memory')
    await files.close()
  })

  test('a chunk that can not be indexed ends the making of files, and those before it are there', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const random = new Random(`${SEED}/rebuild`)
    for (let chunk = 0; chunk < 3; chunk++) stage.growChunk(random, 300, NAMES)
    const active = stage.active.bind(stage)
    stage.active = (start, end) => {
      if (start === 2 * CHUNK_SIZE) throw new CorruptLogError('000002.chunk', start, 'rotten')
      return active(start, end)
    }
    const files = await stage.open(disk)
    await expect(files.rebuild()).rejects.toMatchObject({ code: 'CORRUPT_LOG' })
    await files.settled()
    expect(files.missing.map(({ number }) => number)).toEqual([2])
    await files.close()
    stage.active = active
    stage.scans.length = 0
    const again = await stage.open(disk)
    await again.rebuild()
    expect(stage.scans).toEqual([2 * CHUNK_SIZE])
    await again.settled()
    await expectAnswers(again.parts, stage.model.events, FEW)
    await again.close()
  })

  test('a damaged file of several chunks is made again while it is read', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const random = new Random(`${SEED}/mend`)
    for (let chunk = 0; chunk < 4; chunk++) stage.growChunk(random, 300, NAMES)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    await files.settled()
    await files.close()
    const path = `${DIRECTORY}/000000-000003.index`
    const bytes = new Uint8Array(disk.snapshot().get(path)!)
    for (let page = 1; page < bytes.length / 4096; page++) bytes[page * 4096 + 100]! ^= 1
    for (const mode of ['write', 'read'] as const) {
      const damaged = new MemoryDisk(new Map([[path, bytes]]))
      stage.scans.length = 0
      const opened = await stage.open(damaged, { mode })
      await expectAnswers(opened.parts, stage.model.events, NAMES)
      expect(stage.scans).toEqual([0, 1, 2, 3].map(chunk => chunk * CHUNK_SIZE))
      await opened.close()
      expect(await damaged.list(DIRECTORY)).toEqual(['000000-000003.index'])
      expect(damaged.snapshot().get(path)![4096 + 100] === bytes[4096 + 100]).toBe(mode === 'read')
    }
  })

  test('a file of which the disk gives back something else, however often it is made again, fails the read', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    stage.growChunk(new Random(SEED), 50, FEW)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    await files.close()
    const open = disk.open.bind(disk)
    disk.open = async (path, mode) => {
      const file = await open(path, mode)
      const read = file.read.bind(file)
      file.read = async (target, offset) => {
        const size = await read(target, offset)
        if (offset > 0) target[100]! ^= 1
        return size
      }
      return file
    }
    const [part] = (await stage.open(disk, { cacheBytes: 0 })).parts
    await expect(part!.lastOfType(Buffer.from('no-type'))).rejects.toMatchObject({ code: 'READ_FAILED', retryable: true })
    await expect(part!.find(Buffer.from('hot'), hashOfName('hot'))).rejects.toMatchObject({ code: 'READ_FAILED' })
  })

  test('a file whose damage is met behind its close is not made again: the directory may be that of another store', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    stage.growChunk(new Random(SEED), 50, FEW)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    await files.close()
    const content = disk.snapshot()
    for (const bytes of content.values()) {
      for (let page = 1; page < bytes.length / 4096; page++) bytes[page * 4096 + 100]! ^= 1
    }
    const damaged = new SimulatedDisk({ content })
    const opened = await stage.open(damaged)
    const reading = damaged.hold('read', { path: '.index' })
    // Whoever looks without waiting for the answer holds nothing.
    const asked = opened.parts[0]!.find(Buffer.from('hot'), hashOfName('hot'))
    await reading.reached
    const closed = opened.close()
    reading.release()
    await closed
    await expect(asked).rejects.toMatchObject({ code: 'READ_FAILED' })
    expect(stage.scans).toEqual([])
    expect(damaged.openPaths).toEqual([])
  })

  test('files that are all damaged are made again as they are merged', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const files = await stage.open(disk)
    for (let chunk = 0; chunk < 8; chunk++) stage.growChunk(new Random(SEED), 50, FEW)
    const open = disk.open.bind(disk)
    disk.open = async (path, mode) => {
      if (!/(\d{6})-\1\.index/.test(path)) throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
      return open(path, mode)
    }
    await stage.addChunks(files)
    await files.settled()
    await files.close()
    stage.failures.length = 0
    const content = disk.snapshot()
    expect(content.size).toBe(8)
    for (const bytes of content.values()) {
      for (let page = 1; page < bytes.length / 4096; page++) bytes[page * 4096 + 100]! ^= 1
    }
    const damaged = new MemoryDisk(content)
    const opened = await stage.open(damaged)
    opened.rested()
    await opened.settled()
    await expectAnswers(opened.parts, stage.model.events, FEW)
    await opened.close()
    expect(await damaged.list(DIRECTORY)).toEqual(['000000-000007.index'])
    expect(stage.failures).toEqual([])
  })

  test('whoever goes through a file that is made again for somebody else begins anew, and it is not made once more', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const names = Array.from({ length: 400 }, (_, i) => `${'a-rather-long-name-'.repeat(20)}${i}`)
    stage.growChunk(new Random(SEED), 400, names)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    const part = files.parts[0] as FilePart
    const walk = async (cursor: StreamCursor) => {
      let count = 0
      while (await cursor.next()) count++
      return count
    }
    const cursor = await part.streams()
    await cursor.next()
    await part.mend()
    const error: unknown = await walk(cursor).catch((error: unknown) => error)
    expect(error).toMatchObject({ name: 'DamagedIndexError', isMended: true })
    const { length: scanCount } = stage.scans
    await mendAmong(files.parts, error)
    expect(stage.scans.length).toBe(scanCount)
    expect(await walk(await part.streams())).toBe(new Set(stage.model.events.map(({ stream }) => stream)).size)
    await files.close()
  })

  test('a file that knows more than the log has is evidence of loss', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    for (let chunk = 0; chunk < 3; chunk++) stage.growChunk(new Random(SEED), 20, FEW)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    await files.settled()
    await files.close()
    await expect(stage.open(disk, { chunkCount: 2 })).rejects.toThrow(CorruptLogError)
    await expect(stage.open(disk, { chunkCount: 2 })).rejects.toThrow('000002-000002.index')
  })

  test('a store that follows takes over the files of the one that writes, and keeps no more than the newest in memory', async () => {
    const random = new Random(`${SEED}/follower`)
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const writer = await stage.open(disk)
    const follower = await stage.open(disk, { mode: 'read' })
    for (let turn = 0; turn < 40; turn++) {
      stage.growChunk(random, 50, FEW)
      // Now one is ahead, now the other.
      await addInTurn(stage, turn % 2 === 0 ? [writer, follower] : [follower, writer])
      const inMemory = partsInMemory(follower, disk)
      expect(inMemory.length).toBeLessThanOrEqual(turn % 2)
      expect(follower.parts.length).toBeLessThanOrEqual(Math.log2(stage.chunkCount) + 2)
      await expectAnswers(follower.parts, stage.model.events, FEW)
    }
    await follower.close()
    await expectAnswers(writer.parts, stage.model.events, FEW)
    await writer.close()
    expect(stage.failures).toEqual([])
  })

  test('a store that follows merges nothing that the one that writes has not come to: no file of that would fit what it made', async () => {
    const random = new Random(`${SEED}/ahead`)
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const writer = await stage.open(disk)
    const follower = await stage.open(disk, { mode: 'read' })
    for (let turn = 0; turn < 20; turn++) {
      // From the second turn on the follower is two chunks ahead, of which the first goes with one that it has a file of.
      for (let chunk = 0; chunk < Math.min(2, turn + 1); chunk++) stage.growChunk(random, 20, FEW)
      await addInTurn(stage, turn === 0 ? [writer, follower] : [follower, writer])
      const inMemory = partsInMemory(follower, disk)
      const chunks = inMemory.map(({ start, end }) => (end - start) / CHUNK_SIZE)
      expect(chunks).toEqual(turn === 0 ? [] : [1, 1])
      await expectAnswers(follower.parts, stage.model.events, FEW)
    }
    await follower.close()
    await writer.close()
    expect(stage.failures).toEqual([])
  })

  test('a store that follows merges what it has made itself when no file of the one that writes fits any more', async () => {
    const random = new Random(`${SEED}/rewritten`)
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    const writer = await stage.open(disk)
    // It has chunks as they were.
    const follower = await stage.open(disk, { mode: 'read', fingerprint: 6 })
    for (let turn = 0; turn < 40; turn++) {
      stage.growChunk(random, 1 + random.int(60), FEW)
      await addInTurn(stage, [writer, follower])
      expect(follower.parts.length).toBeLessThanOrEqual(Math.log2(stage.chunkCount) + 2)
      await expectAnswers(follower.parts, stage.model.events, FEW)
    }
    await follower.close()
    await writer.close()
  })

  test('a merge that takes its time holds up no file of a chunk that is completed meanwhile', async () => {
    const disk = await directoryOnDisk()
    const open = disk.open.bind(disk)
    let goOn = () => {}
    const goingOn = new Promise<void>(resolve => {
      goOn = resolve
    })
    disk.open = async (path, mode) => {
      if (path.endsWith('000000-000001.index.tmp')) await goingOn
      return open(path, mode)
    }
    const stage = new IndexStage()
    const files = await stage.open(disk, { chunkCount: 0 })
    for (let chunk = 0; chunk < 4; chunk++) {
      stage.growChunk(new Random(SEED), 50, FEW)
      await stage.addChunks(files)
      expect(files.parts.every(part => part instanceof FilePart)).toBe(true)
    }
    await expectAnswers(files.parts, stage.model.events, FEW)
    goOn()
    await files.settled()
    await expectAnswers(files.parts, stage.model.events, FEW)
    await files.close()
    expect(await disk.list(DIRECTORY)).toEqual(['000000-000003.index'])
  })

  test('a file that is still being written when nobody appends any more is merged as far as those before it', async () => {
    const stage = new IndexStage()
    const disk = new SimulatedDisk({ content: (await directoryOnDisk()).snapshot() })
    const files = await stage.open(disk)
    for (let chunk = 0; chunk < 4; chunk++) {
      stage.growChunk(new Random(SEED), 50, FEW)
      await stage.addChunks(files)
    }
    await files.settled()
    stage.growChunk(new Random(SEED), 50, FEW)
    const writing = disk.hold('datasync', { path: '000004-000004.index' })
    const added = stage.addChunks(files)
    await writing.reached
    files.rested()
    await settle()
    writing.release()
    await added
    await files.settled()
    expect(await disk.list(DIRECTORY)).toEqual(['000000-000004.index'])
    await files.close()
  })

  test('files of no use that can not be closed keep nobody from opening, and no other file open', async () => {
    const writer = await directoryOnDisk()
    const stage = new IndexStage()
    const files = await stage.open(writer, { chunkCount: 0 })
    for (let chunk = 0; chunk < 2; chunk++) {
      stage.growChunk(new Random(SEED), 50, FEW)
      await stage.addChunks(files)
      // Somebody reads what is merged.
      if (chunk === 0) files.retain()
      await files.settled()
    }
    const disk = new SimulatedDisk({ content: writer.snapshot() })
    const useless = disk.failNext({ op: 'close', path: '000000-000000', error: 'EIO' })
    const follower = await stage.open(disk, { mode: 'read' })
    expect(useless.fired).toBe(1)
    await expectAnswers(follower.parts, stage.model.events, FEW)
    const known = disk.failNext({ op: 'close', error: 'EIO', times: 'forever' })
    follower.rested()
    await follower.settled()
    expect(known.fired).toBe(2)
    known.clear()
    await follower.close()
    expect(disk.openPaths).toEqual([])
  })

  test('a merge that failed is tried again when there are other files to merge', async () => {
    const disk = await directoryOnDisk()
    const open = disk.open.bind(disk)
    const tried: string[] = []
    disk.open = async (path, mode) => {
      if (!/(\d{6})-\1\.index/.test(path) && path.endsWith('.tmp')) {
        tried.push(path.slice(DIRECTORY.length + 1))
        throw Object.assign(new Error('ENOSPC'), { code: 'ENOSPC' })
      }
      return open(path, mode)
    }
    const stage = new IndexStage()
    const files = await stage.open(disk, { chunkCount: 0 })
    for (let chunk = 0; chunk < 2; chunk++) stage.growChunk(new Random(SEED), 50, FEW)
    await stage.addChunks(files)
    for (let turn = 0; turn < 3; turn++) files.rested()
    await files.settled()
    expect(tried).toEqual(['000000-000001.index.tmp'])
    stage.growChunk(new Random(SEED), 50, FEW)
    await stage.addChunks(files)
    await files.settled()
    expect(tried).toEqual(['000000-000001.index.tmp', '000000-000002.index.tmp'])
    await expectAnswers(files.parts, stage.model.events, FEW)
    await files.close()
  })

  test('readers keep what a merge replaced until they release it', async () => {
    const disk = await directoryOnDisk()
    const stage = new IndexStage()
    stage.growChunk(new Random(SEED), 50, FEW)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    const before = [...stage.model.events]
    const held = files.retain()
    stage.growChunk(new Random(SEED), 50, FEW)
    await stage.addChunks(files)
    await files.settled()
    expect(await disk.list(DIRECTORY)).toEqual(['000000-000000.index', '000000-000001.index'])
    await expectAnswers(held, before, FEW)
    files.release(held)
    await files.close()
    expect(await disk.list(DIRECTORY)).toEqual(['000000-000001.index'])
  })

  test('a full disk costs nothing but the file: its part answers from memory and is written later', async () => {
    const disk = new SimulatedDisk()
    await disk.makeDirectory(DIRECTORY)
    const stage = new IndexStage()
    stage.growChunk(new Random(SEED), 50, FEW)
    const files = await stage.open(disk, { chunkCount: 0 })
    disk.failNext({ op: 'write', error: 'ENOSPC' })
    await expect(stage.addChunks(files)).rejects.toMatchObject({ code: 'ENOSPC' })
    await expectAnswers(files.parts, stage.model.events, FEW)
    stage.growChunk(new Random(SEED), 50, FEW)
    await stage.addChunks(files)
    await files.settled()
    await expectAnswers(files.parts, stage.model.events, FEW)
    await files.close()
    expect(await disk.list(DIRECTORY)).toEqual(['000000-000001.index'])
    expect(disk.openPaths).toEqual([])
  })

  test('after a crash at any point all answers are right', async () => {
    const disk = new SimulatedDisk()
    await disk.makeDirectory(DIRECTORY)
    await disk.syncDirectory(DIRECTORY)
    const stage = new IndexStage()
    const random = new Random(`${SEED}/crash`)
    for (let chunk = 0; chunk < 4; chunk++) stage.growChunk(random, 8, FEW)
    stage.growActive(random, 5, FEW)
    const files = await stage.open(disk, { chunkCount: 0 })
    await stage.addChunks(files)
    await files.settled()
    await files.add(stage.active(files.end, stage.end), stage.end as LogPosition, 'partial')
    await files.close()
    let count = 0
    for (const state of new CrashModel(disk, { seed: SEED }).states()) {
      count++
      try {
        await state.disk.makeDirectory(DIRECTORY)
        const opened = await stage.open(state.disk)
        await opened.rebuild()
        await opened.settled()
        await expectAnswers(stage.allParts(opened), stage.model.events, FEW)
        await opened.close()
        expect(stage.failures).toEqual([])
      } catch (error) {
        throw new Error(state.describe(), { cause: error })
      }
    }
    expect(count).toBeGreaterThan(50)
  }, 120_000)
})
