import { describe, expect, test } from 'vitest'
import { CorruptLogError } from '../../src/core/errors.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import { ActiveIndex } from '../../src/streams/active-index.ts'
import type { StreamRun } from '../../src/streams/index-part.ts'
import { Random } from '../support/random.ts'
import { activeOf, COLLIDING, expectAnswers, hashOfName, IndexModel } from './index-model.ts'

const SEED = 'active index'
const START = 3 * 2 ** 32
const NAMES = [...Array.from({ length: 60 }, (_, i) => `stream-${i}`), ...COLLIDING.flat(), 'ü'.repeat(512)]

function named(active: ActiveIndex, name: string): number {
  const bytes = Buffer.from(name)
  return active.slotOf(bytes, 0, bytes.length, hashOfName(name))
}

describe('the active index', () => {
  test.each([0, 1, 2, 17, 3000])(`answers as the model does after %d events (seed ${SEED})`, async count => {
    const model = new IndexModel()
    const end = model.grow(new Random(`${SEED}/${count}`), START, count, NAMES)
    await expectAnswers([activeOf(model.events, START, end)], model.events, NAMES)
  })

  test(`answers as the model does when revisions have holes (seed ${SEED})`, async () => {
    const model = new IndexModel()
    const end = model.grow(new Random(`${SEED}/holes`), START, 2000, NAMES, true)
    await expectAnswers([activeOf(model.events, START, end)], model.events, NAMES)
  })

  test('tells names with one hash apart', () => {
    expect(COLLIDING.map(([one, other]) => hashOfName(one) === hashOfName(other))).toEqual([true, true, true])
    const active = new ActiveIndex(0 as LogPosition)
    for (const [one, other] of COLLIDING) expect(named(active, one)).not.toBe(named(active, other))
  })

  test('keeps a run as it was found', () => {
    const active = new ActiveIndex(0 as LogPosition)
    const slot = named(active, 'orders')
    for (let i = 0; i < 5; i++) active.add(slot, i, 100 * i)
    const run = active.find(Buffer.from('orders'), hashOfName('orders'))!
    active.add(slot, 9, 900)
    expect(active.events(run, 0, 100)).toEqual({ positions: new Float64Array([0, 100, 200, 300, 400]), revisions: null })
    const later = active.find(Buffer.from('orders'), hashOfName('orders'))!
    expect(active.events(later, 4, 9).revisions).toEqual(new Float64Array([4, 9]))
  })

  test('keeps the places of a long stream for the next who reads it, and none of a short one', () => {
    const active = new ActiveIndex(0 as LogPosition)
    const lengths = { long: 1000, short: 100 }
    for (const [name, length] of Object.entries(lengths)) {
      const slot = named(active, name)
      for (let revision = 0; revision < length; revision++) active.add(slot, revision, active.eventCount)
    }
    const before = active.memoryBytes
    for (const name of ['short', 'long', 'long', 'short']) {
      active.events(active.find(Buffer.from(name), hashOfName(name))!, 0, 10)
    }
    expect(active.memoryBytes - before).toBe(4 * lengths.long)
  })

  test(`answers alike, from wherever a long stream was read before (seed ${SEED})`, () => {
    const random = new Random(`${SEED}/long`)
    const active = new ActiveIndex(0 as LogPosition)
    const slots = [named(active, 'orders'), named(active, 'others')]
    const positions: number[][] = [[], []]
    const runs: { readonly run: StreamRun; readonly expected: number[] }[] = []
    for (let position = 0; position < 9000; position++) {
      const which = random.int(2)
      active.add(slots[which]!, positions[which]!.length, position)
      positions[which]!.push(position)
      if (!random.chance(1 / 30)) continue
      const name = which === 0 ? 'orders' : 'others'
      runs.push({ run: active.find(Buffer.from(name), hashOfName(name))!, expected: [...positions[which]!] })
      const { run, expected } = random.pick(runs)
      const from = random.int(expected.length)
      expect([...active.events(run, from, 20).positions]).toEqual(expected.slice(from, from + 20))
    }
  })

  test('knows no stream that was only asked for', () => {
    const active = new ActiveIndex(0 as LogPosition)
    named(active, 'orders')
    expect(active.find(Buffer.from('orders'), hashOfName('orders'))).toBeNull()
    expect(active.streamCount).toBe(0)
  })

  test('refuses a revision that the stream has', () => {
    const active = new ActiveIndex(0 as LogPosition)
    const slot = named(active, 'orders')
    active.add(slot, 3, 100)
    expect(() => active.add(slot, 3, 200)).toThrow(CorruptLogError)
    expect(() => active.add(slot, 2, 200)).toThrow("stream 'orders' goes from revision 3 to 2")
    expect(active.eventCount).toBe(1)
  })

  test('takes next to nothing when it is empty, and 60 bytes a stream and its name when there are many', () => {
    expect(new ActiveIndex(0 as LogPosition).memoryBytes).toBeLessThan(1000)
    const active = new ActiveIndex(0 as LogPosition)
    for (let i = 0; i < 220_000; i++) active.add(named(active, `order-${i}`), 0, i * 300)
    expect(active.memoryBytes).toBeLessThan(15_000_000)
  })
})
