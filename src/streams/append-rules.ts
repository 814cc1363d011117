import { StreamDeletedError, type TailraceError, WrongExpectedRevisionError, withoutStack } from '../core/errors.ts'
import type { ExpectedRevision } from '../core/events.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { AppendCheck } from '../writer/append-check.ts'
import type { AppendPart } from '../writer/append-terms.ts'
import { type Lookup, lookupOf, promiseOf } from '../writer/lookup.ts'
import type { AppendMessage } from '../writer/messages.ts'
import type { Verdict } from '../writer/verdict.ts'
import type { CachedHead } from './cached-head.ts'
import type { ConditionCheck } from './condition-check.ts'
import { HeadCache } from './head-cache.ts'
import type { HeadLoader } from './head-loader.ts'
import { RecentEvents } from './recent-events.ts'
import { Retention, streamDescribedBy } from './retention.ts'
import type { RetryCheck, RetryClaim } from './retry-check.ts'
import type { SuppliedIdMemory } from './supplied-id-memory.ts'

/** What the ids of a part's events say: none is known, all stand from a revision on, only some do, or only the log can tell. */
type Standing = 'new' | number | 'mixed' | 'stale'

/**
 * The rules by which an append is written or refused, in this order: is it a retry, is every stream where the appender
 * believed it, does anything stand against its condition. They follow KurrentDB's (IndexWriter.cs), without its holes: what is
 * a retry does not depend on what happens to be cached.
 */
export class AppendRules implements AppendCheck {
  readonly #heads = new HeadCache()
  readonly #recent = new RecentEvents()
  readonly #loader: HeadLoader
  readonly #ids: SuppliedIdMemory
  readonly #conditions: ConditionCheck
  readonly #retries: RetryCheck
  /** Behind the last append that was written. */
  #writtenEnd = LogPosition.start

  constructor(loader: HeadLoader, ids: SuppliedIdMemory, conditions: ConditionCheck, retries: RetryCheck) {
    this.#loader = loader
    this.#ids = ids
    this.#conditions = conditions
    this.#retries = retries
  }

  hold(stream: string): CachedHead {
    return this.#heads.hold(stream)
  }

  prefetch(append: AppendMessage): Lookup | null {
    const { terms } = append
    if (terms === null && !hasIds(append)) {
      const head = append.head as CachedHead
      return head.isKnown ? null : this.#loader.load(head)
    }
    const waiting: Promise<void>[] = []
    for (const { head: anyHead, events } of partsOf(append)) {
      const head = anyHead as CachedHead
      const loading = head.isKnown ? null : this.#loader.load(head)
      if (loading !== null) waiting.push(promiseOf(loading))
      const preparing = this.#ids.prepare(head, idsOf(events))
      if (preparing !== null) waiting.push(preparing)
    }
    if (terms !== null && terms.condition !== null) {
      this.#recent.watch(terms.condition)
      const looking = this.#conditions.look(terms.condition, () => this.#writtenEnd)
      if (looking !== null) waiting.push(looking)
    }
    return waiting.length === 0 ? null : lookupOf(Promise.all(waiting))
  }

  decide(append: AppendMessage): Verdict | null {
    const head = append.head as CachedHead
    if (append.terms !== null || append.suppliedId !== undefined || head.retention !== null) {
      const verdict = this.#decideByAllRules(append)
      // Its answer may be looked for for long: what is written meanwhile need not be kept for it.
      if (verdict !== null) this.#unwatch(append)
      return verdict
    }
    const error = wrongRevision(head, append.expected)
    if (error !== null) return { kind: 'rejected', error }
    return append.eventCount === 0 ? { kind: 'checked' } : null
  }

  #decideByAllRules(append: AppendMessage): Verdict | null {
    const parts = partsOf(append)
    for (const { head } of parts) {
      if ((head as CachedHead).retention?.isTombstoned) return deleted(head.name)
    }
    const retry = this.#decideRetry(parts)
    if (retry !== null) return retry
    for (const { head, expected } of parts) {
      const error = wrongRevision(head as CachedHead, expected)
      if (error !== null) return { kind: 'rejected', error }
    }
    const condition = append.terms?.condition
    if (condition && (condition.isRefuted || this.#recent.refutes(condition))) {
      return { kind: 'deferred', answer: () => this.#conditions.refusal(condition) }
    }
    return append.eventCount === 0 ? { kind: 'checked' } : null
  }

  /** Null when nothing of it was written before. */
  #decideRetry(parts: readonly AppendPart[]): Verdict | null {
    const standings = parts.map(part => (part.events.length === 0 ? null : this.#standing(part)))
    const wasWritten = (standing: Standing | null) => standing !== null && standing !== 'new'
    if (!standings.some(wasWritten)) return null
    if (standings.includes('new') || standings.includes('mixed')) {
      // Some of its events stand in the log, and others don't: this is another append than the one that was written.
      const stale = standings.indexOf('stale')
      const { head, expected } = parts[stale >= 0 ? stale : standings.findIndex(wasWritten)]!
      return { kind: 'rejected', error: refusal(head as CachedHead, expected, stale < 0) }
    }
    const claims = parts.map((part, i) => claimOf(part, standings[i] as number | 'stale' | null))
    return { kind: 'deferred', answer: () => this.#retries.answer(claims) }
  }

  #standing({ head: anyHead, expected, events }: AppendPart): Standing {
    const head = anyHead as CachedHead
    if (events[0]!.suppliedId === undefined) return 'new'
    const isAbsent = head.revision === Revision.none || head.retention?.isEmptyAt(head.revision) === true
    if (typeof expected === 'number' ? expected < head.revision : expected === 'no_stream' && !isAbsent) return 'stale'
    if (typeof expected === 'number') return 'new'
    return this.#ids.find(head, idsOf(events)) ?? 'new'
  }

  note(append: AppendMessage): void {
    const { parts, rest, eventCount } = append
    const head = append.head as CachedHead
    this.#writtenEnd = append.settlesAt
    this.#recent.note(append)
    if (parts !== null) {
      this.#noteParts(parts)
      return
    }
    head.revision = Revision.plus(append.firstRevision, eventCount - 1)
    if (append.suppliedId === undefined && rest.length === 0) return
    this.#ids.note(head, append.firstRevision, append)
    for (let i = 0; i < rest.length; i++) this.#ids.note(head, Revision.plus(append.firstRevision, i + 1), rest[i]!)
  }

  #noteParts(parts: readonly AppendPart[]): void {
    for (const { head: anyHead, events, firstRevision } of parts) {
      if (events.length === 0) continue
      const head = anyHead as CachedHead
      head.revision = Revision.plus(firstRevision, events.length - 1)
      for (let i = 0; i < events.length; i++) this.#ids.note(head, Revision.plus(firstRevision, i), events[i]!)
      const described = this.#describedBy(head)
      if (described === undefined) continue
      described.retention = retentionOf(events.at(-1)!)
      described.uncommittedRetentions ??= []
      described.uncommittedRetentions.push(described.retention)
    }
  }

  forget(append: AppendMessage): void {
    // The log ends now where the append settles.
    this.#writtenEnd = append.settlesAt
    this.#conditions.lookAgain()
    this.#recent.forget(append)
    for (const part of [...partsOf(append)].reverse()) {
      const head = part.head as CachedHead
      if (part.events.length === 0) continue
      head.revision = Revision.plus(part.firstRevision, -1)
      for (const { suppliedId } of part.events) if (suppliedId !== undefined) this.#ids.forgetNewest()
      const described = this.#describedBy(head)
      if (described === undefined) continue
      described.uncommittedRetentions!.pop()
      described.retention = described.uncommittedRetentions!.at(-1) ?? described.committedRetention
    }
  }

  /** Nothing is written any more, so nobody may wait for what was. */
  writerFailed(): void {
    this.#writtenEnd = LogPosition.start
    this.#conditions.lookAgain()
  }

  /** The chaser has come by: what the append says of retention holds for readers. */
  committed(append: AppendMessage): void {
    if (append.parts === null) return
    for (const { head, events } of append.parts) {
      const described = events.length > 0 ? this.#describedBy(head as CachedHead) : undefined
      if (described !== undefined) described.committedRetention = described.uncommittedRetentions!.shift()!
    }
  }

  release(append: AppendMessage): void {
    const { parts } = append
    if (parts === null) this.#heads.release(append.head as CachedHead)
    else for (const { head } of parts) this.#heads.release(head as CachedHead)
    this.#unwatch(append)
  }

  #unwatch({ terms }: AppendMessage): void {
    if (terms !== null && terms.condition !== null) this.#recent.unwatch(terms.condition)
  }

  /** Whoever appends to a `$$` stream holds the stream that it describes, too. */
  #describedBy(head: CachedHead): CachedHead | undefined {
    const stream = streamDescribedBy(head.name)
    return stream === null ? undefined : this.#heads.find(stream)
  }
}

/** An append to one stream says by itself what a commit says in parts. */
function partsOf(append: AppendMessage): readonly AppendPart[] {
  const { parts, head, expected, rest, firstRevision } = append
  return parts ?? [{ head, expected, events: append.eventCount === 0 ? [] : [append, ...rest], firstRevision }]
}

/** Where the stream is now: what is appended until the answer must not change it. */
function claimOf({ head: anyHead, expected, events }: AppendPart, standing: number | 'stale' | null): RetryClaim | null {
  const head = anyHead as CachedHead
  if (standing === null) return null
  return { head, expected, events, standing, actual: head.revision, truncateBefore: head.retention?.metadata.truncateBefore ?? 0 }
}

function hasIds({ suppliedId, rest }: AppendMessage): boolean {
  if (suppliedId !== undefined) return true
  for (let i = 0; i < rest.length; i++) if (rest[i]!.suppliedId !== undefined) return true
  return false
}

function idsOf(events: readonly EncodableEvent[]): (Uint8Array | undefined)[] {
  return events.map(({ suppliedId }) => suppliedId)
}

function retentionOf({ eventType, data }: EncodableEvent): Retention {
  return Retention.of(Buffer.from(eventType).toString(), data as string)
}

/** Null when the stream is where the appender believes it. */
function wrongRevision(head: CachedHead, expected: ExpectedRevision): TailraceError | null {
  const { revision } = head
  if (expected === 'any') return null
  const isEmpty = head.retention?.isEmptyAt(revision) === true
  if (
    expected === 'no_stream'
      ? revision === Revision.none || isEmpty
      : expected === 'stream_exists'
        ? revision >= 0 && !isEmpty
        : revision === expected
  ) {
    return null
  }
  return refusal(head, expected)
}

/** @param hasIds that the stream has ids of the append is why, and not where it stands. */
function refusal(head: CachedHead, expected: ExpectedRevision, hasIds = false): TailraceError {
  const { revision } = head
  const isDeleted = revision >= 0 && head.retention?.isEmptyAt(revision) === true
  if (expected === 'stream_exists' && isDeleted && !hasIds) return deletedError(head.name)
  const actual = revision === Revision.none ? null : revision
  return withoutStack(() => new WrongExpectedRevisionError(head.name, expected, actual, hasIds))
}

function deletedError(stream: string): TailraceError {
  return withoutStack(() => new StreamDeletedError(stream))
}

function deleted(stream: string): Verdict {
  return { kind: 'rejected', error: deletedError(stream) }
}
