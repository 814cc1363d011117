/** What a store should answer, in the plainest way: a list of events, and the rules as docs/streams.md has them. */
import type { StreamMetadata } from '../../src/core/stream-metadata.ts'

export type Expected = number | 'any' | 'no_stream' | 'stream_exists'

/** What is said of a stream. */
export type Settings = StreamMetadata

export interface PartEvent {
  readonly type: string
  readonly id: string | null
}

export interface Part {
  readonly stream: string
  readonly expected: Expected
  readonly events: readonly PartEvent[]
}

export interface Condition {
  readonly types: readonly string[] | null
  readonly streams: readonly string[] | null
  readonly after: number
}

/** An event that stands in the log; a stub only remembers where its stream ends. */
export interface StoredModelEvent extends PartEvent {
  readonly stream: string
  readonly revision: number
  readonly data: unknown
  readonly createdMs: number
  /** Of the call that wrote it. */
  readonly token: string
  /** Infinity until a read has told it. */
  position: number
  isStub: boolean
}

type Ranges = readonly (readonly [first: number, last: number] | null)[]

export interface Refusal {
  readonly kind: 'refused'
  readonly code: string
  readonly stream?: string
  readonly expected?: Expected
  readonly actual?: number | null
  readonly conflicts?: readonly string[]
  readonly more?: boolean
}

interface Duplicate {
  readonly kind: 'duplicate'
  readonly ranges: Ranges
  /** Known once a read has told it. */
  readonly position: () => number
}

/** What a call answers. */
export type Answer = { readonly kind: 'written'; readonly ranges: Ranges } | Duplicate | { readonly kind: 'checked' } | Refusal

interface Kept {
  readonly settings: Settings
  readonly isTombstoned: boolean
}

const NOTHING_SAID: Kept = { settings: {}, isTombstoned: false }
const MAX_CONFLICTS = 100

export class StoreModel {
  /** In the order of the log. */
  events: StoredModelEvent[] = []
  readonly #byStream = new Map<string, StoredModelEvent[]>()
  readonly #heads = new Map<string, StoredModelEvent>()
  readonly #kept = new Map<string, Kept>()
  /** Position of the last event of each type, scavenged or not. */
  readonly #types = new Map<string, number>()
  lastPosition = 0

  get streams(): string[] {
    return [...this.#heads.keys()]
  }

  headOf(stream: string): number {
    return this.#heads.get(stream)?.revision ?? -1
  }

  settingsOf(stream: string): Settings {
    return this.#keptOf(stream).settings
  }

  isTombstoned(stream: string): boolean {
    return this.#keptOf(stream).isTombstoned
  }

  /** Deleted, or never written. */
  isEmpty(stream: string): boolean {
    const { settings, isTombstoned } = this.#keptOf(stream)
    const head = this.headOf(stream)
    return head < 0 || isTombstoned || (settings.truncateBefore ?? 0) > head
  }

  firstKept(stream: string, last = this.headOf(stream)): number {
    const { truncateBefore = 0, maxCount = Number.POSITIVE_INFINITY } = this.settingsOf(stream)
    return Math.max(truncateBefore, last - maxCount + 1, 0)
  }

  /** Events and stubs of the stream. */
  of(stream: string): readonly StoredModelEvent[] {
    return this.#byStream.get(stream) ?? []
  }

  /** Events of the stream that a read shows, or the code of its error. @param upTo those behind this position are not there. */
  visible(stream: string, nowMs: number, upTo = Number.POSITIVE_INFINITY): readonly StoredModelEvent[] | string {
    if (this.isTombstoned(stream)) return 'STREAM_DELETED'
    const there = this.of(stream).filter(({ position }) => position <= upTo)
    const last = there.at(-1)?.revision
    if (last === undefined || (this.settingsOf(stream).truncateBefore ?? 0) > last) return 'STREAM_NOT_FOUND'
    const first = this.firstKept(stream, last)
    const { maxAge = Number.POSITIVE_INFINITY } = this.settingsOf(stream)
    return there.filter(({ revision, createdMs, isStub }) => !isStub && revision >= first && createdMs >= nowMs - maxAge * 1000)
  }

  /** What a call must answer: decides, and writes if it is to be written. */
  apply(parts: readonly Part[], condition: Condition | null, token: string, createdMs: number, dataOf: DataOf): Answer {
    const verdict = this.decide(parts, condition)
    if (verdict !== null) return verdict
    return this.write(parts, token, createdMs, dataOf)
  }

  /** Null: it is to be written. */
  decide(parts: readonly Part[], condition: Condition | null): Answer | null {
    for (const { stream } of parts) {
      if (this.isTombstoned(stream)) return { kind: 'refused', code: 'STREAM_DELETED', stream }
    }
    const retry = this.#decideRetry(parts.filter(({ events }) => events.length > 0))
    if (retry !== null) return retry.kind === 'duplicate' ? { ...retry, ranges: rangesOf(parts, retry.ranges) } : retry
    for (const part of parts) if (!this.#isWhereExpected(part)) return this.#refusal(part)
    if (condition !== null && this.#isRefuted(condition)) return this.#conflicts(condition)
    return parts.every(({ events }) => events.length === 0) ? { kind: 'checked' } : null
  }

  write(parts: readonly Part[], token: string, createdMs: number, dataOf: DataOf): Answer {
    const ranges = parts.map(({ stream, events }) => {
      const first = this.headOf(stream) + 1
      for (const [i, { type, id }] of events.entries()) {
        this.#add({
          stream,
          type,
          id,
          token,
          createdMs,
          data: dataOf(stream, i),
          revision: first + i,
          position: Infinity,
          isStub: false,
        })
      }
      return events.length === 0 ? null : ([first, first + events.length - 1] as const)
    })
    return { kind: 'written', ranges }
  }

  /** The log has told where the new events stand. */
  settlePositions(): void {
    this.events.sort((one, other) => one.position - other.position)
    for (const { type, position } of this.events) this.#types.set(type, Math.max(position, this.#types.get(type) ?? 0))
    this.lastPosition = this.events.at(-1)?.position ?? this.lastPosition
  }

  /** What a scavenge at this time leaves. */
  scavenge(nowMs: number): void {
    const erased = new Set(
      this.of('$erased').flatMap(({ isStub, data }) => {
        const { stream, revision } = data as { stream: string; revision: number }
        return isStub ? [] : [`${revision}@${stream}`]
      }),
    )
    const left: StoredModelEvent[] = []
    for (const event of this.events) {
      const { stream, revision, createdMs } = event
      const last = this.headOf(stream)
      const { maxAge = Number.POSITIVE_INFINITY } = this.settingsOf(stream)
      const isKept =
        !event.isStub &&
        revision >= this.#firstAfterScavenge(stream, last) &&
        createdMs >= nowMs - maxAge * 1000 &&
        !erased.has(`${revision}@${stream}`)
      if (!isKept && revision !== last) continue
      if (!isKept) event.isStub = true
      left.push(event)
    }
    this.events = left
    this.#byStream.clear()
    for (const event of left) this.#listOf(event.stream).push(event)
  }

  #firstAfterScavenge(stream: string, last: number): number {
    if (stream.startsWith('$$')) return last
    if (stream === '$erased' || this.isTombstoned(stream)) return Number.POSITIVE_INFINITY
    return this.firstKept(stream, last)
  }

  /** Of a stream that describes another: the last event, as long as the other is there. */
  #keptOf(stream: string): Kept {
    if (!stream.startsWith('$$')) return this.#kept.get(stream) ?? NOTHING_SAID
    const described = this.#kept.get(stream.slice(2))
    return described?.isTombstoned ? described : { settings: { maxCount: 1 }, isTombstoned: false }
  }

  #listOf(stream: string): StoredModelEvent[] {
    let list = this.#byStream.get(stream)
    if (list === undefined) {
      list = []
      this.#byStream.set(stream, list)
    }
    return list
  }

  #add(event: StoredModelEvent): void {
    this.events.push(event)
    this.#listOf(event.stream).push(event)
    this.#heads.set(event.stream, event)
    if (!event.stream.startsWith('$$')) return
    const isTombstoned = event.type === '$tombstone'
    this.#kept.set(event.stream.slice(2), { settings: event.data as Settings, isTombstoned })
  }

  #decideRetry(parts: readonly Part[]): Duplicate | Refusal | null {
    const standings = parts.map(part => this.#standing(part))
    if (standings.every(standing => standing === 'new')) return null
    if (standings.includes('mixed') || standings.includes('new')) {
      const stale = standings.indexOf('stale')
      return this.#wrong(parts[stale >= 0 ? stale : standings.findIndex(standing => standing !== 'new')]!)
    }
    const ranges: [number, number][] = []
    const last: StoredModelEvent[] = []
    for (const [i, part] of parts.entries()) {
      const found = this.#written(part, standings[i]!)
      if (found === null) return this.#refusal(part)
      ranges.push([found[0]!.revision, found.at(-1)!.revision])
      last.push(found.at(-1)!)
    }
    return { kind: 'duplicate', ranges, position: () => Math.max(...last.map(({ position }) => position)) }
  }

  #standing(part: Part): 'new' | 'stale' | 'mixed' | number {
    const { stream, expected, events } = part
    const head = this.headOf(stream)
    if (events[0]!.id === null) return 'new'
    if (typeof expected === 'number') return expected < head ? 'stale' : 'new'
    if (expected === 'no_stream' && !this.isEmpty(stream)) return 'stale'
    // Any place will do where they stand one behind the other; the newest counts.
    const known = this.of(stream).filter(({ id, isStub }) => !isStub && id === events[0]!.id)
    for (const first of known.reverse()) if (this.#stand(part, first.revision) !== null) return first.revision
    return known.length > 0 ? 'mixed' : 'new'
  }

  #written(part: Part, standing: string | number): StoredModelEvent[] | null {
    if (typeof standing === 'number') return this.#stand(part, standing)
    if (typeof part.expected === 'number') return this.#stand(part, part.expected + 1)
    return this.#stand(part, 0) ?? this.#stand(part, this.settingsOf(part.stream).truncateBefore ?? 0)
  }

  /** The events of the part, if they stand from this revision on. */
  #stand({ stream, events }: Part, first: number): StoredModelEvent[] | null {
    const found = this.of(stream).filter(({ revision }) => revision >= first && revision < first + events.length)
    const isSame = events.every(({ id }, i) => id !== null && found[i] !== undefined && !found[i]!.isStub && found[i]!.id === id)
    return isSame && found.length === events.length && found[0]!.revision === first ? found : null
  }

  #isWhereExpected({ stream, expected }: Part): boolean {
    if (expected === 'any') return true
    if (expected === 'no_stream') return this.isEmpty(stream)
    if (expected === 'stream_exists') return !this.isEmpty(stream)
    return this.headOf(stream) === expected
  }

  #refusal(part: Part): Refusal {
    const { stream, expected } = part
    if (expected === 'stream_exists' && this.headOf(stream) >= 0 && this.isEmpty(stream))
      return { kind: 'refused', code: 'STREAM_DELETED', stream }
    return this.#wrong(part)
  }

  #wrong({ stream, expected }: Part): Refusal {
    const head = this.headOf(stream)
    return { kind: 'refused', code: 'WRONG_EXPECTED_REVISION', stream, expected, actual: head < 0 ? null : head }
  }

  /** Beyond what is known to stand against it, whatever may: where events are gone nobody knows what they were. */
  #isRefuted({ types, streams, after }: Condition): boolean {
    const hasType =
      types === null ||
      types.some(type => (this.#types.get(type) ?? 0) > after) ||
      this.events.some(event => event.position > after && types.includes(event.type))
    if (streams === null || !hasType) return hasType
    return streams.some(stream => {
      const there = this.of(stream)
      const behind = there.filter(({ position }) => position > after)
      if (behind.length === 0) return false
      const before = there.at(-behind.length - 1)?.revision ?? -1
      const hasHole = behind.some(({ revision }, i) => revision !== (behind[i - 1]?.revision ?? before) + 1)
      return types === null || hasHole || behind.some(({ isStub, type }) => isStub || types.includes(type))
    })
  }

  #conflicts({ types, streams, after }: Condition): Answer {
    const found = this.events.filter(
      ({ isStub, type, stream, position }) =>
        !isStub && position > after && (types?.includes(type) ?? true) && (streams?.includes(stream) ?? true),
    )
    const conflicts = found.slice(0, MAX_CONFLICTS).map(({ stream, revision }) => `${revision}@${stream}`)
    return { kind: 'refused', code: 'CONDITION_FAILED', conflicts, more: found.length > MAX_CONFLICTS }
  }
}

export type DataOf = (stream: string, index: number) => unknown

/** Ranges of the parts with events, in the places of all parts. */
function rangesOf(parts: readonly Part[], ranges: Ranges): Ranges {
  let next = 0
  return parts.map(({ events }) => (events.length === 0 ? null : ranges[next++]!))
}
