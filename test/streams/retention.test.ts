import { describe, expect, test } from 'vitest'
import { metadataStreamOf, Retention, streamDescribedBy } from '../../src/streams/retention.ts'

function saying(metadata: object): Retention {
  return Retention.of('$metadata', JSON.stringify(metadata))
}

describe('what is kept of a stream', () => {
  test.each([
    [{}, 9, 0],
    [{ maxCount: 3 }, 9, 7],
    [{ maxCount: 10 }, 9, 0],
    [{ maxCount: 11 }, 9, 0],
    [{ maxCount: 1 }, -1, 0],
    [{ truncateBefore: 4 }, 9, 4],
    [{ truncateBefore: 12 }, 9, 12],
    [{ maxCount: 3, truncateBefore: 4 }, 9, 7],
    [{ maxCount: 3, truncateBefore: 8 }, 9, 8],
    [{ maxAge: 5 }, 9, 0],
  ])('%j of a stream at %d begins with revision %d', (metadata, last, first) => {
    expect(saying(metadata).firstRevision(last)).toBe(first)
  })

  test('is nothing when it is truncated behind its end, and something otherwise, however old', () => {
    expect(saying({ truncateBefore: 10 }).isEmptyAt(9)).toBe(true)
    expect(saying({ truncateBefore: 9 }).isEmptyAt(9)).toBe(false)
    expect(saying({ truncateBefore: 0 }).isEmptyAt(0)).toBe(false)
    expect(saying({ maxAge: 1, maxCount: 1 }).isEmptyAt(9)).toBe(false)
    expect(saying({}).isEmptyAt(0)).toBe(false)
  })

  test('is nothing of a stream that is deleted for good, whatever else was said', () => {
    const retention = Retention.of('$tombstone', '{}')
    expect([retention.isTombstoned, retention.isEmptyAt(9), saying({}).isTombstoned]).toEqual([true, true, false])
  })

  test('counts age in seconds from now back; the moment itself is still kept', () => {
    expect(saying({ maxAge: 5 }).oldestCreatedMs(60_000)).toBe(55_000)
    expect(saying({}).oldestCreatedMs(60_000)).toBe(Number.NEGATIVE_INFINITY)
  })

  test('is said in a stream beside it', () => {
    expect(metadataStreamOf('s')).toBe('$$s')
    expect([streamDescribedBy('$$s'), streamDescribedBy('s'), streamDescribedBy('$s')]).toEqual(['s', null, null])
  })
})
