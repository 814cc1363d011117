import { crc32 } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { BlockChecksums } from '../../src/log/block-checksums.ts'
import { Random } from '../support/random.ts'

const BLOCK = 65_536

function expected(bytes: Uint8Array): number[] {
  const checksums: number[] = []
  for (let at = 0; at < bytes.length; at += BLOCK) checksums.push(crc32(bytes.subarray(at, at + BLOCK)))
  return checksums
}

describe('block checksums', () => {
  test.each([0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 3 * BLOCK + 500])('of %d bytes in one piece', size => {
    const bytes = new Random(`blocks ${size}`).bytes(size)
    const sums = new BlockChecksums()
    sums.add(bytes)
    expect([...sums.all()]).toEqual(expected(bytes))
    expect(sums.size).toBe(size)
  })

  test('of bytes in pieces of any size are the same (seed pieces)', () => {
    const random = new Random('pieces')
    const bytes = random.bytes(5 * BLOCK + 321)
    const sums = new BlockChecksums()
    for (let at = 0; at < bytes.length; ) {
      const size = Math.min(bytes.length - at, random.chance(0.2) ? random.int(2 * BLOCK) : random.int(3000))
      sums.add(bytes.subarray(at, at + size))
      at += size
      expect([...sums.all()]).toEqual(expected(bytes.subarray(0, at)))
    }
  })

  test('go on where others stopped, at the end of a block or amid one', () => {
    const bytes = new Random('resumed').bytes(3 * BLOCK)
    for (const size of [BLOCK - 1, BLOCK, 2 * BLOCK, 2 * BLOCK + 1]) {
      const sums = new BlockChecksums()
      sums.add(bytes.subarray(0, size))
      const resumed = BlockChecksums.resume(sums.all(), size)
      resumed.add(bytes.subarray(size))
      expect([...resumed.all()]).toEqual(expected(bytes))
    }
  })

  test('can be asked for in between without an effect', () => {
    const sums = new BlockChecksums()
    sums.add(Buffer.from('1234'))
    sums.all()
    sums.add(Buffer.from('56789'))
    expect([...sums.all()]).toEqual([0xcbf43926])
  })
})
