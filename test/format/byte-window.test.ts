import { describe, expect, test } from 'vitest'
import { ByteWindow, readU48, readU64, writeU48, writeU64 } from '../../src/format/byte-window.ts'

const view = () => new DataView(new ArrayBuffer(16))
const U48_VALUES = [0, 1, 255, 2 ** 31, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, 2 ** 48 - 1]

describe('whole numbers in bytes', () => {
  test.each([...U48_VALUES, 2 ** 48, 2 ** 52 + 12345, Number.MAX_SAFE_INTEGER])('%d goes through 8 bytes', value => {
    const bytes = view()
    writeU64(bytes, 3, value)
    expect(readU64(bytes, 3)).toBe(value)
    expect(bytes.getBigUint64(3, true)).toBe(BigInt(value))
  })

  test.each(U48_VALUES)('%d goes through 6 bytes and leaves the next two alone', value => {
    const bytes = view()
    bytes.setUint16(9, 0xeeee)
    writeU48(bytes, 3, value)
    expect(readU48(bytes, 3)).toBe(value)
    expect(bytes.getUint16(9)).toBe(0xeeee)
    bytes.setUint16(9, 0)
    expect(bytes.getBigUint64(3, true)).toBe(BigInt(value))
  })

  test('stand with the lowest byte first', () => {
    const bytes = view()
    writeU64(bytes, 0, 0x0006_0504_0302_0100)
    expect([...new Uint8Array(bytes.buffer, 0, 8)]).toEqual([0, 1, 2, 3, 4, 5, 6, 0])
  })

  test('that are too large on damaged bytes are no safe integers, so that whoever compares them notices', () => {
    const bytes = view()
    new Uint8Array(bytes.buffer).fill(0xff)
    expect(Number.isSafeInteger(readU64(bytes, 0))).toBe(false)
  })
})

describe('a window', () => {
  test('shows the same bytes in three ways', () => {
    const window = ByteWindow.allocate(11)
    window.bytes.set([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11])
    expect(window.size).toBe(11)
    expect(window.view.getUint32(4, true)).toBe(0x08070605)
    expect([...window.words]).toEqual([0x04030201, 0x08070605])
  })

  test('has memory of its own', () => {
    expect(ByteWindow.allocate(100).bytes.buffer.byteLength).toBe(100)
  })

  test('may be a part of other memory, if it is aligned', () => {
    const buffer = Buffer.alloc(32)
    const window = new ByteWindow(buffer.subarray(8, 20))
    window.view.setUint32(0, 0xaabbccdd, true)
    expect(buffer.readUInt32LE(8)).toBe(0xaabbccdd)
    expect(() => new ByteWindow(buffer.subarray(3, 20))).toThrow(RangeError)
  })
})
