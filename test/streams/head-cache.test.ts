import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { InvalidArgumentError } from '../../src/core/errors.ts'
import { LogPosition, Revision } from '../../src/core/positions.ts'
import { HeadCache } from '../../src/streams/head-cache.ts'
import { HeadLookup } from '../../src/streams/head-lookup.ts'
import { Retention } from '../../src/streams/retention.ts'
import { rooms } from '../log/scenes.ts'
import { order, SMALL_CHUNKS, sized } from '../store/words.ts'

setFlagsFromString('--expose_gc')
const collectGarbage = runInNewContext('gc') as () => void

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
    const cache = new HeadCache(10, 0)
    for (const stream of streams(0, 5000)) {
      use(cache, stream)
      // All were used, so each gets another round: some more are there meanwhile.
      expect(cache.size).toBeLessThanOrEqual(15)
    }
    expect(cache.size).toBeGreaterThanOrEqual(10)
  })

  test('never lets go of a head that an append holds', () => {
    const cache = new HeadCache(10, 0)
    const held = cache.hold('held')
    for (const stream of streams(0, 200)) use(cache, stream)
    expect(cache.find('held')).toBe(held)
  })

  test('keeps what is used between the rounds, and forgets what is not', () => {
    const cache = new HeadCache(100, 0)
    use(cache, 'idle')
    for (const stream of streams(0, 1000)) {
      use(cache, 'busy')
      use(cache, stream)
    }
    expect(cache.find('busy')).toBeDefined()
    expect(cache.find('idle')).toBeUndefined()
  })

  test('forgets a stream without events as soon as nobody holds it', () => {
    const cache = new HeadCache(10, 0)
    const head = cache.hold('empty')
    head.isKnown = true
    cache.release(head)
    expect(cache.size).toBe(0)
  })

  test('packs what it lets go, and knows it again', () => {
    const cache = new HeadCache(2, 100)
    const head = cache.hold('packed')
    head.isKnown = true
    head.revision = Revision.of(7)
    head.committedRevision = Revision.of(7)
    head.committedPosition = LogPosition.of(5_000_000_000)
    head.retention = new Retention({ maxCount: 3 }, false)
    head.committedRetention = head.retention
    cache.release(head)
    for (const stream of streams(0, 20)) use(cache, stream)
    expect(cache.find('packed')).toBeUndefined()
    const again = cache.hold('packed')
    expect(again).not.toBe(head)
    expect(again).toMatchObject({ isKnown: true, revision: 7, committedRevision: 7, committedPosition: 5_000_000_000 })
    expect(again.retention).toBe(head.retention)
    expect(again.committedRetention).toBe(head.retention)
  })

  test('keeps nothing of an index of a chunk that is complete, whatever streams rest since then', async () => {
    const { index, append, close } = await rooms(undefined, SMALL_CHUNKS)
    await append('resting', order(0))
    const complete = new WeakRef(index.active)
    await append('filler', sized(3800))
    await append('filler', sized(3800))
    const isKept = () => {
      collectGarbage()
      return index.parts().length > 0 && complete.deref() !== undefined
    }
    await expect.poll(isKept).toBe(false)
    await close()
  })

  test('does not know what was never there', () => {
    const cache = new HeadCache(2, 100)
    use(cache, 'known')
    expect(cache.hold('never seen').isKnown).toBe(false)
  })

  test('packs so many, and drops first what nobody came back to', () => {
    const cache = new HeadCache(1, 10)
    use(cache, 'busy')
    use(cache, 'idle')
    for (const stream of streams(0, 200)) {
      use(cache, stream)
      use(cache, 'busy')
    }
    expect(cache.hold('busy').isKnown).toBe(true)
    expect(cache.hold('idle').isKnown).toBe(false)
  })

  test('leaves the name alone of a head that is still looked up though nobody holds it any more', () => {
    const cache = new HeadCache(10, 100)
    const head = cache.hold('left-behind')
    head.loading = new HeadLookup()
    cache.release(head)
    cache.hold('new-comer-1')
    expect(Buffer.from(head.nameBytes).toString()).toBe('left-behind')
  })

  test('refuses what is no name', () => {
    const cache = new HeadCache(10, 100)
    for (const name of [undefined, null, 7, { length: 'at' }, { length: 3 }]) {
      expect(() => cache.hold(name as string)).toThrow(InvalidArgumentError)
    }
    expect(cache.size).toBe(0)
  })

  test('writes names over those of heads that went, and never over one that is held', () => {
    const cache = new HeadCache(10, 100)
    const held = streams(1000, 1100).map(stream => cache.hold(stream))
    const seen = new Set<Uint8Array>()
    for (const stream of streams(2000, 5000)) {
      seen.add(cache.hold(stream).nameBytes)
      use(cache, stream)
      cache.release(cache.find(stream)!)
    }
    for (const { name, nameBytes } of held) expect(Buffer.from(nameBytes).toString()).toBe(name)
    expect(seen.size).toBeLessThan(100)
  })
})
