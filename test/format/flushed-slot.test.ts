import { describe, expect, test } from 'vitest'
import { LogPosition } from '../../src/core/positions.ts'
import { decodeFlushedSlot, encodeFlushedSlot, updateFlushedSlot } from '../../src/format/flushed-slot.ts'
import { Random } from '../support/random.ts'
import { STORE_ID } from './records.ts'

const slot = (position: number) => encodeFlushedSlot({ storeId: STORE_ID, position: LogPosition.of(position) })

describe('the flushed hint', () => {
  test.each([0, 128, 2 ** 32, 2 ** 53 - 1])('comes back with position %d', position => {
    expect(decodeFlushedSlot(slot(position))).toEqual({ storeId: STORE_ID, position })
  })

  test('takes another position in place', () => {
    const bytes = slot(128)
    updateFlushedSlot(bytes, LogPosition.of(2 ** 40))
    expect(decodeFlushedSlot(bytes)).toEqual({ storeId: STORE_ID, position: 2 ** 40 })
    updateFlushedSlot(bytes, LogPosition.of(256))
    expect(bytes.equals(slot(256))).toBe(true)
  })

  test('with any bit turned is no hint', () => {
    const bytes = slot(4224)
    for (let bit = 0; bit < 64 * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7)
      expect(decodeFlushedSlot(bytes), `bit ${bit}`).toBe(null)
      bytes[bit >> 3]! ^= 1 << (bit & 7)
    }
  })

  test('torn between two positions is no hint', () => {
    const [old, young] = [slot(0x0102_0304), slot(0x0506_0708)]
    for (let cut = 33; cut < 63; cut++) {
      expect(decodeFlushedSlot(Buffer.concat([young.subarray(0, cut), old.subarray(cut)])), `cut at ${cut}`).toBe(null)
    }
  })

  test('of a position beyond all that a log can have is no hint, though its checksum holds', () => {
    const bytes = slot(128)
    updateFlushedSlot(bytes, (2 ** 53) as LogPosition)
    expect(decodeFlushedSlot(bytes)).toBe(null)
  })

  test('of a newer version, of zeros, or cut short is no hint', () => {
    const newer = slot(128)
    newer.writeUInt32LE(2, 8)
    for (const bytes of [newer, Buffer.alloc(64), slot(128).subarray(0, 63), Buffer.alloc(0)]) {
      expect(decodeFlushedSlot(bytes)).toBe(null)
    }
  })

  test('of any bytes is no hint, and no crash (seed hints)', () => {
    const random = new Random('hints')
    for (let turn = 0; turn < 2000; turn++) {
      const bytes = Buffer.from(random.bytes(64))
      if (random.chance(0.5)) bytes.write('TRFLUSHD', 0)
      if (random.chance(0.5)) bytes.writeUInt32LE(1, 8)
      expect(decodeFlushedSlot(bytes)).toBe(null)
    }
  })
})
