import { describe, expect, test } from 'vitest'
import { parseEventId } from '../../src/core/event-id.ts'
import type { ExpectedRevision } from '../../src/core/events.ts'
import { LogPosition, Revision } from '../../src/core/positions.ts'
import type { EncodableEvent } from '../../src/format/record-encoding.ts'
import { AppendRules } from '../../src/streams/append-rules.ts'
import { ConditionCheck } from '../../src/streams/condition-check.ts'
import { HeadLoader } from '../../src/streams/head-loader.ts'
import { RetryCheck } from '../../src/streams/retry-check.ts'
import { StreamIndex } from '../../src/streams/stream-index.ts'
import { SuppliedIdMemory } from '../../src/streams/supplied-id-memory.ts'
import type { AppendPart, ConditionTerms } from '../../src/writer/append-terms.ts'
import { promiseOf } from '../../src/writer/lookup.ts'
import { AppendMessage } from '../../src/writer/messages.ts'
import type { Verdict } from '../../src/writer/verdict.ts'
import { type OpenRooms, rooms } from '../log/scenes.ts'

interface PartWords {
  readonly stream: string
  readonly expected?: ExpectedRevision
  /** Of each event: the last digit of its id, or null for none. */
  readonly ids: readonly (number | null)[]
  readonly type?: string
  readonly data?: string
}

function eventsOf({ ids, type = 'T', data = '{}' }: PartWords): EncodableEvent[] {
  return ids.map(id => ({
    eventType: Buffer.from(type),
    data,
    dataSize: data.length,
    metadata: undefined,
    metadataSize: 0,
    suppliedId: id === null ? undefined : parseEventId(`00000000-0000-4000-8000-${String(id).padStart(12, '0')}`),
  }))
}

/** The rules over an empty store, and a writer that only moves positions. */
class Scene {
  readonly rules: AppendRules
  readonly open: OpenRooms
  #position = 1000

  constructor(open: OpenRooms) {
    this.open = open
    const { reader, storeId, chunks } = open
    const { published } = open.chaser
    const index = new StreamIndex(
      chunks,
      { parts: [], add: async () => {}, retain: () => [], release: () => {} },
      LogPosition.start,
    )
    this.rules = new AppendRules(
      new HeadLoader(index, reader, published),
      new SuppliedIdMemory(index, reader, published),
      new ConditionCheck(index, reader, published, storeId),
      new RetryCheck(index, reader, published),
    )
  }

  message(parts: readonly PartWords[], condition: ConditionTerms | null = null): AppendMessage {
    const held: AppendPart[] = parts.map(part => ({
      head: this.rules.hold(part.stream),
      expected: part.expected ?? 'any',
      events: eventsOf(part),
      firstRevision: Revision.none,
    }))
    const [first] = held
    if (held.length > 1)
      return new AppendMessage(first!.head, 'any', null, '', undefined, undefined, [], { parts: held, condition })
    const terms = condition === null ? null : { parts: [], condition }
    const { head, expected, events } = first!
    const [event, ...rest] = events
    if (event === undefined) return new AppendMessage(head, expected, null, '', undefined, undefined, [], terms)
    return new AppendMessage(head, expected, event.eventType, event.data, undefined, event.suppliedId, rest, terms)
  }

  async decide(...parts: PartWords[]): Promise<{ append: AppendMessage; verdict: Verdict | null }> {
    const append = this.message(parts)
    const looking = this.rules.prefetch(append)
    if (looking !== null) await promiseOf(looking)
    return { append, verdict: this.rules.decide(append) }
  }

  /** It is decided that it is written, and it is. */
  async write(...parts: PartWords[]): Promise<AppendMessage> {
    const { append, verdict } = await this.decide(...parts)
    expect(verdict).toBeNull()
    const all = append.terms?.parts.length ? append.terms.parts : null
    if (all === null) append.firstRevision = Revision.plus(append.head.revision, 1)
    else for (const part of all) part.firstRevision = Revision.plus(part.head.revision, 1)
    this.#position += 100
    append.position = LogPosition.of(this.#position)
    append.settlesAt = LogPosition.of(this.#position + 50)
    this.rules.note(append)
    return append
  }

  async refusalOf(...parts: PartWords[]): Promise<object> {
    const { verdict } = await this.decide(...parts)
    if (verdict?.kind !== 'rejected') throw new Error(`it is ${verdict?.kind ?? 'written'}`)
    return verdict.error
  }

  revisionOf(stream: string): number {
    const head = this.rules.hold(stream)
    return head.revision
  }
}

function scene(what: string, play: (scene: Scene) => Promise<void>): void {
  test(what, async () => {
    const open = await rooms()
    try {
      await play(new Scene(open))
    } finally {
      await open.close()
    }
  })
}

const tombstone = (stream: string): PartWords[] => [
  { stream, ids: [] },
  { stream: `$$${stream}`, ids: [null], type: '$tombstone' },
]

const metadata = (stream: string, said: object): PartWords[] => [
  { stream, ids: [] },
  { stream: `$$${stream}`, ids: [null], type: '$metadata', data: JSON.stringify(said) },
]

const WRONG = { code: 'WRONG_EXPECTED_REVISION' }
const DELETED = { code: 'STREAM_DELETED' }

describe('the rules', () => {
  scene('go by what was written, long before it is committed', async scene => {
    await scene.write({ stream: 's', ids: [null, null], expected: 'no_stream' })
    expect(await scene.refusalOf({ stream: 's', ids: [null], expected: 'no_stream' })).toMatchObject({ ...WRONG, actual: 1 })
    await scene.write({ stream: 's', ids: [null], expected: 1 })
    expect(scene.revisionOf('s')).toBe(2)
  })

  scene('ask in this order: deleted for good, a retry, the expected revision', async scene => {
    await scene.write({ stream: 's', ids: [1], expected: 'no_stream' })
    expect((await scene.decide({ stream: 's', ids: [1], expected: 'no_stream' })).verdict).toMatchObject({ kind: 'deferred' })
    expect(await scene.refusalOf({ stream: 's', ids: [2], expected: 7 })).toMatchObject(WRONG)
    await scene.write(...tombstone('s'))
    expect(await scene.refusalOf({ stream: 's', ids: [1], expected: 'no_stream' })).toMatchObject(DELETED)
    expect(await scene.refusalOf({ stream: 's', ids: [2], expected: 7 })).toMatchObject(DELETED)
  })

  scene('ask a commit of every stream, and name the first that is not where it should be', async scene => {
    await scene.write({ stream: 'b', ids: [null] })
    const refused = scene.refusalOf(
      { stream: 'a', ids: [null], expected: 'no_stream' },
      { stream: 'b', ids: [], expected: 'no_stream' },
      { stream: 'c', ids: [null], expected: 4 },
    )
    expect(await refused).toMatchObject({ ...WRONG, stream: 'b', actual: 0 })
    expect([scene.revisionOf('a'), scene.revisionOf('c')]).toEqual([-1, -1])
  })

  scene(
    'take no half retry: the stream whose revision has passed is named, or else the first that knows the ids',
    async scene => {
      await scene.write({ stream: 'a', ids: [1] }, { stream: 'b', ids: [2] })
      const half = (a: PartWords, b: PartWords) => scene.refusalOf(a, b)
      expect(await half({ stream: 'a', ids: [1] }, { stream: 'b', ids: [9] })).toMatchObject({ ...WRONG, stream: 'a' })
      expect(await half({ stream: 'a', ids: [9] }, { stream: 'b', ids: [2] })).toMatchObject({ ...WRONG, stream: 'b' })
      expect(await half({ stream: 'a', ids: [1, 9] }, { stream: 'b', ids: [2] })).toMatchObject({ ...WRONG, stream: 'a' })
      await scene.write({ stream: 'b', ids: [null] })
      expect(await half({ stream: 'a', ids: [1, 9] }, { stream: 'b', ids: [2], expected: 0 })).toMatchObject({
        stream: 'b',
        expected: 0,
      })
    },
  )

  scene('take an append whose first event has no id for a new one', async scene => {
    await scene.write({ stream: 's', ids: [1] })
    await scene.write({ stream: 's', ids: [null, 1] })
    expect(await scene.refusalOf({ stream: 's', ids: [1, null] })).toMatchObject({ ...WRONG, expected: 'any' })
  })

  scene('let a check pass that holds, and leave no trace of it', async scene => {
    await scene.write({ stream: 's', ids: [null] })
    expect((await scene.decide({ stream: 's', ids: [], expected: 0 })).verdict).toEqual({ kind: 'checked' })
    expect(await scene.refusalOf({ stream: 's', ids: [], expected: 1 })).toMatchObject(WRONG)
    expect(scene.revisionOf('s')).toBe(0)
  })

  scene('let a stream begin anew that was truncated to its end', async scene => {
    await scene.write({ stream: 's', ids: [1, 2] })
    await scene.write(...metadata('s', { truncateBefore: 2 }))
    expect(await scene.refusalOf({ stream: 's', ids: [null], expected: 'stream_exists' })).toMatchObject(DELETED)
    await scene.write({ stream: 's', ids: [3], expected: 'no_stream' })
    expect(await scene.refusalOf({ stream: 's', ids: [null], expected: 'no_stream' })).toMatchObject({ ...WRONG, actual: 2 })
    await scene.write({ stream: 's', ids: [null], expected: 'stream_exists' })
  })
})

describe('what was taken back', () => {
  scene('is forgotten: revisions, ids, and what was said of streams', async scene => {
    await scene.write({ stream: 's', ids: [1] })
    const undone = [
      await scene.write({ stream: 's', ids: [2, 3] }),
      await scene.write(...metadata('s', { truncateBefore: 3 })),
      await scene.write(...tombstone('s')),
    ]
    for (const append of undone.reverse()) scene.rules.forget(append)
    expect(scene.revisionOf('s')).toBe(0)
    await scene.write({ stream: 's', ids: [2, 3], expected: 0 })
    expect((await scene.decide({ stream: 's', ids: [1] })).verdict).toMatchObject({ kind: 'deferred' })
    expect(await scene.refusalOf({ stream: 's', ids: [null], expected: 'no_stream' })).toMatchObject({ ...WRONG, actual: 2 })
  })

  scene('leaves what is committed of a stream as it was', async scene => {
    const said = await scene.write(...metadata('s', { truncateBefore: 5 }))
    scene.rules.committed(said)
    const undone = await scene.write(...metadata('s', {}))
    scene.rules.forget(undone)
    const head = scene.rules.hold('s')
    expect([head.retention?.metadata, head.committedRetention?.metadata]).toEqual([{ truncateBefore: 5 }, { truncateBefore: 5 }])
  })

  scene('leaves what was said of a stream before it, though that is not committed yet', async scene => {
    await scene.write({ stream: 's', ids: [1] })
    const said = await scene.write(...metadata('s', { truncateBefore: 1 }))
    scene.rules.forget(await scene.write(...metadata('s', {})))
    expect(await scene.refusalOf({ stream: 's', ids: [null], expected: 'stream_exists' })).toMatchObject(DELETED)
    const again = await scene.write(...metadata('s', { maxCount: 1 }))
    scene.rules.committed(said)
    const head = scene.rules.hold('s')
    expect([head.retention?.metadata, head.committedRetention?.metadata]).toEqual([{ maxCount: 1 }, { truncateBefore: 1 }])
    scene.rules.committed(again)
    expect(head.committedRetention?.metadata).toEqual({ maxCount: 1 })
  })

  scene('is no conflict for a condition', async scene => {
    const condition = (): ConditionTerms => ({
      types: [Buffer.from('T')],
      streams: null,
      after: LogPosition.start,
      checkedUpTo: LogPosition.start,
      isRefuted: false,
    })
    const asked = scene.message([{ stream: 'other', ids: [null] }], condition())
    expect(scene.rules.prefetch(asked)).toBeNull()
    const rival = await scene.write({ stream: 's', ids: [null] })
    expect(scene.rules.decide(asked)).toMatchObject({ kind: 'deferred' })
    scene.rules.forget(rival)
    expect(scene.rules.decide(asked)).toBeNull()
  })
})

describe('heads', () => {
  scene('are looked up once, and known from then on to those that need no more', async scene => {
    const first = scene.message([{ stream: 's', ids: [null] }])
    expect(scene.rules.prefetch(first)).toBeNull()
    expect(scene.rules.hold('s').isKnown).toBe(true)
  })

  scene('are let go of with the append: what was never written leaves nothing', async scene => {
    const { append } = await scene.decide({ stream: 's', ids: [null] })
    const head = append.head
    scene.rules.release(append)
    expect(scene.rules.hold('s')).not.toBe(head)
    const written = await scene.write({ stream: 't', ids: [null] })
    scene.rules.release(written)
    expect(scene.rules.hold('t')).toBe(written.head)
  })
})
