import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { CHECKSUM_CRC32, checksumBytes, checksumRange } from '../../src/format/checksum.ts'
import { Random } from '../support/random.ts'

const SEED = 'checksum'

describe('the checksum', () => {
  test('is the CRC-32 that everyone has: the check value of "123456789"', () => {
    const bytes = Buffer.from('123456789')
    expect(checksumBytes(bytes)).toBe(0xcbf43926)
    expect(rangeOf(windowOf(bytes), 0, 9, 0)).toBe(0xcbf43926)
  })

  test('is algorithm 1 in the file headers', () => {
    expect(CHECKSUM_CRC32).toBe(1)
  })

  test(`agrees with zlib for every size up to 700 at every alignment (seed ${SEED})`, () => {
    const random = new Random(SEED)
    const window = windowOf(random.bytes(720))
    for (let size = 0; size <= 700; size++) {
      for (let start = 0; start < 16; start++) {
        const seed = random.next()
        const expected = crc32(window.bytes.subarray(start, start + size), seed)
        if (rangeOf(window, start, start + size, seed) !== expected) expect.fail(`${size} bytes from ${start}, seed ${seed}`)
      }
    }
  })

  test('goes up to the last byte of a window whose size is no multiple of four', () => {
    const random = new Random('tail')
    for (let size = 1; size < 64; size++) {
      const window = windowOf(random.bytes(size))
      for (let start = 0; start < size; start++) {
        expect(rangeOf(window, start, size, 0)).toBe(crc32(window.bytes.subarray(start)))
      }
    }
  })

  test('of a whole is that of its end, continued from that of its beginning', () => {
    const bytes = Buffer.from(new Random('parts').bytes(1000))
    const window = windowOf(bytes)
    for (const middle of [0, 1, 3, 4, 17, 360, 500, 999, 1000]) {
      const first = checksumBytes(bytes.subarray(0, middle))
      expect(checksumBytes(bytes.subarray(middle), first)).toBe(crc32(bytes))
      expect(rangeOf(window, middle, 1000, first)).toBe(crc32(bytes))
    }
  })
})

/** The range's checksum is signed, zlib's is not. */
function rangeOf(window: ByteWindow, start: number, end: number, seed: number): number {
  return checksumRange(window, start, end, seed | 0) >>> 0
}

function windowOf(bytes: Uint8Array): ByteWindow {
  const window = ByteWindow.allocate(bytes.length)
  window.bytes.set(bytes)
  return window
}
