import { describe, expect, test } from 'vitest'
import { WriterFailedError, WrongExpectedRevisionError } from '../../src/core/errors.ts'
import type { NewEvent, StreamCommit } from '../../src/core/events.ts'
import { LogPosition, Revision } from '../../src/core/positions.ts'
import { StageQueue } from '../../src/queue/stage-queue.ts'
import { Admission, type AdmissionBounds, type AppendOptions, fromHouse } from '../../src/store/admission.ts'
import { type PendingAppend, PendingAppends } from '../../src/store/pending-appends.ts'
import type { AppendCheck } from '../../src/writer/append-check.ts'
import { type Lookup, lookupOf } from '../../src/writer/lookup.ts'
import type { AppendMessage, WriterMessage } from '../../src/writer/messages.ts'
import type { StreamHead } from '../../src/writer/stream-head.ts'
import type { FinalVerdict } from '../../src/writer/verdict.ts'
import { settle } from '../support/manual-clock.ts'
import { stateOf } from '../support/promises.ts'
import { order, orders, rejectionOf, sized, upTo } from './words.ts'

const EMPTY_SIZE = 200
/** A list without its second event. */
const HOLED: NewEvent[] = Object.assign([order(0)], { 2: order(2) })

/** Counts who holds which stream; look-ups wait as long as the test wants. */
class Check implements AppendCheck {
  readonly held = new Map<string, number>()
  readonly #heads = new Map<string, StreamHead>()
  lookUp: (append: AppendMessage) => Promise<void> | null = () => null

  hold(stream: string): StreamHead {
    if (stream.includes('\n')) throw new RangeError('not a name')
    const head = this.#heads.get(stream) ?? { name: stream, nameBytes: Buffer.from(stream), revision: Revision.none, line: null }
    this.#heads.set(stream, head)
    this.held.set(stream, (this.held.get(stream) ?? 0) + 1)
    return head
  }

  release({ terms, head }: AppendMessage): void {
    const heads = terms !== null && terms.parts.length > 0 ? terms.parts.map(part => part.head) : [head]
    for (const { name } of heads) this.held.set(name, this.held.get(name)! - 1)
  }

  prefetch(append: AppendMessage): Lookup | null {
    const looking = this.lookUp(append)
    return looking === null ? null : lookupOf(looking)
  }

  decide(): null {
    return null
  }

  note(): void {}
  forget(): void {}

  get heldCount(): number {
    return [...this.held.values()].reduce((sum, count) => sum + count, 0)
  }
}

/** The desk between callers and a writer that only looks at its queue. */
class Scene {
  readonly check = new Check()
  readonly queue = new StageQueue<WriterMessage>(() => {})
  readonly pending = new PendingAppends(append => this.check.release(append))
  failure: WriterFailedError | null = null
  readonly admission: Admission

  constructor(bounds: Partial<AdmissionBounds> = {}, capacity = 1 << 20) {
    const all = { maxPendingBytes: 1 << 20, maxPendingAppends: 100, ...bounds }
    this.admission = new Admission(all, this.pending, this.queue, this.check, capacity, () => this.failure)
  }

  append(stream: string, events: NewEvent | readonly NewEvent[], options?: AppendOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      try {
        this.admission.admit(stream, events, options, resolve, reject)
      } catch (error) {
        reject(error)
      }
    })
  }

  /** @param streams one event each, unless they are told. */
  commit(streams: readonly (string | StreamCommit)[], options?: AppendOptions): Promise<unknown> {
    return new Promise((resolve, reject) => {
      try {
        const commits = streams.map(entry => (typeof entry === 'string' ? { stream: entry, events: order(0) } : entry))
        this.admission.admitCommit(commits, options, resolve, reject)
      } catch (error) {
        reject(error)
      }
    })
  }

  /** Streams of what stands in the queue, in order. */
  get queued(): string[] {
    const streams: string[] = []
    for (let message = this.queue.shift(); message !== undefined; message = this.queue.shift()) {
      if (message.kind === 'append') streams.push(message.head.name)
    }
    return streams
  }

  /** The writer takes everything, writes it and has it flushed. */
  settleAll(): void {
    for (let message = this.queue.shift(); message !== undefined; message = this.queue.shift()) {
      const append = message as PendingAppend
      append.settlesAt = LogPosition.of(1)
      append.firstRevision = Revision.plus(Revision.none, 1)
    }
    this.pending.settle(LogPosition.of(1))
  }
}

describe('the bound', () => {
  test('counts appends until they settle, and refuses the next one', async () => {
    const scene = new Scene({ maxPendingAppends: 3 })
    const taken = upTo(3).map(() => scene.append('s', order(0)))
    expect(await rejectionOf(scene.append('s', order(0)))).toMatchObject({
      code: 'QUEUE_FULL',
      retryable: true,
      outcome: 'rejected',
    })
    scene.settleAll()
    await Promise.all(taken)
    void scene.append('s', order(0))
    expect(scene.queued).toEqual(['s'])
  })

  test('counts those whose look-up is under way', async () => {
    const scene = new Scene({ maxPendingAppends: 2 })
    scene.check.lookUp = () => new Promise(() => {})
    for (const _ of upTo(2)) void scene.append('s', order(0))
    expect(scene.admission.waiting.count).toBe(2)
    expect(await rejectionOf(scene.append('t', order(0)))).toMatchObject({ code: 'QUEUE_FULL' })
  })

  test('counts those that have left the line and whose answer is looked for', async () => {
    const scene = new Scene({ maxPendingAppends: 1 })
    const append = scene.append('s', order(0))
    let found = (_: FinalVerdict) => {}
    const answer = () => new Promise<FinalVerdict>(resolve => (found = resolve))
    const message = scene.queue.shift() as PendingAppend
    message.verdict = { kind: 'deferred', answer }
    message.settlesAt = LogPosition.of(1)
    scene.pending.settle(LogPosition.of(1))
    expect(await rejectionOf(scene.append('s', order(0)))).toMatchObject({ code: 'QUEUE_FULL' })
    const room = scene.admission.room()
    expect(await stateOf(room)).toBe('pending')
    const error = new WrongExpectedRevisionError('s', 0, 1)
    found({ kind: 'rejected', error })
    expect(await rejectionOf(append)).toBe(error)
    await room
    expect([scene.check.heldCount, scene.pending.count, scene.pending.bytes]).toEqual([0, 0, 0])
  })

  test('counts bytes, those of this append included', async () => {
    const scene = new Scene({ maxPendingBytes: 3000 })
    void scene.append('s', sized(1000))
    void scene.append('s', sized(1000))
    expect(await rejectionOf(scene.append('s', sized(1000)))).toMatchObject({ code: 'QUEUE_FULL' })
    void scene.append('s', sized(500))
    expect(scene.queued).toHaveLength(3)
  })

  test('lets a lone append in, however large', async () => {
    const scene = new Scene({ maxPendingBytes: 100 })
    void scene.append('s', sized(5000))
    expect(scene.queued).toEqual(['s'])
    expect(await rejectionOf(scene.append('s', sized(1)))).toMatchObject({ code: 'QUEUE_FULL' })
  })

  test('of what a chunk holds refuses what is larger, for ever', async () => {
    const scene = new Scene({}, 1000)
    expect(await rejectionOf(scene.append('s', sized(1000)))).toMatchObject({ code: 'RECORD_TOO_LARGE', retryable: false })
    void scene.append('s', sized(1000 - EMPTY_SIZE))
    expect(scene.queued).toEqual(['s'])
  })
})

describe('who waits for room', () => {
  test('is told when an append settles, and not before', async () => {
    const scene = new Scene({ maxPendingAppends: 1 })
    void scene.append('s', order(0))
    const room = scene.admission.room()
    scene.pending.settle(LogPosition.start)
    expect(await stateOf(room)).toBe('pending')
    scene.settleAll()
    await room
  })

  test('is told when an append comes to nothing in front of the queue', async () => {
    const scene = new Scene({ maxPendingAppends: 1 })
    let fail = (_: Error) => {}
    scene.check.lookUp = () => new Promise((_, reject) => (fail = reject))
    const append = scene.append('s', order(0))
    const room = scene.admission.room()
    expect(await stateOf(room)).toBe('pending')
    fail(new Error('EIO'))
    await rejectionOf(append)
    await room
  })

  test('does not wait when all have left meanwhile', async () => {
    const scene = new Scene({ maxPendingAppends: 1 })
    await scene.admission.room()
  })
})

describe('a call that is refused', () => {
  test.each<[string, (scene: Scene) => Promise<unknown>]>([
    ['for its stream', scene => scene.append('$mine', order(0))],
    ['for a stream among others', scene => scene.commit(['a', 'b', '$mine'])],
    ['for a stream that is named twice', scene => scene.commit(['a', 'b', 'a'])],
    ['for a name', scene => scene.append('a\nb', order(0))],
    ['for a name among others', scene => scene.commit(['a', 'b', 'c\nd'])],
    ['for its expected revision', scene => scene.append('s', order(0), { expectedRevision: -1 })],
    ['for an event', scene => scene.append('s', [order(0), { type: '', data: 1 }])],
    ['for a hole among its events', scene => scene.append('s', HOLED)],
    ['for a hole among the events of a stream', scene => scene.commit([{ stream: 's', events: HOLED }])],
    ['for what only looks like bytes', scene => scene.append('s', { type: 'Sized', data: new Proxy(new Uint8Array(9), {}) })],
    ['for an id', scene => scene.append('s', { ...order(0), id: 'mine' })],
    ['for its condition', scene => scene.append('s', order(0), { condition: { failIf: {}, after: 0 } })],
    ['for its size', scene => scene.append('s', sized(2 << 20))],
    ['for the size of a commit', scene => scene.commit(upTo(20_000).map(n => `s-${n}`))],
  ])('%s is told before anything has happened, and holds no stream', async (_, call) => {
    const scene = new Scene()
    await rejectionOf(call(scene))
    await settle()
    expect([scene.check.heldCount, scene.queue.length, scene.pending.count]).toEqual([0, 0, 0])
  })

  test.each<[string, (scene: Scene, aborting: AbortController) => void, { readonly code?: string; readonly name?: string }]>([
    ['closes the desk', scene => void scene.admission.close(), { code: 'STORE_CLOSED' }],
    ['aborts its signal', (_, aborting) => aborting.abort(), { name: 'AbortError' }],
  ])('because a toJSON of its own %s holds no stream either', async (_, act, refusal) => {
    const scene = new Scene()
    const aborting = new AbortController()
    const data = { toJSON: () => act(scene, aborting) ?? 1 } as never
    const error = rejectionOf(scene.append('s', { type: 'Sly', data }, { signal: aborting.signal }))
    expect([scene.check.heldCount, scene.queue.length, scene.pending.count]).toEqual([0, 0, 0])
    expect(await error).toMatchObject({ ...refusal, outcome: 'rejected' })
  })

  test("is not one of the store's own, which may go to its own streams", async () => {
    const scene = new Scene()
    const house = { [fromHouse]: true } as AppendOptions
    void scene.append('$mine', order(0), house)
    void scene.commit(['$$a', 'a'], house)
    expect(scene.queued).toEqual(['$mine', '$$a'])
  })
})

describe('a commit', () => {
  test('is taken at its first word, whatever its getters and lists say when they are asked again', () => {
    class OwnList extends Array<NewEvent> {
      override map(): never[] {
        return []
      }
    }
    const scene = new Scene()
    let asked = 0
    const sly = {
      get stream() {
        return asked++ === 0 ? 'b' : 'a'
      },
      events: order(0),
    }
    void scene.commit([{ stream: 'a', events: OwnList.from(orders(2)) }, sly])
    const append = scene.queue.shift() as PendingAppend
    expect(append.parts!.map(({ head, events }) => [head.name, events.length])).toEqual([
      ['a', 2],
      ['b', 1],
    ])
  })
})

describe('what is looked up first', () => {
  test('keeps others of the stream behind it, and nobody else', async () => {
    const scene = new Scene()
    let found = () => {}
    scene.check.lookUp = ({ head }) => (head.name === 'cold' ? new Promise(resolve => (found = resolve)) : null)
    void scene.append('cold', order(0))
    scene.check.lookUp = () => null
    void scene.append('cold', order(1))
    void scene.append('warm', order(0))
    void scene.commit(['warm', 'cold'])
    expect(scene.queued).toEqual(['warm'])
    found()
    await settle()
    expect(scene.queued).toEqual(['cold', 'cold', 'warm'])
  })

  test('and could not be read is the outcome; the stream is let go of', async () => {
    const scene = new Scene()
    scene.check.lookUp = () => Promise.reject(new Error('EIO'))
    expect(await rejectionOf(scene.append('s', order(0)))).toMatchObject({ message: 'EIO' })
    await settle()
    expect([scene.check.heldCount, scene.queue.length, scene.admission.waiting.count]).toEqual([0, 0, 0])
  })

  test('comes to nothing when the call is taken back meanwhile', async () => {
    const scene = new Scene()
    let found = () => {}
    scene.check.lookUp = () => new Promise(resolve => (found = resolve))
    const aborting = new AbortController()
    const append = scene.append('s', order(0), { signal: aborting.signal })
    const reason = new Error('never mind')
    aborting.abort(reason)
    expect(await rejectionOf(append)).toBe(reason)
    expect(reason).toMatchObject({ outcome: 'rejected' })
    found()
    await settle()
    expect([scene.check.heldCount, scene.queue.length]).toEqual([0, 0])
  })

  test('comes to nothing when the writer has failed meanwhile', async () => {
    const scene = new Scene()
    let found = () => {}
    scene.check.lookUp = () => new Promise(resolve => (found = resolve))
    const append = scene.append('s', orders(2))
    scene.failure = new WriterFailedError('the writer failed', { outcome: 'rejected' })
    found()
    expect(await rejectionOf(append)).toBe(scene.failure)
    expect([scene.check.heldCount, scene.queue.length]).toEqual([0, 0])
  })
})

describe('a desk that is closed', () => {
  test('lets nobody in, and is empty when everybody that was let in stands in the queue', async () => {
    const scene = new Scene()
    let found = () => {}
    scene.check.lookUp = () => new Promise(resolve => (found = resolve))
    void scene.append('s', order(0))
    let isClosed = false
    const closing = scene.admission.close().then(() => {
      isClosed = true
    })
    expect(await rejectionOf(scene.append('t', order(0)))).toMatchObject({ code: 'STORE_CLOSED' })
    await settle()
    expect(isClosed).toBe(false)
    found()
    await closing
    expect(scene.queued).toEqual(['s'])
  })

  test('because the writer failed says so to everybody', async () => {
    const scene = new Scene()
    scene.failure = new WriterFailedError('the writer failed', { outcome: 'rejected' })
    expect(await rejectionOf(scene.append('s', order(0)))).toBe(scene.failure)
    expect(await rejectionOf(scene.commit(['s']))).toBe(scene.failure)
  })
})
