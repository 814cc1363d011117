import { describe, expect, test } from 'vitest'
import { LogPosition, type Revision } from '../../src/core/positions.ts'
import { IdWindow } from '../../src/streams/id-window.ts'
import { upTo } from '../store/words.ts'
import { Random } from '../support/random.ts'
import { COLLIDING, hashOfName } from './index-model.ts'

const SEED = process.env['SEED'] ?? '1'

function id(n: number): Uint8Array {
  const bytes = new Uint8Array(16)
  bytes[0] = n
  bytes[15] = n >> 8
  return bytes
}

function add(window: IdWindow, n: number, stream: string, revision: number): void {
  window.add(id(n), 0, stream, hashOfName(stream), revision, 0)
}

function find(window: IdWindow, ids: readonly number[], stream = 's'): number | 'mixed' | null {
  return window.find(ids.map(id), stream, hashOfName(stream))
}

function filled(count: number, maxCount?: number): IdWindow {
  const window = new IdWindow(maxCount)
  for (const n of upTo(count)) add(window, n, 's', n)
  return window
}

describe('the window of supplied ids', () => {
  test('knows where ids stand one behind the other', () => {
    const window = filled(10)
    expect(find(window, [0])).toBe(0)
    expect(find(window, [3, 4, 5])).toBe(3)
    expect(find(window, [99])).toBeNull()
    expect(find(window, [99, 3])).toBeNull()
    expect(find(window, [3, 99])).toBe('mixed')
    expect(find(window, [3, 5])).toBe('mixed')
    expect(find(window, [9, 10])).toBe('mixed')
  })

  test('knows an id only for its stream, also where the names have one hash', () => {
    const [one, other] = COLLIDING[0]!
    const window = new IdWindow()
    add(window, 1, one, 0)
    expect(find(window, [1], one)).toBe(0)
    expect(find(window, [1], other)).toBeNull()
    expect(find(window, [1], 'third')).toBeNull()
  })

  test('of an id that stands there several times gives the last place that fits', () => {
    const window = new IdWindow()
    for (const [revision, n] of [1, 2, 1, 3, 1].entries()) add(window, n, 's', revision)
    expect(find(window, [1])).toBe(4)
    expect(find(window, [1, 3])).toBe(2)
    expect(find(window, [1, 2])).toBe(0)
    expect(find(window, [1, 1])).toBe('mixed')
  })

  test('holds exactly as many as it is to hold: the oldest leaves when one more comes', () => {
    const window = filled(5, 5)
    expect(find(window, [0])).toBe(0)
    add(window, 5, 's', 5)
    expect([find(window, [0]), find(window, [1]), window.count]).toEqual([null, 1, 5])
  })

  test('takes the newest back, and does not give back what that had pushed out', () => {
    const window = filled(5, 5)
    add(window, 9, 's', 5)
    window.forgetNewest()
    expect([find(window, [9]), find(window, [0]), find(window, [4]), window.count]).toEqual([null, null, 4, 4])
    add(window, 8, 's', 5)
    expect(find(window, [4, 8])).toBe(4)
  })

  test('from which more is taken back than it holds is empty, and knows what comes then', () => {
    const window = filled(12, 5)
    for (const _ of upTo(10)) window.forgetNewest()
    expect([window.count, find(window, [1]), find(window, [11])]).toEqual([0, null, null])
    for (const n of upTo(7)) {
      add(window, 20 + n, 's', 2 + n)
      expect(find(window, [20 + n])).toBe(2 + n)
    }
    expect([window.count, find(window, [21]), find(window, [22])]).toEqual([5, null, 4])
  })

  test('frees the id of an event that was scavenged, and only that', () => {
    const window = filled(3)
    const dropped = { id: id(1), stream: 's', streamHash: hashOfName('s'), position: LogPosition.start }
    window.drop({ ...dropped, revision: 2 as Revision })
    expect(find(window, [1])).toBe(1)
    window.drop({ ...dropped, revision: 1 as Revision })
    expect([find(window, [0]), find(window, [1]), find(window, [0, 1])]).toEqual([0, null, 'mixed'])
  })

  test('names streams of which it knows the hash alone when somebody asks', () => {
    const [one, other] = COLLIDING[0]!
    const hash = hashOfName(one)
    const window = new IdWindow()
    window.add(id(7), 0, undefined, hash, 0, 100)
    window.add(id(7), 0, undefined, hash, 0, 200)
    expect(window.unnamed(id(7), hash)).toEqual([200, 100])
    expect(find(window, [7], one)).toBeNull()
    window.name(id(7), hash, 100, one)
    expect(window.unnamed(id(7), hash)).toEqual([200])
    window.name(id(7), hash, 200, other)
    expect([window.unnamed(id(7), hash), find(window, [7], one), find(window, [7], other)]).toEqual([[], 0, 0])
  })

  test.each([1, 3, 100, 3000])(`of %d answers as a list of the last ones does (SEED=${SEED})`, maxCount => {
    const random = new Random(`${SEED}/${maxCount}`)
    const window = new IdWindow(maxCount)
    let kept: { n: number; stream: string; revision: number }[] = []
    const heads = new Map<string, number>()
    for (const turn of upTo(4 * maxCount + 500)) {
      const stream = random.pick(['s', 't', ...COLLIDING[0]!])
      if (random.chance(0.1) && kept.length > 0) {
        const newest = kept.pop()!
        heads.set(newest.stream, newest.revision - 1)
        window.forgetNewest()
      } else {
        const revision = (heads.get(stream) ?? -1) + 1
        const n = random.int(40)
        add(window, n, stream, revision)
        heads.set(stream, revision)
        kept.push({ n, stream, revision })
        kept = kept.slice(-maxCount)
      }
      if (turn % 7 !== 0) continue
      const wanted = upTo(1 + random.int(2)).map(() => random.int(40))
      const first = kept.filter(entry => entry.stream === stream && entry.n === wanted[0])
      const fitting = first.filter(({ revision }) =>
        wanted.every((n, i) => kept.some(e => e.stream === stream && e.n === n && e.revision === revision + i)),
      )
      expect(find(window, wanted, stream)).toBe(fitting.at(-1)?.revision ?? (first.length > 0 ? 'mixed' : null))
      expect(window.count).toBe(kept.length)
    }
  })
})
