import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { decodeChunkFooter, encodeChunkFooter } from '../../src/format/chunk-footer.ts'
import { encodeChunkHeader } from '../../src/format/chunk-header.ts'
import { encodeFlushedSlot } from '../../src/format/flushed-slot.ts'
import { encodeStub, stubSize } from '../../src/format/stub.ts'
import { BlockChecksums } from '../../src/log/block-checksums.ts'
import { readStretch } from '../../src/log/compact-reading.ts'
import { findLog } from '../../src/log/find-log.ts'
import { commit, encodable, prepare, proof, SEED, STORE_ID } from '../format/records.ts'
import { openLog } from '../scavenge/scenes.ts'
import { DIRECTORY, openStore, sized } from '../store/words.ts'
import { stillClock } from '../support/manual-clock.ts'

/** Files that no crash leaves: every checksum in them is right, what they say is not. */

const file = (name: string) => `${DIRECTORY}/${name}`
const [FIRST, SECOND] = [file('000000.chunk'), file('000001.chunk')]

function header(number: number, start = number * 4096, generation = 0): Buffer {
  return encodeChunkHeader({
    storeId: STORE_ID,
    number: ChunkNumber.of(number),
    generation,
    start: LogPosition.of(start),
    chunkSize: 4096,
    createdMs: 1_700_000_000_000,
  })
}

/** The first chunk, being filled with these records, one behind the other. */
function chunkOf(...records: ((position: number) => ByteWindow)[]): Buffer {
  const bytes = Buffer.alloc(4096)
  bytes.set(header(0))
  let at = 128
  for (const record of records) {
    const { bytes: own } = record(at)
    bytes.set(own, at)
    at += own.length
  }
  return bytes
}

const find = (...files: [string, Uint8Array][]) => findLog(new MemoryDisk(new Map(files)), DIRECTORY, 'write')
/** They prove nothing. */
const lone = (position: number) => prepare({ position, distance: position })
const part = (position: number) => prepare({ position, distance: position, committed: false })

describe('the log ends before', () => {
  test('a commit that counts other events than stand before it', async () => {
    const found = await find([FIRST, chunkOf(lone, part, at => commit(at, at - lone(0).size, 2, at))])
    expect(found).toMatchObject({ end: 128 + lone(0).size, eventCount: 1 })
  })

  test('an append in which a proof stands: what the proof speaks for is missing', async () => {
    const error = await find([FIRST, chunkOf(lone, part, proof)]).catch((error: unknown) => error)
    expect(error).toMatchObject({ code: 'CORRUPT_LOG', position: 128 + lone(0).size })
  })

  test('an append without its commit; if a hint says that it was durable, that is damage', async () => {
    const chunk = chunkOf(lone, part, part)
    const end = 128 + lone(0).size
    expect(await find([FIRST, chunk])).toMatchObject({ end, eventCount: 1 })
    const hint = encodeFlushedSlot({ storeId: STORE_ID, position: LogPosition.of(end + 10) })
    expect(await find([FIRST, chunk], [file('flushed'), hint]).catch((error: unknown) => error)).toMatchObject({
      code: 'CORRUPT_LOG',
      position: end,
    })
  })

  test('less than the smallest record, be it zeros or not, at the end of the file', async () => {
    const chunk = chunkOf(lone)
    const end = 128 + lone(0).size
    expect(await find([FIRST, chunk.subarray(0, end + 9)])).toMatchObject({ end, tailEnd: end })
    chunk[end + 5] = 1
    expect(await find([FIRST, chunk.subarray(0, end + 9)])).toMatchObject({ end, tailEnd: end + 6 })
  })

  test('a record behind damage whose head is right and whose body is not, however long it says it is', async () => {
    const chunk = chunkOf(lone)
    const end = 128 + lone(0).size
    chunk.writeUInt32LE(4096 - end - 500, end + 400)
    chunk.writeBigUInt64LE(BigInt(end + 400), end + 408)
    expect(await find([FIRST, chunk.subarray(0, 4000)])).toMatchObject({ end, eventCount: 1 })
  })
})

test('an append that leaves no room for a proof is proven by the footer: its chunk is completed by the close', async () => {
  const size = 4096 - 68 - 128
  const event = encodable('Long', new Uint8Array(size - prepare({ event: encodable('Long', '') }).size))
  const chunk = chunkOf(position => prepare({ position, distance: position, event }))
  const disk = new MemoryDisk(new Map([[FIRST, chunk]]))
  const store = await openStore(disk, { chunkSizeBytes: 4096, clock: stillClock })
  expect(store.recovery).toMatchObject({ events: 1 })
  await store.close()
  const again = await openStore(disk, { chunkSizeBytes: 4096, clock: stillClock })
  expect(again.recovery).toMatchObject({ clean: true, events: 1 })
  await again.close()
  expect(disk.snapshot().get(FIRST)!.length).toBe(4096)
})

test('a record behind damage is found, though it reaches from one piece that is searched into the next', async () => {
  const disk = new MemoryDisk()
  const store = await openStore(disk, { clock: stillClock })
  for (const data of [100, 900_000, 900_000]) await store.append('s', sized(data))
  const bytes = Buffer.from(disk.snapshot().get(FIRST)!)
  bytes[200]! ^= 1
  await store.close()
  expect(await find([FIRST, bytes]).catch((error: unknown) => error)).toMatchObject({ code: 'CORRUPT_LOG', position: 128 })
})

test('what is left of a dropped event, amid a chunk that is being filled, counts for nothing', async () => {
  const stub = (position: number) => {
    const window = ByteWindow.allocate(stubSize(null, Buffer.from('Gone')))
    encodeStub(window, 0, LogPosition.of(position), null, Buffer.from('Gone'), SEED)
    return window
  }
  const end = 128 + 2 * lone(0).size + stub(0).size
  expect(await find([FIRST, chunkOf(lone, stub, lone)])).toMatchObject({ end, eventCount: 2 })
})

describe('a store is refused, by the name of what is wrong,', () => {
  test('when a record is of a type that a newer version knows', async () => {
    const newer = (position: number) => {
      const window = lone(position)
      window.bytes.writeUInt8(9, 20)
      window.bytes.writeUInt32LE(crc32(window.bytes.subarray(8), crc32(STORE_ID)), 4)
      return window
    }
    expect(await find([FIRST, chunkOf(lone, newer)]).catch((error: unknown) => error)).toMatchObject({
      code: 'UNSUPPORTED_FORMAT',
      message: expect.stringContaining(FIRST),
    })
  })

  test('when a chunk says that it starts elsewhere', async () => {
    const second = Buffer.alloc(4096)
    second.set(header(1, 8192))
    expect(await find([FIRST, chunkOf(lone)], [SECOND, second]).catch((error: unknown) => error)).toMatchObject({
      code: 'CORRUPT_LOG',
      file: SECOND,
      found: 'a chunk that says it starts at 8192',
    })
  })
})

describe('of a completed chunk, whose checksums are right,', () => {
  /** The records, a footer behind them, and a chunk that is being filled. */
  function completedOf(records: Buffer): Map<string, Uint8Array> {
    const blocks = new BlockChecksums()
    blocks.add(records)
    const footer = encodeChunkFooter({
      start: LogPosition.start,
      dataSize: records.length,
      eventCount: 2,
      storeId: STORE_ID,
      blockChecksums: blocks.all(),
      directory: null,
    })
    expect(typeof decodeChunkFooter(footer, records.length + footer.length)).toBe('object')
    const next = Buffer.alloc(4096)
    next.set(header(1))
    return new Map([
      [FIRST, Buffer.concat([records, footer])],
      [SECOND, next],
    ])
  }

  test.each([
    ['a record at another place', 'wrong position', (at: number) => lone(at + 8)],
    ['a size that can not be', 'implausible size', (at: number) => sizedAs(lone(at), 3)],
  ])('%s is no record', async (_, found, second) => {
    const size = lone(0).size
    const log = await openLog(new MemoryDisk(completedOf(chunkOf(lone, second).subarray(0, 128 + 2 * size))))
    const chunk = log.chunks.all[0]!
    expect(chunk.isComplete).toBe(true)
    await expect(readStretch(chunk, 128, 1 << 20)).rejects.toMatchObject({ code: 'CORRUPT_LOG', position: 128 + size, found })
    await log.chunks.close()
  })
})

function sizedAs(window: ByteWindow, size: number): ByteWindow {
  window.view.setUint32(0, size, true)
  return window
}
