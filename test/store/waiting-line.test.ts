import { describe, expect, test } from 'vitest'
import { Revision } from '../../src/core/positions.ts'
import { PendingAppend } from '../../src/store/pending-appends.ts'
import { WaitingLine } from '../../src/store/waiting-line.ts'
import { type Lookup, lookupOf } from '../../src/writer/lookup.ts'
import type { StreamHead } from '../../src/writer/stream-head.ts'
import { settle } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { rejectionOf, upTo } from './words.ts'

const SEED = process.env['SEED'] ?? '1'

class Gate {
  readonly opened: Lookup
  open: () => void = () => {}
  break: (error: unknown) => void = () => {}

  constructor() {
    this.opened = lookupOf(
      new Promise<void>((resolve, reject) => {
        this.open = resolve
        this.break = reject
      }),
    )
  }
}

const heads = new Map<string, StreamHead>()

function headOf(name: string): StreamHead {
  const head = heads.get(name) ?? { name, nameBytes: Buffer.from(name), revision: Revision.none, line: null }
  heads.set(name, head)
  return head
}

/** An append to these streams, and the promise that it settles. */
function appendTo(...streams: string[]): { append: PendingAppend; settled: Promise<unknown> } {
  let append!: PendingAppend
  const settled = new Promise((resolve, reject) => {
    const type = Buffer.from('T')
    const event = { eventType: type, data: 'x', dataSize: 1, metadata: undefined, metadataSize: 0, suppliedId: undefined }
    const parts = streams.map(name => ({
      head: headOf(name),
      expected: 'any' as const,
      events: [event],
      firstRevision: Revision.none,
    }))
    append =
      streams.length === 1
        ? new PendingAppend(headOf(streams[0]!), 'any', type, 'x', undefined, undefined, [], null, resolve, reject)
        : new PendingAppend(
            headOf(streams[0]!),
            'any',
            null,
            '',
            undefined,
            undefined,
            [],
            { parts, condition: null },
            resolve,
            reject,
          )
  })
  return { append, settled }
}

function line(): { waiting: WaitingLine; gone: PendingAppend[] } {
  const gone: PendingAppend[] = []
  return { waiting: new WaitingLine(append => gone.push(append)), gone }
}

describe('the line in front of the queue', () => {
  test('lets an append go on when what it waits for is there', async () => {
    const { waiting, gone } = line()
    const gate = new Gate()
    const { append } = appendTo('a')
    waiting.enter(append, gate.opened)
    await settle()
    expect([gone, waiting.count, waiting.bytes]).toEqual([[], 1, append.size])
    gate.open()
    await settle()
    expect([gone, waiting.count, waiting.bytes]).toEqual([[append], 0, 0])
  })

  test('keeps the order of each stream: who is ready waits for those in front of it', async () => {
    const { waiting, gone } = line()
    const gate = new Gate()
    const [slow, ready, other] = [appendTo('a').append, appendTo('a').append, appendTo('b').append]
    waiting.enter(slow, gate.opened)
    expect([waiting.isBehind(ready), waiting.isBehind(other)]).toEqual([true, false])
    waiting.enter(ready, null)
    await settle()
    expect(gone).toEqual([])
    gate.open()
    await settle()
    expect(gone).toEqual([slow, ready])
  })

  test('lets an append to several streams go on when it is the first in each of their lines', async () => {
    const { waiting, gone } = line()
    const [gateA, gateB] = [new Gate(), new Gate()]
    const [a, b, both, behind] = [appendTo('a').append, appendTo('b').append, appendTo('a', 'b').append, appendTo('b').append]
    waiting.enter(a, gateA.opened)
    waiting.enter(b, gateB.opened)
    waiting.enter(both, null)
    waiting.enter(behind, null)
    gateB.open()
    await settle()
    expect(gone).toEqual([b])
    gateA.open()
    await settle()
    expect(gone).toEqual([b, a, both, behind])
  })

  test('settles an append whose look-up failed, and those behind it go on', async () => {
    const { waiting, gone } = line()
    const gate = new Gate()
    const [broken, next] = [appendTo('a'), appendTo('a')]
    waiting.enter(broken.append, gate.opened)
    waiting.enter(next.append, null)
    gate.break(new Error('no such page'))
    expect(await rejectionOf(broken.settled)).toMatchObject({ message: 'no such page' })
    await settle()
    expect(gone).toEqual([broken.append, next.append])
    expect([broken.append.isAborted, next.append.isAborted]).toEqual([true, false])
  })

  test('tells when nobody waits any more', async () => {
    const { waiting } = line()
    await waiting.drained()
    const gate = new Gate()
    waiting.enter(appendTo('a').append, gate.opened)
    let isDrained = false
    const drained = waiting.drained().then(() => {
      isDrained = true
    })
    await settle()
    expect(isDrained).toBe(false)
    gate.open()
    await drained
  })

  test('of a hundred thousand goes on without a deep stack', async () => {
    const { waiting, gone } = line()
    const gate = new Gate()
    waiting.enter(appendTo('a').append, gate.opened)
    for (const _ of upTo(100_000)) waiting.enter(appendTo('a').append, null)
    gate.open()
    await waiting.drained()
    expect(gone.length).toBe(100_001)
  })

  test(`whatever becomes ready when: each stream's order is that of the calls (SEED=${SEED})`, async () => {
    const random = new Random(SEED)
    for (const _ of upTo(100)) {
      const { waiting, gone } = line()
      const gates: Gate[] = []
      const appends = upTo(30).map(() => appendTo(...random.shuffle(['a', 'b', 'c', 'd']).slice(0, 1 + random.int(3))).append)
      for (const append of appends) {
        const gate = random.chance(0.6) ? new Gate() : null
        if (gate !== null) gates.push(gate)
        if (gate === null && !waiting.isBehind(append)) gone.push(append)
        else waiting.enter(append, gate?.opened ?? null)
      }
      for (const gate of random.shuffle(gates)) {
        gate.open()
        if (random.chance(0.5)) await null
      }
      await waiting.drained()
      for (const name of ['a', 'b', 'c', 'd']) {
        const of = (list: readonly PendingAppend[]) =>
          list.filter(({ head, terms }) => (terms?.parts.map(part => part.head) ?? [head]).includes(headOf(name)))
        expect(of(gone)).toEqual(of(appends))
      }
    }
  })
})
