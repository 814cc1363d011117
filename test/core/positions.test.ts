import { describe, expect, expectTypeOf, test } from 'vitest'
import { MAX_CHUNK_SIZE } from '../../src/core/limits.ts'
import { ChunkNumber, LogPosition, Revision } from '../../src/core/positions.ts'

const NOT_WHOLE = [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53, -0.1]

describe('a log position', () => {
  test('is a whole number from 0 up to 2^53 - 1', () => {
    expect(LogPosition.of(0)).toBe(0)
    expect(LogPosition.of(Number.MAX_SAFE_INTEGER)).toBe(Number.MAX_SAFE_INTEGER)
    for (const value of NOT_WHOLE) expect(() => LogPosition.of(value), String(value)).toThrow(RangeError)
  })

  test('moves by bytes', () => {
    expect(LogPosition.plus(LogPosition.of(4096), 128)).toBe(4224)
    expect(LogPosition.plus(LogPosition.start, 2 ** 40)).toBe(2 ** 40)
  })

  test('is some bytes behind another one, as far as the largest chunk goes, wherever in the log', () => {
    for (const start of [0, 128, 2 ** 31, 2 ** 32 + 1, 2 ** 52]) {
      for (const bytes of [0, 1, MAX_CHUNK_SIZE, 2 ** 31 - 1]) expect(LogPosition.minus(start + bytes, start)).toBe(bytes)
      expect(LogPosition.minus(start, start + 4096)).toBe(-4096)
    }
  })

  test('is no plain number to the compiler, nor a revision', () => {
    expectTypeOf<number>().not.toExtend<LogPosition>()
    expectTypeOf<Revision>().not.toExtend<LogPosition>()
    expectTypeOf<LogPosition>().toExtend<number>()
  })
})

describe('a revision', () => {
  test('is a whole number from 0', () => {
    expect(Revision.of(0)).toBe(0)
    for (const value of NOT_WHOLE) expect(() => Revision.of(value), String(value)).toThrow(RangeError)
  })

  test('of a stream without events is one before the first', () => {
    expect(Revision.plus(Revision.none, 1)).toBe(Revision.of(0))
  })
})

describe('a chunk number', () => {
  test('is a whole number that fits into 32 bits', () => {
    expect(ChunkNumber.of(0)).toBe(0)
    expect(ChunkNumber.of(0xffff_ffff)).toBe(0xffff_ffff)
    for (const value of [...NOT_WHOLE, 2 ** 32]) expect(() => ChunkNumber.of(value), String(value)).toThrow(RangeError)
  })

  test('is followed by the next', () => {
    expect(ChunkNumber.next(ChunkNumber.of(41))).toBe(42)
  })
})
