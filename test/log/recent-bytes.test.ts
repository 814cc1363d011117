import { describe, expect, test } from 'vitest'
import { MIB } from '../../src/core/limits.ts'
import { LogPosition } from '../../src/core/positions.ts'
import { RecentBytes, type Slab } from '../../src/log/recent-bytes.ts'
import { Random } from '../support/random.ts'

const at = LogPosition.of

/** Encodes `size` bytes at `position`, all of them with the value of the position. */
function encode(recent: RecentBytes, position: number, size: number): Slab {
  const slab = recent.reserve(at(position), size)
  slab.window.bytes.fill(position % 251, position - slab.start, position - slab.start + size)
  slab.end = at(position + size)
  return slab
}

describe('recent bytes', () => {
  test('are found by any position within them, and not beside them', () => {
    const recent = new RecentBytes()
    const slab = encode(recent, 128, 100)
    for (const position of [128, 200, 227]) expect(recent.find(at(position))).toBe(slab)
    for (const position of [0, 127, 228, 10_000]) expect(recent.find(at(position))).toBeUndefined()
  })

  test('that adjoin share a slab as long as there is room', () => {
    const recent = new RecentBytes()
    const slab = encode(recent, 128, MIB - 100)
    expect(encode(recent, 128 + MIB - 100, 100)).toBe(slab)
    expect(encode(recent, 128 + MIB, 1)).not.toBe(slab)
  })

  test('of an append are never in two slabs', () => {
    const recent = new RecentBytes()
    let position = 128
    const random = new Random('slabs')
    for (let turn = 0; turn < 200; turn++) {
      const size = 1 + random.int(turn % 10 === 0 ? 3 * MIB : 100_000)
      const slab = encode(recent, position, size)
      expect(slab.start).toBeLessThanOrEqual(position)
      expect(slab.end - slab.start).toBeLessThanOrEqual(slab.window.size)
      position += size
      recent.release(at(position))
    }
  })

  test('larger than a slab get one of their own', () => {
    const recent = new RecentBytes()
    const slab = encode(recent, 128, 5 * MIB)
    expect(slab.window.size).toBe(5 * MIB)
    expect(recent.find(at(128 + 5 * MIB - 1))).toBe(slab)
  })

  test('behind a gap, as at a roll-over, begin a new slab; in the gap there is nothing', () => {
    const recent = new RecentBytes()
    const first = encode(recent, 128, 100)
    const second = encode(recent, 4224, 100)
    expect(second).not.toBe(first)
    expect(recent.find(at(1000))).toBeUndefined()
    expect(recent.find(at(200))).toBe(first)
    expect(recent.find(at(4300))).toBe(second)
  })

  test('are kept for readers at the tail: 8 MiB of them', () => {
    const recent = new RecentBytes()
    for (let turn = 0; turn < 8; turn++) encode(recent, turn * MIB, MIB)
    recent.release(at(8 * MIB))
    expect(recent.find(at(0))).toBeDefined()
    encode(recent, 8 * MIB, MIB)
    recent.release(at(9 * MIB))
    expect(recent.find(at(0))).toBeUndefined()
    expect(recent.find(at(MIB))).toBeDefined()
  })

  test('that are not yet written and followed stay, however many they are', () => {
    const recent = new RecentBytes()
    for (let turn = 0; turn < 40; turn++) {
      encode(recent, turn * MIB, MIB)
      recent.release(at(0))
    }
    for (let turn = 0; turn < 40; turn++) expect(recent.find(at(turn * MIB))!.window.bytes[0]).toBe((turn * MIB) % 251)
    recent.release(at(40 * MIB))
    expect(recent.find(at(31 * MIB))).toBeUndefined()
    expect(recent.find(at(32 * MIB))).toBeDefined()
  })

  test('take no more memory than what is kept and 8 slabs to use again, however long it goes on', () => {
    const recent = new RecentBytes()
    for (let turn = 0; turn < 60; turn++) {
      encode(recent, turn * MIB, MIB)
      recent.release(at(turn % 20 === 0 ? (turn + 1) * MIB : 0))
    }
    recent.release(at(60 * MIB))
    expect(recent.size).toBeLessThanOrEqual(16 * MIB)
  })

  test('of large appends are given back, not kept for use again', () => {
    const recent = new RecentBytes()
    for (let turn = 0; turn < 10; turn++) encode(recent, turn * 10 * MIB, 10 * MIB)
    recent.release(at(100 * MIB))
    expect(recent.size).toBeLessThanOrEqual(10 * MIB)
  })
})

describe('bytes that were taken back', () => {
  test('are not found any more, those before them are', () => {
    const recent = new RecentBytes()
    for (let turn = 0; turn < 4; turn++) encode(recent, turn * MIB, MIB)
    recent.forgetFrom(at(MIB + 500))
    expect(recent.find(at(MIB + 499))).toBeDefined()
    for (const position of [MIB + 500, 2 * MIB, 3 * MIB]) expect(recent.find(at(position))).toBeUndefined()
  })

  test('leave their place to what is encoded there next', () => {
    const recent = new RecentBytes()
    const slab = encode(recent, 128, 1000)
    recent.forgetFrom(at(628))
    expect(encode(recent, 628, 10)).toBe(slab)
    expect(slab.window.bytes[500]).toBe(628 % 251)
    expect(recent.find(at(638))).toBeUndefined()
  })

  test('from the start of a slab on: the slab goes', () => {
    const recent = new RecentBytes()
    encode(recent, 0, MIB)
    encode(recent, MIB, 10)
    recent.forgetFrom(at(MIB))
    expect(recent.find(at(MIB))).toBeUndefined()
    expect(recent.find(at(MIB - 1))).toBeDefined()
    recent.forgetFrom(at(0))
    expect(recent.find(at(0))).toBeUndefined()
  })

  test('behind the end: nothing is forgotten', () => {
    const recent = new RecentBytes()
    encode(recent, 0, 100)
    recent.forgetFrom(at(100))
    expect(recent.find(at(99))).toBeDefined()
  })
})
