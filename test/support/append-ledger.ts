import assert from 'node:assert/strict'
import { TailraceError } from '../../src/core/errors.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import type { Mark } from './operation-log.ts'
import { Random } from './random.ts'

export interface SubmittedEvent {
  /** Unique in the ledger: it says which event of which append this is. */
  readonly type: string
  readonly data: Uint8Array
  readonly metadata: Uint8Array | undefined
  readonly id: string | undefined
}

/** One append, as it was called. Appends are numbered in the order of their calls, which is their order in each stream. */
export interface Submission {
  readonly index: number
  readonly stream: string
  readonly events: readonly SubmittedEvent[]
}

/** Where an append stands: what its ack said, or where a recovered store showed it. */
export interface Place {
  readonly firstRevision: number
  /** Of the last event. */
  readonly position: number
}

/** What someone who was told of some outcomes may expect of the log. */
export interface Expectation {
  /** Must be there, at these places. */
  readonly certain: ReadonlyMap<number, Place>
  /** Must never be there again. */
  readonly gone: ReadonlySet<number>
}

interface Outcome {
  readonly index: number
  readonly place: Place | null
}

/** What an opened store showed, of so many submissions. */
interface Found {
  readonly shown: ReadonlyMap<number, Place>
  readonly submittedCount: number
}

/** How a workload tells of its appends. */
export interface AppendSpec {
  readonly stream: string
  /** Payload sizes, one for each event. */
  readonly sizes: readonly number[]
  readonly expectedRevision?: number | 'no_stream' | 'stream_exists'
}

/**
 * Keeps book of what was submitted to a store and what became of it, outside of the store; each outcome is noted in the
 * disk's log at the moment at which it is told, so that for every crash it is clear who knew what.
 */
export class AppendLedger {
  readonly submissions: Submission[]
  /** Appends that were refused in the end, whether or not that had been told before the crash. */
  readonly refused: Set<number>
  readonly #before: Expectation
  readonly #mark: (label: string, payload: unknown) => void
  readonly #seed: string
  #unsettledCount = 0

  constructor(seed: string, mark: (label: string, payload: unknown) => void, earlier?: AppendLedger, before?: Expectation) {
    this.#seed = seed
    this.#mark = mark
    this.submissions = earlier?.submissions.slice() ?? []
    this.refused = new Set(earlier?.refused)
    this.#before = before ?? { certain: new Map(), gone: new Set() }
  }

  /** The book of a later life of the same store, after a crash of which `before` is known. */
  fork(mark: (label: string, payload: unknown) => void, before: Expectation): AppendLedger {
    return new AppendLedger(this.#seed, mark, this, before)
  }

  get unsettledCount(): number {
    return this.#unsettledCount
  }

  /** Appends, and notes the outcome when it is told. Resolves then; never rejects but for what is no outcome. */
  async append(store: EventStore, { stream, sizes, expectedRevision }: AppendSpec): Promise<void> {
    const index = this.submissions.length
    const events = sizes.map((size, k) => this.#event(stream, index, k, size))
    this.submissions.push({ index, stream, events })
    this.#unsettledCount++
    try {
      const { firstRevision, lastRevision, position } = await store.append(stream, events, { expectedRevision })
      assert.equal(lastRevision! - firstRevision! + 1, events.length, 'an ack of another number of events')
      this.#mark('acked', { index, place: { firstRevision: firstRevision!, position } } satisfies Outcome)
    } catch (error) {
      if (!(error instanceof TailraceError)) throw error
      if (error.outcome === 'rejected') {
        this.refused.add(index)
        this.#mark('refused', { index, place: null } satisfies Outcome)
      }
    } finally {
      this.#unsettledCount--
    }
  }

  /** A store was opened and showed this: from now on it must stay, and what was not shown must stay away. */
  found(shown: ReadonlyMap<number, Place>): void {
    this.#mark('found', { shown, submittedCount: this.submissions.length } satisfies Found)
  }

  /** What can be expected of the log by someone who knows these marks. */
  expectationAfter(marks: readonly Mark[]): Expectation {
    let certain = new Map(this.#before.certain)
    const gone = new Set(this.#before.gone)
    for (const { label, payload } of marks) {
      if (label === 'acked') {
        const { index, place } = payload as Outcome
        certain.set(index, place!)
      } else if (label === 'refused') gone.add((payload as Outcome).index)
      else if (label === 'found') {
        const { shown, submittedCount } = payload as Found
        certain = new Map(shown)
        for (let index = 0; index < submittedCount; index++) if (!shown.has(index)) gone.add(index)
      }
    }
    return { certain, gone }
  }

  #event(stream: string, index: number, k: number, size: number): SubmittedEvent {
    const random = new Random(`${this.#seed}/${stream}/${index}/${k}`)
    return {
      type: `${index}.${k}`,
      data: random.bytes(size),
      metadata: random.chance(0.3) ? random.bytes(random.int(40)) : undefined,
      id: random.chance(0.3) ? uuidOf(random.bytes(16)) : undefined,
    }
  }
}

function uuidOf(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes).toString('hex')
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-')
}
