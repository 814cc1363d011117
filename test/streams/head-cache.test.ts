import { describe, expect, test } from 'vitest'
import { Revision } from '../../src/core/positions.ts'
import { HeadCache } from '../../src/streams/head-cache.ts'

/** What an append does: holds the head, learns it, lets it go. */
function use(cache: HeadCache, stream: string): void {
  const head = cache.hold(stream)
  head.isKnown = true
  head.revision = Revision.of(0)
  cache.release(head)
}

const streams = (from: number, to: number) => Array.from({ length: to - from }, (_, index) => `stream-${from + index}`)

describe('the cache of heads', () => {
  test('keeps about as many as it may, however many streams come by', () => {
    const cache = new HeadCache(10)
    for (const stream of streams(0, 5000)) {
      use(cache, stream)
      // All were used, so each gets another round: some more are there meanwhile.
      expect(cache.size).toBeLessThanOrEqual(15)
    }
    expect(cache.size).toBeGreaterThanOrEqual(10)
  })

  test('never lets go of a head that an append holds', () => {
    const cache = new HeadCache(10)
    const held = cache.hold('held')
    for (const stream of streams(0, 200)) use(cache, stream)
    expect(cache.find('held')).toBe(held)
  })

  test('keeps what is used between the rounds, and forgets what is not', () => {
    const cache = new HeadCache(100)
    use(cache, 'idle')
    for (const stream of streams(0, 1000)) {
      use(cache, 'busy')
      use(cache, stream)
    }
    expect(cache.find('busy')).toBeDefined()
    expect(cache.find('idle')).toBeUndefined()
  })

  test('forgets a stream without events as soon as nobody holds it', () => {
    const cache = new HeadCache(10)
    const head = cache.hold('empty')
    head.isKnown = true
    cache.release(head)
    expect(cache.size).toBe(0)
  })
})
