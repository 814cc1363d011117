import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { UnsupportedFormatError } from '../../src/core/errors.ts'
import { ChunkNumber, LogPosition } from '../../src/core/positions.ts'
import { type ChunkHeader, decodeChunkHeader, encodeChunkHeader } from '../../src/format/chunk-header.ts'
import { Random } from '../support/random.ts'
import { STORE_ID } from './records.ts'

const HEADER: ChunkHeader = {
  storeId: STORE_ID,
  number: ChunkNumber.of(7),
  generation: 0,
  start: LogPosition.of(7 * 4096),
  chunkSize: 4096,
  createdMs: 1_700_000_000_000,
}

function changed(change: (bytes: Buffer) => void): Buffer {
  const bytes = encodeChunkHeader(HEADER)
  change(bytes)
  bytes.writeUInt32LE(crc32(bytes.subarray(0, 124)), 124)
  return bytes
}

describe('a chunk header', () => {
  test('comes back field by field', () => {
    expect(decodeChunkHeader(encodeChunkHeader(HEADER))).toEqual(HEADER)
  })

  test.each([
    ['the first chunk', { number: ChunkNumber.of(0), start: LogPosition.start, createdMs: 0 }],
    ['the largest numbers', { number: ChunkNumber.of(0xffff_ffff), start: LogPosition.of(2 ** 53 - 1), chunkSize: 2 ** 30 }],
  ])('comes back with %s', (_, fields) => {
    const header = { ...HEADER, ...fields }
    expect(decodeChunkHeader(encodeChunkHeader(header))).toEqual(header)
  })

  test('keeps its store id when the bytes it came from are used again', () => {
    const bytes = encodeChunkHeader(HEADER)
    const header = decodeChunkHeader(bytes) as ChunkHeader
    bytes.fill(0)
    expect(header.storeId).toEqual(STORE_ID)
  })
})

describe('no chunk header is', () => {
  test('a file that is too short', () => {
    for (const size of [0, 1, 127]) expect(decodeChunkHeader(encodeChunkHeader(HEADER).subarray(0, size))).toMatch(/too short/)
  })

  test('zeros', () => {
    expect(decodeChunkHeader(Buffer.alloc(128))).toBe('zeros instead of a chunk header')
  })

  test('another file', () => {
    expect(decodeChunkHeader(Buffer.alloc(128, 'PNG'))).toBe('no chunk header')
  })

  test('one with any bit turned', () => {
    const bytes = encodeChunkHeader(HEADER)
    for (let bit = 0; bit < 128 * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      // A bit that turns the version into a higher one can't be told from a newer version: it is believed before the checksum.
      const isVersion = bit >> 3 === 8 || bit >> 3 === 9
      if (isVersion && bytes.readUInt16LE(8) > 1) expect(() => decodeChunkHeader(bytes)).toThrow(UnsupportedFormatError)
      else expect(typeof decodeChunkHeader(bytes), `bit ${bit}`).toBe('string')
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test.each([
    ['of another kind of file', (bytes: Buffer) => bytes.writeUInt8(2, 10), /another kind/],
    ['with a chunk size below 4 KiB', (bytes: Buffer) => bytes.writeBigUInt64LE(4095n, 48), /impossible/],
    ['with a chunk size above 1 GiB', (bytes: Buffer) => bytes.writeBigUInt64LE(2n ** 30n + 1n, 48), /impossible/],
    ['with a start beyond 2^53', (bytes: Buffer) => bytes.writeBigUInt64LE(2n ** 60n, 40), /impossible/],
    ['with another block size', (bytes: Buffer) => bytes.writeUInt32LE(4096, 12), /impossible/],
  ])('one %s, though its checksum holds', (_, change, found) => {
    expect(decodeChunkHeader(changed(change))).toMatch(found)
  })
})

describe('a chunk header of a newer version', () => {
  test('is refused as unsupported, also when its checksum is another one', () => {
    expect(() => decodeChunkHeader(changed(bytes => bytes.writeUInt16LE(2, 8)))).toThrow(UnsupportedFormatError)
    const bytes = encodeChunkHeader(HEADER)
    bytes.writeUInt16LE(2, 8)
    bytes.fill(0x5a, 60)
    expect(() => decodeChunkHeader(bytes)).toThrow(/version 2/)
  })

  test('is refused as unsupported when it names another checksum algorithm', () => {
    expect(() => decodeChunkHeader(changed(bytes => bytes.writeUInt8(2, 11)))).toThrow(UnsupportedFormatError)
  })

  test('cannot have version 0, unless its checksum says so', () => {
    const bytes = encodeChunkHeader(HEADER)
    bytes.writeUInt16LE(0, 8)
    expect(decodeChunkHeader(bytes)).toMatch(/wrong checksum/)
    expect(() => decodeChunkHeader(changed(all => all.writeUInt16LE(0, 8)))).toThrow(UnsupportedFormatError)
  })
})

test('any bytes are taken without a crash (seed headers)', () => {
  const random = new Random('headers')
  for (let turn = 0; turn < 5000; turn++) {
    const bytes = turn % 2 === 0 ? Buffer.from(random.bytes(random.int(200))) : changed(all => all.set(random.bytes(116), 8))
    try {
      decodeChunkHeader(bytes)
    } catch (error) {
      expect(error).toBeInstanceOf(UnsupportedFormatError)
    }
  }
})
