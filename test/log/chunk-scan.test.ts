import { describe, expect, test } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { CHUNK_HEADER_SIZE } from '../../src/format/chunk-header.ts'
import { checksumSeed, PROOF_RECORD_SIZE } from '../../src/format/log-record.ts'
import { encodeProof, RecordStamp } from '../../src/format/record-encoding.ts'
import { ChunkFile } from '../../src/log/chunk-file.ts'
import { scanChunk, searchBehind } from '../../src/log/chunk-scan.ts'
import { STORE_ID } from '../format/records.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'

const RECORD_COUNT = Math.floor((4 * MIB) / PROOF_RECORD_SIZE)
const SIZE = RECORD_COUNT * PROOF_RECORD_SIZE

const header = { storeId: STORE_ID, generation: 0, start: LogPosition.start, chunkSize: 64 * MIB, createdMs: 1_700_000_000_000 }

/** A chunk as one sees it who opened it before 4 MiB of records came to it. */
async function grown(disk: SimulatedDisk): Promise<ChunkFile> {
  await disk.makeDirectory('/data')
  const chunk = await ChunkFile.create(disk, '/data', { ...header, number: ChunkNumber.of(0) })
  const seen = (await ChunkFile.open(disk, '/data', ChunkNumber.of(0), 'read')) as ChunkFile
  const window = ByteWindow.allocate(SIZE)
  const stamp = new RecordStamp(checksumSeed(STORE_ID))
  stamp.base = chunk.firstRecord
  for (let offset = 0; offset < SIZE; offset += PROOF_RECORD_SIZE) encodeProof(window, offset, stamp)
  await chunk.write(window.bytes, chunk.firstRecord)
  await chunk.close()
  return seen
}

test.each([
  ['from its first record on', 0],
  ['from a place behind the end that it had', Math.ceil(MIB / 2 / PROOF_RECORD_SIZE)],
])('a chunk that grew since it was opened is scanned, and searched, in few reads: %s', async (_, skipped) => {
  const disk = new SimulatedDisk()
  const chunk = await grown(disk)
  const from = LogPosition.plus(chunk.firstRecord, skipped * PROOF_RECORD_SIZE)
  const before = disk.callCount('read')
  let visited = 0
  const scan = await scanChunk(chunk, from, chunk.end, () => {
    visited++
  })
  expect(visited).toBe(RECORD_COUNT - skipped)
  expect(LogPosition.minus(scan.position, chunk.firstRecord)).toBe(SIZE)
  const scanned = disk.callCount('read')
  expect(scanned - before).toBeLessThanOrEqual(10)
  let found = 0
  const search = await searchBehind(chunk, from, chunk.end, () => {
    found++
  })
  expect(found).toBe(RECORD_COUNT - skipped)
  expect(LogPosition.minus(search.nonZeroEnd, chunk.firstRecord)).toBe(SIZE)
  expect(disk.callCount('read') - scanned).toBeLessThanOrEqual(10)
  await chunk.close()
})

describe('behind the last record', () => {
  async function ahead(change: (chunk: ChunkFile) => Promise<void>): Promise<{ readCount: number; isZeroToEnd: boolean }> {
    const disk = new SimulatedDisk()
    await disk.makeDirectory('/data')
    const chunk = await ChunkFile.create(disk, '/data', { ...header, number: ChunkNumber.of(0) })
    await change(chunk)
    const before = disk.callCount('read')
    const { position, isZeroToEnd } = await scanChunk(chunk, chunk.firstRecord, chunk.end, () => {})
    expect(position).toBe(chunk.firstRecord)
    return { readCount: disk.callCount('read') - before, isZeroToEnd }
  }

  test('stand zeros to the end of the file: one read sees them all', async () => {
    expect(await ahead(async () => {})).toEqual({ readCount: 1, isZeroToEnd: true })
  })

  test('may stand more zeros than one read takes: they are not all seen', async () => {
    const { isZeroToEnd } = await ahead(async chunk => void (await chunk.extendZeros(4 * MIB)))
    expect(isZeroToEnd).toBe(false)
  })

  test.each([0, 27, 28, 5000, 262_015])('is something else, %i bytes behind it', async distance => {
    const at = LogPosition.plus(LogPosition.start, CHUNK_HEADER_SIZE + distance)
    const { isZeroToEnd } = await ahead(chunk => chunk.write(new Uint8Array([1]), at))
    expect(isZeroToEnd).toBe(false)
  })
})
