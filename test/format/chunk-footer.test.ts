import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { LogPosition } from '../../src/core/positions.ts'
import {
  blockCountOf,
  type ChunkFooter,
  decodeChunkFooter,
  encodeChunkFooter,
  footerSizeOf,
} from '../../src/format/chunk-footer.ts'
import { Random } from '../support/random.ts'
import { STORE_ID } from './records.ts'

function footerOf(dataSize: number): ChunkFooter {
  const blockChecksums = Uint32Array.from({ length: blockCountOf(dataSize) }, (_, block) => 0xfeed_0000 + block)
  return { start: LogPosition.of(2 ** 40), dataSize, eventCount: 41, storeId: STORE_ID, blockChecksums, directory: null }
}

describe('a chunk footer', () => {
  test.each([128, 4000, 65_536, 65_537, 10 * 65_536])('of a chunk with %d bytes of data comes back', dataSize => {
    const footer = footerOf(dataSize)
    const bytes = encodeChunkFooter(footer)
    const fileSize = dataSize + bytes.length
    expect(footerSizeOf(bytes.subarray(-64), fileSize)).toBe(bytes.length)
    expect(decodeChunkFooter(bytes, fileSize)).toEqual(footer)
  })

  test('keeps nothing of the bytes it came from', () => {
    const bytes = encodeChunkFooter(footerOf(100_000))
    const footer = decodeChunkFooter(bytes, 100_000 + bytes.length)
    bytes.fill(0)
    expect(footer).toEqual(footerOf(100_000))
  })

  test('has one checksum for each block of 64 KiB, the last of which may be shorter', () => {
    expect([0, 1, 65_536, 65_537, 131_072].map(blockCountOf)).toEqual([0, 1, 1, 2, 2])
  })
})

describe('no chunk footer is', () => {
  test('one with any bit turned: the table, the footer and the checksum itself', () => {
    const bytes = encodeChunkFooter(footerOf(100_000))
    const fileSize = 100_000 + bytes.length
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      const size = footerSizeOf(bytes.subarray(-64), fileSize)
      const read = size === null || size > bytes.length ? null : decodeChunkFooter(bytes.subarray(bytes.length - size), fileSize)
      expect(read === null || typeof read === 'string', `bit ${bit}`).toBe(true)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test('one at the end of a file of another size', () => {
    const bytes = encodeChunkFooter(footerOf(100_000))
    for (const fileSize of [100_000 + bytes.length - 1, 100_000 + bytes.length + 1, bytes.length]) {
      expect(decodeChunkFooter(bytes, fileSize)).toBe('a chunk footer that does not fit its file')
    }
  })

  test('one of a version that nobody knows, though its checksum holds', () => {
    const bytes = encodeChunkFooter(footerOf(1000))
    bytes.writeUInt32LE(9, bytes.length - 64 + 8)
    bytes.writeUInt32LE(crc32(bytes.subarray(0, -4)), bytes.length - 4)
    expect(decodeChunkFooter(bytes, 1000 + bytes.length)).toBe('a chunk footer of version 9')
  })

  test('one with more blocks than its file has bytes', () => {
    const bytes = Buffer.from(encodeChunkFooter(footerOf(1000)))
    bytes.writeUInt32LE(0xffff_ffff, bytes.length - 64 + 12)
    expect(footerSizeOf(bytes.subarray(-64), 2000)).toBe(null)
  })

  test('records, zeros, or less than 64 bytes', () => {
    expect(footerSizeOf(Buffer.alloc(64), 4096)).toBe(null)
    expect(footerSizeOf(Buffer.alloc(64, 0xff), 4096)).toBe(null)
    expect(footerSizeOf(Buffer.from('TRFOOTER'), 4096)).toBe(null)
  })
})

test('any bytes are taken without a crash (seed footers)', () => {
  const random = new Random('footers')
  for (let turn = 0; turn < 5000; turn++) {
    const bytes = Buffer.from(random.bytes(64 + random.int(300)))
    if (random.chance(0.5)) bytes.write('TRFOOTER', bytes.length - 64)
    footerSizeOf(bytes.subarray(-64), random.int(10_000))
    expect(typeof decodeChunkFooter(bytes, random.int(10_000))).toBe('string')
  }
})
