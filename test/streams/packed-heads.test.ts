import { expect, test } from 'vitest'
import { LogPosition, Revision } from '../../src/core/positions.ts'
import { CachedHead } from '../../src/streams/cached-head.ts'
import { PackedHeads } from '../../src/streams/packed-heads.ts'
import { Random } from '../support/random.ts'
import { COLLIDING } from './index-model.ts'

const SEED = 'packed heads'

function headOf(name: string, revision = -1): CachedHead {
  const head = new CachedHead(name, Buffer.from(name))
  if (revision < 0) return head
  head.committedRevision = Revision.of(revision)
  head.committedPosition = LogPosition.of(revision * 1000)
  return head
}

/** What is known of the stream, in one number; null when nothing is. */
function restored(packed: PackedHeads, name: string): number | null {
  const head = headOf(name)
  if (!packed.restore(head)) return null
  expect(head.committedPosition).toBe(head.committedRevision * 1000)
  return head.committedRevision
}

test.each([1, 7, 100, 3000])(`of %d heads each is as it was packed last, and so many are there (seed ${SEED})`, maxCount => {
  const packed = new PackedHeads(maxCount)
  const random = new Random(`${SEED}/${maxCount}`)
  const names = Array.from({ length: 3 * maxCount }, (_, i) => `stream-${i}`)
  const last = new Map<string, number>()
  for (let turn = 0; turn < 10 * maxCount + 100; turn++) {
    const name = random.pick(names)
    packed.put(headOf(name, turn))
    last.set(name, turn)
    expect(restored(packed, name)).toBe(turn)
    const other = random.pick(names)
    expect([null, last.get(other) ?? null]).toContain(restored(packed, other))
  }
  const known = names.filter(name => restored(packed, name) !== null)
  expect(known.length).toBe(maxCount)
  for (const name of known) expect(restored(packed, name)).toBe(last.get(name))
})

test('heads of streams whose names have one hash are kept apart', () => {
  const packed = new PackedHeads(10)
  const [one, other] = COLLIDING[0]!
  packed.put(headOf(one, 1))
  expect(restored(packed, other)).toBeNull()
  packed.put(headOf(other, 2))
  expect([restored(packed, one), restored(packed, other)]).toEqual([1, 2])
})
