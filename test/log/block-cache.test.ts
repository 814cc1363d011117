import { describe, expect, test } from 'vitest'
import { BLOCK_SIZE } from '../../src/core/limits.ts'
import { ByteWindow } from '../../src/format/byte-window.ts'
import { BlockCache } from '../../src/log/block-cache.ts'

const block = () => ({ window: ByteWindow.allocate(16), verified: true })

describe('the block cache', () => {
  test('gives a block back by its position', () => {
    const cache = new BlockCache(10 * BLOCK_SIZE)
    const kept = block()
    cache.put(BLOCK_SIZE, kept)
    expect(cache.get(BLOCK_SIZE)).toBe(kept)
    expect(cache.get(0)).toBeUndefined()
  })

  test('forgets the block that was not used for the longest time', () => {
    const cache = new BlockCache(3 * BLOCK_SIZE)
    for (const position of [1, 2, 3]) cache.put(position, block())
    cache.get(1)
    cache.put(4, block())
    expect([1, 2, 3, 4].map(position => cache.get(position) !== undefined)).toEqual([true, false, true, true])
  })

  test('never holds more than it may', () => {
    const cache = new BlockCache(3.9 * BLOCK_SIZE)
    for (let position = 0; position < 100; position++) {
      cache.put(position, block())
      expect(cache.size).toBeLessThanOrEqual(3 * BLOCK_SIZE)
    }
  })

  test.each([0, 1, BLOCK_SIZE - 1])('of %d bytes holds nothing', bytes => {
    const cache = new BlockCache(bytes)
    cache.put(0, block())
    expect(cache.get(0)).toBeUndefined()
    expect(cache.size).toBe(0)
  })

  test('takes every block while it has room, and one of many when it is full', () => {
    const cache = new BlockCache(2 * BLOCK_SIZE)
    const admitted = () => Array.from({ length: 2048 }, () => cache.admits()).filter(Boolean).length
    cache.put(1, block())
    expect(admitted()).toBe(2048)
    cache.put(2, block())
    expect(admitted()).toBe(2)
  })

  test('replaces a block that is put again: two reads may have met', () => {
    const cache = new BlockCache(3 * BLOCK_SIZE)
    const newest = block()
    cache.put(0, block())
    cache.put(0, newest)
    expect(cache.get(0)).toBe(newest)
    expect(cache.size).toBe(BLOCK_SIZE)
  })

  test('counts what it had and what it had not', () => {
    const cache = new BlockCache(3 * BLOCK_SIZE)
    cache.get(0)
    cache.put(0, block())
    cache.get(0)
    cache.get(0)
    expect(cache).toMatchObject({ hits: 2, misses: 1 })
  })
})
