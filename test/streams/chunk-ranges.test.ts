import { describe, expect, test } from 'vitest'
import { type ChunkRange, nextMerge, uncovered } from '../../src/streams/chunk-ranges.ts'

const range = (firstChunk: number, lastChunk: number): ChunkRange => ({ firstChunk, lastChunk })

function merged(ranges: readonly ChunkRange[], chosen: readonly ChunkRange[]): ChunkRange[] {
  const one = range(chosen[0]!.firstChunk, chosen.at(-1)!.lastChunk)
  return [...ranges.filter(other => !chosen.includes(other)), one].sort((a, b) => a.firstChunk - b.firstChunk)
}

describe('ranges of chunks that become one', () => {
  test.each([
    1, 2, 4,
  ])('of thousands of chunks, completed one by one, a few are left at any time, and each was written a few times (share %d)', share => {
    let ranges: ChunkRange[] = []
    let written = 0
    for (let chunk = 0; chunk < 3000; chunk++) {
      ranges.push(range(chunk, chunk))
      written++
      for (let chosen = nextMerge(ranges, share); chosen !== null; chosen = nextMerge(ranges, share)) {
        ranges = merged(ranges, chosen)
        written += chosen.at(-1)!.lastChunk - chosen[0]!.firstChunk + 1
      }
      const count = chunk + 1
      const levels = Math.log(count) / Math.log(share + 1)
      expect(ranges.length).toBeLessThanOrEqual(1 + levels)
      expect(written / count).toBeLessThanOrEqual(2 + share * levels)
      expect([ranges[0]!.firstChunk, ranges.at(-1)!.lastChunk]).toEqual([0, chunk])
    }
  })

  test('what came together while a long merge was under way is merged in one', () => {
    expect(nextMerge([range(0, 39), range(40, 40), range(41, 41), range(42, 42)], 4)).toEqual([
      range(40, 40),
      range(41, 41),
      range(42, 42),
    ])
    const twelve = [range(0, 39), ...Array.from({ length: 12 }, (_, i) => range(40 + i, 40 + i))]
    expect(nextMerge(twelve, 4)).toEqual(twelve)
  })

  test('nothing is merged across a chunk that has no file', () => {
    expect(nextMerge([range(0, 0), range(2, 2)], 4)).toBeNull()
    expect(nextMerge([range(0, 1), range(3, 3), range(4, 4)], 4)).toEqual([range(3, 3), range(4, 4)])
  })

  test('of a merge that was cut off, the file that it made covers those that it was made of', () => {
    expect(uncovered([range(0, 0), range(0, 2), range(1, 1), range(2, 2), range(3, 3)])).toEqual([range(0, 2), range(3, 3)])
  })

  test('of files that overlap, as when one got its name though its merge failed, one is kept', () => {
    expect(uncovered([range(0, 5), range(0, 8), range(7, 9), range(9, 9)])).toEqual([range(0, 8), range(9, 9)])
    expect(uncovered([range(0, 2), range(2, 3), range(3, 9), range(4, 4)])).toEqual([range(0, 2), range(3, 9)])
  })
})
