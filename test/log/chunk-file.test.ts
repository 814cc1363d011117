import { describe, expect, test } from 'vitest'
import { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import type { DiskFile } from '../../src/disk/disk.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { footerReserve } from '../../src/format/chunk-footer.ts'
import { encodeChunkHeader } from '../../src/format/chunk-header.ts'
import { BlockChecksums } from '../../src/log/block-checksums.ts'
import { verifyBlocks } from '../../src/log/chunk-bytes.ts'
import { ChunkFile, chunkCapacity } from '../../src/log/chunk-file.ts'
import { chunkFileName, chunkNumberOf, isUnfinishedChunk } from '../../src/log/chunk-file-names.ts'
import { STORE_ID } from '../format/records.ts'
import { Random } from '../support/random.ts'
import { sabotaged } from '../support/sabotage.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const at = LogPosition.of
const header = (number = 2, chunkSize = 4096) => ({
  storeId: STORE_ID,
  number: ChunkNumber.of(number),
  generation: 0,
  start: at(number * 4096),
  chunkSize,
  createdMs: 1_700_000_000_000,
})

async function newChunk(disk: MemoryDisk | SimulatedDisk = new MemoryDisk(), size = 4096): Promise<ChunkFile> {
  await disk.makeDirectory('/data')
  return ChunkFile.create(disk, '/data', header(2, size))
}

/** A chunk with `size` bytes behind its header, completed. */
async function completed(disk: MemoryDisk | SimulatedDisk, size = 1000, chunkSize = 4096): Promise<ChunkFile> {
  const chunk = await newChunk(disk, chunkSize)
  const bytes = new Random('chunk').bytes(size)
  await chunk.write(bytes, chunk.firstRecord)
  const whole = Buffer.alloc(128 + size)
  await chunk.read(whole, 0)
  const sums = new BlockChecksums()
  sums.add(whole)
  chunk.complete(await chunk.writeFooter(LogPosition.plus(chunk.firstRecord, size), 7, sums.all()))
  return chunk
}

describe('the name of a chunk file', () => {
  test('is its number with at least six digits', () => {
    expect(chunkFileName(ChunkNumber.of(0))).toBe('000000.chunk')
    expect(chunkFileName(ChunkNumber.of(42))).toBe('000042.chunk')
    expect(chunkFileName(ChunkNumber.of(0xffff_ffff))).toBe('4294967295.chunk')
  })

  test('gives the number back; other files have none', () => {
    for (const number of [0, 42, 999_999, 1_000_000]) expect(chunkNumberOf(chunkFileName(ChunkNumber.of(number)))).toBe(number)
    for (const name of [
      '0.chunk',
      '0000001.chunk',
      '000000.chunk.tmp',
      '000000.chunks',
      'x000000.chunk',
      'flushed',
      '00000a.chunk',
      '-00001.chunk',
    ]) {
      expect(chunkNumberOf(name), name).toBe(null)
    }
  })

  test('with .tmp behind it is that of a chunk whose creation was interrupted', () => {
    expect(isUnfinishedChunk('000001.chunk.tmp')).toBe(true)
    for (const name of ['000001.chunk', 'flushed.tmp', '.tmp']) expect(isUnfinishedChunk(name)).toBe(false)
  })

  test('that stands on disk is the one that errors name', async () => {
    const disk = new MemoryDisk()
    const chunk = await newChunk(disk)
    expect(await disk.list('/data')).toEqual(['000002.chunk'])
    expect(chunk.path).toBe('/data/000002.chunk')
  })
})

describe('a chunk that is made', () => {
  test('bears its name only when its header and its first zeros are durable, and then the name is made durable', async () => {
    const disk = new SimulatedDisk()
    const made = await newChunk(disk)
    const steps = disk.log.map(entry => entry.kind)
    expect(steps.filter(kind => !['done', 'makeDirectory', 'remove'].includes(kind))).toEqual([
      'create',
      'write',
      'datasync',
      'rename',
      'syncDirectory',
    ])
    await made.close()
  })

  test('again after an interrupted creation takes the place of what was left', async () => {
    const disk = new MemoryDisk(new Map([['/data/000002.chunk.tmp', new Uint8Array(10)]]))
    await newChunk(disk)
    expect(await disk.list('/data')).toEqual(['000002.chunk'])
  })

  test.each([
    'write',
    'datasync',
    'rename',
    'syncDirectory',
  ] as const)('and fails in its %s closes its file, and leaves none', async op => {
    const disk = new SimulatedDisk()
    disk.failNext({ op, error: 'EIO' })
    await expect(newChunk(disk)).rejects.toMatchObject({ code: 'EIO' })
    expect(disk.callCount('close')).toBe(disk.callCount('open'))
    expect(await disk.list('/data')).toEqual([])
  })

  test.each(['write', 'datasync'] as const)('and fails in its %s leaves what had the name before', async op => {
    const disk = new SimulatedDisk()
    await (await newChunk(disk)).close()
    disk.failNext({ op, error: 'ENOSPC' })
    await expect(ChunkFile.create(disk, '/data', header())).rejects.toMatchObject({ code: 'ENOSPC' })
    expect(await disk.list('/data')).toEqual(['000002.chunk'])
  })

  test('is not, when what an interrupted creation left can not be removed', async () => {
    const disk = new SimulatedDisk()
    await disk.makeDirectory('/data')
    disk.failNext({ op: 'remove', error: 'EIO' })
    await expect(ChunkFile.create(disk, '/data', header())).rejects.toMatchObject({ code: 'EIO' })
    expect(await disk.list('/data')).toEqual([])
  })

  test('begins with 256 KiB, zeros behind the header, or less if it spans less', async () => {
    expect((await newChunk(new MemoryDisk(), 2 ** 20)).filledSize).toBe(256 * 1024)
    const small = await newChunk()
    expect(small.filledSize).toBe(4096)
    const bytes = Buffer.alloc(4096)
    await small.read(bytes, 0)
    expect(bytes.subarray(128).every(byte => byte === 0)).toBe(true)
  })

  test('knows its places', async () => {
    const chunk = await newChunk()
    expect(chunk).toMatchObject({ start: 8192, firstRecord: 8192 + 128, end: 12_288, recordLimit: 12_288 - 68 })
    expect(chunk).toMatchObject({ isComplete: false, dataEnd: null, footer: null })
    expect(chunk.offsetOf(at(8192 + 500))).toBe(500)
    expect(chunkCapacity(4096)).toBe(4096 - 128 - 28 - 68)
  })
})

describe('a chunk that is completed', () => {
  test('has its footer right behind its records and nothing behind that', async () => {
    const disk = new MemoryDisk()
    const chunk = await completed(disk, 1000)
    expect(chunk).toMatchObject({ isComplete: true, dataEnd: 8192 + 1128 })
    const bytes = Buffer.from(disk.snapshot().get('/data/000002.chunk')!)
    expect(bytes.length).toBe(1128 + 4 + 64)
    expect(bytes.toString('latin1', 1132, 1140)).toBe('TRFOOTER')
  })

  test('is found so when it is opened', async () => {
    const disk = new MemoryDisk()
    const chunk = await completed(disk)
    const opened = (await ChunkFile.open(disk, '/data', ChunkNumber.of(2), 'read')) as ChunkFile
    expect(opened.header).toEqual(chunk.header)
    expect(opened.footer).toEqual(chunk.footer)
    expect(opened.footer!.eventCount).toBe(7)
  })

  test.each([
    ['that ends as far below its chunk size as most do is opened without asking for the size of its file', 4096, 0],
    ['that ends far below its chunk size is opened, too', 65_536, 1],
  ])('%s', async (_, chunkSize, sizesAsked) => {
    const disk = new SimulatedDisk()
    const chunk = await completed(disk, 1000, chunkSize)
    const before = disk.callCount('size')
    const opened = (await ChunkFile.open(disk, '/data', ChunkNumber.of(2), 'read')) as ChunkFile
    expect(disk.callCount('size') - before).toBe(sizesAsked)
    expect(opened.footer).toEqual(chunk.footer)
    expect(opened.filledSize).toBe(chunk.filledSize)
  })

  test('that fills its chunk to the last byte is found, and one with a byte behind it is not completed', async () => {
    const disk = new MemoryDisk()
    const chunk = await completed(disk, 4096 - 128 - footerReserve(4096))
    expect(chunk.filledSize).toBe(4096)
    const opened = (await ChunkFile.open(disk, '/data', ChunkNumber.of(2), 'read')) as ChunkFile
    expect(opened.footer).toEqual(chunk.footer)
    await chunk.file.write(new Uint8Array(1), 4096)
    const longer = (await ChunkFile.open(disk, '/data', ChunkNumber.of(2), 'read')) as ChunkFile
    expect(longer).toMatchObject({ isComplete: false, filledSize: 4097 })
  })

  const atMost = (count: number) => (file: DiskFile, target: Uint8Array, offset: number) =>
    file.read(target.subarray(0, count), offset)

  test.each([
    ...[0, 1, 63, 64, 67, 68, 1000, 1128, 1195].map(
      count => [`the system gives ${count} bytes of its end at once`, atMost(count)] as const,
    ),
    ['there is an unreadable place among the records in front of it', () => Promise.reject(new Error('EIO'))] as const,
  ])('is found though %s', async (_, readOnce) => {
    const memory = new MemoryDisk()
    const chunk = await completed(memory)
    const disk = sabotaged(memory, { file: file => ({ readOnce: (target, offset) => readOnce(file, target, offset) }) })
    const opened = (await ChunkFile.open(disk, '/data', ChunkNumber.of(2), 'read')) as ChunkFile
    expect(opened.footer).toEqual(chunk.footer)
    expect(opened.filledSize).toBe(chunk.filledSize)
  })

  test('verifies its blocks: a bit that turned is found (KurrentDB 10)', async () => {
    const chunk = await completed(new MemoryDisk())
    const block = Buffer.alloc(1128)
    await chunk.read(block, 0)
    verifyBlocks(chunk, block, 0)
    for (const bit of [0, 1000, 1128 * 8 - 1]) {
      block[bit >> 3]! ^= 1 << (bit & 7)
      expect(() => verifyBlocks(chunk, block, 0)).toThrow(/000002\.chunk.*: position 8192: .*wrong checksum/)
      block[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test('has no uncovered byte: with any byte changed it is no completed chunk, or a block does not verify', async () => {
    const disk = new MemoryDisk()
    await completed(disk, 300)
    const content = disk.snapshot().get('/data/000002.chunk')!
    for (let offset = 0; offset < content.length; offset++) {
      const rotten = content.slice()
      rotten[offset]! ^= 0x10
      const rottenDisk = new MemoryDisk(new Map([['/data/000002.chunk', rotten]]))
      const opened = await ChunkFile.open(rottenDisk, '/data', ChunkNumber.of(2), 'read').catch(() => 'unsupported')
      if (typeof opened === 'string' || !opened.isComplete) continue
      const block = Buffer.alloc(428)
      await opened.read(block, 0)
      expect(() => verifyBlocks(opened, block, 0), `byte ${offset}`).toThrow(/wrong checksum/)
    }
  })

  test('by another process is noticed when one looks again', async () => {
    const disk = new MemoryDisk()
    const chunk = await newChunk(disk)
    const other = (await ChunkFile.open(disk, '/data', ChunkNumber.of(2), 'read')) as ChunkFile
    await other.refresh()
    expect(other.isComplete).toBe(false)
    const sums = new BlockChecksums()
    const head = Buffer.alloc(128)
    await chunk.read(head, 0)
    sums.add(head)
    chunk.complete(await chunk.writeFooter(chunk.firstRecord, 0, sums.all()))
    await other.refresh()
    expect(other.footer).toEqual(chunk.footer)
  })

  test('whose footer is that of another chunk or store is not completed', async () => {
    const disk = new MemoryDisk()
    await completed(disk)
    const content = Buffer.from(disk.snapshot().get('/data/000002.chunk')!)
    const foreign = await ChunkFile.create(new MemoryDisk(new Map([['/data/', new Uint8Array(0)]])), '/data', header(3))
    const head = Buffer.alloc(128)
    await foreign.read(head, 0)
    content.set(head, 0)
    const opened = await ChunkFile.open(
      new MemoryDisk(new Map([['/data/000002.chunk', content]])),
      '/data',
      ChunkNumber.of(2),
      'read',
    )
    expect((opened as ChunkFile).isComplete).toBe(false)
  })
})

describe('a chunk file', () => {
  test('of a rewritten chunk whose footer has no block directory is not completed', async () => {
    const disk = new MemoryDisk()
    await completed(disk)
    const content = Buffer.from(disk.snapshot().get('/data/000002.chunk')!)
    content.set(encodeChunkHeader({ ...header(), generation: 1 }), 0)
    const files = new Map([['/data/000002.chunk', content]])
    const opened = await ChunkFile.open(new MemoryDisk(files), '/data', ChunkNumber.of(2), 'read')
    expect((opened as ChunkFile).isComplete).toBe(false)
  })

  test('of which another version or kind was made is refused by name (KurrentDB 11)', async () => {
    const disk = new MemoryDisk()
    await newChunk(disk)
    const content = Buffer.from(disk.snapshot().get('/data/000002.chunk')!)
    content.writeUInt16LE(9, 8)
    const newer = new MemoryDisk(new Map([['/data/000002.chunk', content]]))
    await expect(ChunkFile.open(newer, '/data', ChunkNumber.of(2), 'read')).rejects.toMatchObject({
      code: 'UNSUPPORTED_FORMAT',
      message: expect.stringContaining('/data/000002.chunk'),
    })
    for (const bytes of [new Uint8Array(0), new Uint8Array(127), new Uint8Array(4096), Buffer.alloc(4096, 'x')]) {
      const disk = new MemoryDisk(new Map([['/data/000002.chunk', bytes]]))
      expect(typeof (await ChunkFile.open(disk, '/data', ChunkNumber.of(2), 'read'))).toBe('string')
    }
  })

  test('is closed when the reads under way are over, not under them (KurrentDB 21)', async () => {
    const disk = new SimulatedDisk()
    const chunk = await newChunk(disk)
    const held = disk.hold('read')
    const reading = chunk.read(Buffer.alloc(128), 0)
    await held.reached
    const closing = chunk.close()
    await new Promise(resolve => setImmediate(resolve))
    expect(disk.callCount('close')).toBe(0)
    held.release()
    expect(await reading).toBe(128)
    await closing
    expect(disk.callCount('close')).toBe(1)
  })
})
