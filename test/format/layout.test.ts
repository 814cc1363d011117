/**
 * The bytes, checked against the byte tables and not against the code's own constants: offsets are literals, checksums come from
 * zlib. What fails here makes the stores of yesterday unreadable.
 */
import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import { encodeChunkFooter, footerReserve } from '../../src/format/chunk-footer.ts'
import { encodeChunkHeader } from '../../src/format/chunk-header.ts'
import { encodeFlushedSlot } from '../../src/format/flushed-slot.ts'
import { commit, encodable, prepare, proof, STORE_ID } from './records.ts'

const u48 = (bytes: Buffer, offset: number) => bytes.readUIntLE(offset, 6)
const u64 = (bytes: Buffer, offset: number) => Number(bytes.readBigUInt64LE(offset))
const id = Uint8Array.from({ length: 16 }, (_, index) => 0x10 + index)

/** Bytes 0 to 23 and the last four are the same in every record. */
function expectFrame(bytes: Buffer, position: number, distance: number, type: number, field: number, flags: number): void {
  expect(bytes.readUInt32LE(0)).toBe(bytes.length)
  expect(bytes.readUInt32LE(4)).toBe(crc32(bytes.subarray(8), crc32(STORE_ID)))
  expect(u64(bytes, 8)).toBe(position)
  expect(bytes.readUInt32LE(16)).toBe(distance)
  expect(bytes.readUInt8(20)).toBe(type)
  expect(bytes.readUInt8(21)).toBe(field)
  expect(bytes.readUInt16LE(22)).toBe(flags)
  expect(bytes.readUInt32LE(bytes.length - 4)).toBe(bytes.length)
}

describe('the bytes of a prepare', () => {
  test('with everything', () => {
    const event = encodable('OrderPlaced', '{"total":12}', { metadata: new Uint8Array([9, 8, 7]), id })
    const { bytes } = prepare({
      event,
      stream: 'order-42',
      position: 0x12_3456_789a,
      distance: 512,
      revision: 5,
      committed: true,
    })
    expect(bytes.length).toBe(24 + 18 + 16 + 8 + 11 + 3 + 12 + 4)
    expectFrame(bytes, 0x12_3456_789a, 512, 1, 11, 1 | 2 | 4 | 8)
    expect(bytes.readUInt16LE(24)).toBe(8)
    expect(u48(bytes, 26)).toBe(1_700_000_000_000)
    expect(u48(bytes, 32)).toBe(5)
    expect(bytes.readUInt32LE(38)).toBe(3)
    expect(bytes.subarray(42, 58).equals(id)).toBe(true)
    expect(bytes.toString('latin1', 58, 66)).toBe('order-42')
    expect(bytes.toString('latin1', 66, 77)).toBe('OrderPlaced')
    expect([...bytes.subarray(77, 80)]).toEqual([9, 8, 7])
    expect(bytes.toString('latin1', 80, 92)).toBe('{"total":12}')
  })

  test('with the least', () => {
    const { bytes } = prepare({ event: encodable('t', new Uint8Array(0)), stream: 's', position: 128, committed: false })
    expect(bytes.length).toBe(48)
    expectFrame(bytes, 128, 0, 1, 1, 0)
    expect(bytes.readUInt16LE(24)).toBe(1)
    expect(bytes.readUInt32LE(38)).toBe(0)
    expect(bytes.toString('latin1', 42, 44)).toBe('st')
  })

  test('with JSON metadata: flag 16', () => {
    const { bytes } = prepare({ event: encodable('t', '1', { metadata: '{}' }), stream: 's' })
    expectFrame(bytes, 128, 0, 1, 1, 1 | 2 | 8 | 16)
    expect(bytes.toString('latin1', 42, 47)).toBe('st{}1')
  })
})

test('the bytes of a commit record', () => {
  const { bytes } = commit(5000, 4224, 7, 1000)
  expect(bytes.length).toBe(36)
  expectFrame(bytes, 5000, 1000, 2, 0, 0)
  expect(bytes.readUInt32LE(24)).toBe(5000 - 4224)
  expect(bytes.readUInt32LE(28)).toBe(7)
})

test('the bytes of a proof', () => {
  const { bytes } = proof(5000, 3)
  expect(bytes.length).toBe(28)
  expectFrame(bytes, 5000, 3, 3, 0, 0)
})

test('the bytes of a chunk header', () => {
  const bytes = encodeChunkHeader({
    storeId: STORE_ID,
    number: ChunkNumber.of(3),
    generation: 0x01020304,
    start: LogPosition.of(2 ** 33),
    chunkSize: 64 * 1024 * 1024,
    createdMs: 1_700_000_000_000,
  })
  expect(bytes.length).toBe(128)
  expect(bytes.toString('latin1', 0, 8)).toBe('TAILRACE')
  expect(bytes.readUInt16LE(8)).toBe(1)
  expect(bytes.readUInt8(10)).toBe(1)
  expect(bytes.readUInt8(11)).toBe(1)
  expect(bytes.readUInt32LE(12)).toBe(65_536)
  expect(bytes.subarray(16, 32).equals(STORE_ID)).toBe(true)
  expect(bytes.readUInt32LE(32)).toBe(3)
  expect(u64(bytes, 40)).toBe(2 ** 33)
  expect(u64(bytes, 48)).toBe(64 * 1024 * 1024)
  expect(u48(bytes, 56)).toBe(1_700_000_000_000)
  expect(bytes.readUInt32LE(36)).toBe(0x01020304)
  expect(bytes.subarray(62, 124).every(byte => byte === 0)).toBe(true)
  expect(bytes.readUInt32LE(124)).toBe(crc32(bytes.subarray(0, 124)))
})

test('the bytes of a chunk footer, behind the checksums of the blocks', () => {
  const bytes = encodeChunkFooter({
    start: LogPosition.of(4096),
    dataSize: 70_000,
    eventCount: 41,
    storeId: STORE_ID,
    blockChecksums: Uint32Array.of(0xdeadbeef, 0x01020304),
    directory: null,
  })
  expect(bytes.length).toBe(2 * 4 + 64)
  expect(bytes.readUInt32LE(0)).toBe(0xdeadbeef)
  expect(bytes.readUInt32LE(4)).toBe(0x01020304)
  const footer = bytes.subarray(8)
  expect(footer.toString('latin1', 0, 8)).toBe('TRFOOTER')
  expect(footer.readUInt32LE(8)).toBe(1)
  expect(footer.readUInt32LE(12)).toBe(2)
  expect(u64(footer, 16)).toBe(70_000)
  expect(u64(footer, 24)).toBe(4096)
  expect(u64(footer, 32)).toBe(41)
  expect(footer.subarray(40, 56).equals(STORE_ID)).toBe(true)
  expect(footer.readUInt32LE(56)).toBe(0)
  expect(footer.readUInt32LE(60)).toBe(crc32(bytes.subarray(0, 8 + 60)))
})

test('the room that is kept free for the footer: 64 bytes and 4 for each 64 KiB', () => {
  expect(footerReserve(4096)).toBe(68)
  expect(footerReserve(64 * 1024)).toBe(68)
  expect(footerReserve(64 * 1024 + 1)).toBe(72)
  expect(footerReserve(64 * 1024 * 1024)).toBe(64 + 4096)
})

test('the bytes of the flushed hint', () => {
  const bytes = encodeFlushedSlot({ storeId: STORE_ID, position: LogPosition.of(2 ** 33 + 1) })
  expect(bytes.length).toBe(64)
  expect(bytes.toString('latin1', 0, 8)).toBe('TRFLUSHD')
  expect(bytes.readUInt32LE(8)).toBe(1)
  expect(bytes.readUInt32LE(12)).toBe(0)
  expect(bytes.subarray(16, 32).equals(STORE_ID)).toBe(true)
  expect(u64(bytes, 32)).toBe(2 ** 33 + 1)
  expect(bytes.subarray(40, 60).every(byte => byte === 0)).toBe(true)
  expect(bytes.readUInt32LE(60)).toBe(crc32(bytes.subarray(0, 60)))
})
