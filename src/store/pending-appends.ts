import Denque from 'denque'
import { type TailraceError, WriterFailedError } from '../core/errors.ts'
import type { AppendAck, CommitAnswer, ExpectedRevision } from '../core/events.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import { unreachable } from '../core/unreachable.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { AppendCheck } from '../writer/append-check.ts'
import type { AppendPart, AppendTerms } from '../writer/append-terms.ts'
import { AppendMessage } from '../writer/messages.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import type { DeferredVerdict, DuplicateVerdict, FinalVerdict, RevisionRange, Verdict } from '../writer/verdict.ts'

/** Answers that are looked for at once: each may read far back, and holds what it has just read. */
const MAX_ANSWERERS = 16

/** An append to one stream gets an AppendAck, a commit a CommitAnswer. */
export type Resolve = (answer: AppendAck | CommitAnswer) => void

/** An append and whoever waits for it. */
export class PendingAppend extends AppendMessage {
  readonly resolve: Resolve
  readonly reject: (error: unknown) => void
  /** Told already: by an abort, which ends the wait but not the append. */
  isSettled = false
  /** Stops listening to the caller's signal. */
  unlisten: (() => void) | null = null

  constructor(
    head: StreamHead,
    expected: ExpectedRevision,
    eventType: Uint8Array | null,
    data: Uint8Array | string,
    metadata: Uint8Array | string | undefined,
    suppliedId: Uint8Array | undefined,
    rest: readonly EncodableEvent[],
    terms: AppendTerms | null,
    resolve: Resolve,
    reject: (error: unknown) => void,
  ) {
    super(head, expected, eventType, data, metadata, suppliedId, rest, terms)
    this.resolve = resolve
    this.reject = reject
  }

  /** Ends it before the writer has seen it: it will not be written. */
  fail(error: unknown): void {
    this.isAborted = true
    if (!this.isSettled) this.reject(error)
    this.isSettled = true
  }
}

/**
 * Who waits for what, in the order of the queue, which is the order of the log. An append leaves at the front: when what was
 * published covers it, or covers what its verdict rests on. So acks and verdicts come in one order.
 *
 *     first ... uncommitted ... last        linked by `next`: the line costs no memory but theirs
 */
export class PendingAppends {
  #first: PendingAppend | null = null
  #last: PendingAppend | null = null
  /** The first that the chaser has not come by; null when there is none. */
  #uncommitted: PendingAppend | null = null
  readonly #onSettled: (append: PendingAppend) => void
  #count = 0
  #bytes = 0
  /** Appends that have left the line and wait for somebody to look for their answer. */
  readonly #unanswered = new Denque<{ readonly append: PendingAppend; readonly verdict: DeferredVerdict }>()
  #answererCount = 0
  readonly #answered: (() => void)[] = []
  readonly #wantingRoom: (() => void)[] = []
  /** Of events that may be found at the next open, whoever was told what of them; see `idsOf`. Empty until the writer fails. */
  readonly #idsInDoubt = new Set<string>()

  /** @param onSettled called once for each append, when it has its outcome. */
  constructor(onSettled: (append: PendingAppend) => void) {
    this.#onSettled = onSettled
  }

  get count(): number {
    return this.#count
  }

  /** Bytes of log that are accepted and not settled. */
  get bytes(): number {
    return this.#bytes
  }

  add(append: PendingAppend): void {
    if (this.#last === null) this.#first = append
    else this.#last.next = append
    this.#last = append
    if (this.#uncommitted === null) this.#uncommitted = append
    this.#count++
    this.#bytes += append.size
  }

  /** The append whose last record ends at `end`, which the chaser has just come by; null when nobody waits for that record. */
  committed(end: LogPosition): PendingAppend | null {
    let append = this.#uncommitted
    while (append !== null && (append.verdict !== null || append.isAborted)) append = append.next
    if (append === null || append.settlesAt !== end) return null
    this.#uncommitted = append.next
    return append
  }

  /** Everything below `published` is durable and has been published: settles what waited for it. */
  settle(published: LogPosition): void {
    const before = this.#count
    for (let append = this.#first; append !== null; append = this.#first) {
      if (!append.isAborted && (append.settlesAt > published || !append.isTaken)) break
      this.#first = append.next
      if (this.#first === null) this.#last = null
      if (this.#uncommitted === append) this.#uncommitted = append.next
      // A dead append that has grown old would carry everything behind it over into the old generation.
      append.next = null
      this.#leave(append)
    }
    if (this.#count < before) this.roomMade()
  }

  /** Resolves when somebody has made room. */
  room(): Promise<void> {
    return new Promise(resolve => {
      this.#wantingRoom.push(resolve)
    })
  }

  /** Somebody has left, from here or in front of the queue. */
  roomMade(): void {
    if (this.#wantingRoom.length === 0) return
    for (const resolve of this.#wantingRoom.splice(0)) resolve()
  }

  #leave(append: PendingAppend): void {
    append.unlisten?.()
    const { verdict } = append
    if (verdict?.kind === 'deferred') {
      this.#unanswered.push({ append, verdict })
      if (this.#answererCount < MAX_ANSWERERS) void this.#answerAll()
    } else {
      this.#letGo(append)
      if (!append.isSettled) tell(append, verdict)
    }
  }

  /** Up to here it counts and holds its streams: while its answer is looked for, too. */
  #letGo(append: PendingAppend): void {
    this.#count--
    this.#bytes -= append.size
    this.#onSettled(append)
  }

  async #answerAll(): Promise<void> {
    this.#answererCount++
    for (let next = this.#unanswered.shift(); next !== undefined; next = this.#unanswered.shift()) {
      await this.#answer(next.append, next.verdict)
    }
    if (--this.#answererCount > 0) return
    for (const resolve of this.#answered.splice(0)) resolve()
  }

  /** Everything that the answer rests on is published by now: it is in the log. */
  async #answer(append: PendingAppend, verdict: DeferredVerdict): Promise<void> {
    try {
      const final = await verdict.answer()
      if (!append.isSettled) tell(append, final)
    } catch (error) {
      append.reject(error)
    } finally {
      this.#letGo(append)
      this.roomMade()
    }
  }

  /** Resolves when no answer is being looked for. */
  answered(): Promise<void> {
    if (this.#answererCount === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#answered.push(resolve)
    })
  }

  /**
   * What stands or rests behind `position` was taken back: it gets `error` as its verdict. What was written is forgotten, newest first.
   * Then retries are decided once more: of those whose events stand in the log all the same nobody may be told that they never will.
   */
  undo(position: LogPosition, error: TailraceError, check: Pick<AppendCheck, 'forget' | 'decide'>): void {
    const undone: PendingAppend[] = []
    for (let append = this.#first; append !== null; append = append.next) {
      if (!append.isTaken || append.isAborted || append.settlesAt <= position) continue
      undone.push(append)
      append.settlesAt = position
    }
    for (let i = undone.length - 1; i >= 0; i--) if (undone[i]!.verdict === null) check.forget(undone[i]!)
    for (const append of undone) {
      const verdict = append.verdict?.kind === 'deferred' ? check.decide(append) : null
      append.verdict = unlessFound(verdict, { kind: 'rejected', error })
    }
  }

  /**
   * The writer is finished, or the chaser. What was taken and stands behind `position` may or may not be found at the next open,
   * and so may what is a retry of it, now or later; all else will not be written. Who was told his fate by the one keeps it when the
   * other fails, too.
   */
  fail(position: LogPosition, cause: unknown): void {
    for (let append = this.#first; append !== null; append = append.next) {
      if (append.isAborted) continue
      const isWritten = append.isTaken && append.verdict === null
      if (isWritten) for (const id of idsOf(append)) this.#idsInDoubt.add(id)
      if (append.isTaken && append.settlesAt <= position) continue
      if (!hasFailed(append)) {
        const error = isWritten ? writerFailed(cause, 'unknown') : this.refusalOf(append, cause)
        append.verdict = unlessFound(append.verdict, { kind: 'rejected', error })
      }
      append.settlesAt = position
    }
  }

  /** What an append is told that will not be written, because the writer is finished: it may be a retry of one that was. */
  refusalOf(append: PendingAppend, cause: unknown): WriterFailedError {
    const isInDoubt = this.#idsInDoubt.size > 0 && idsOf(append).some(id => this.#idsInDoubt.has(id))
    return writerFailed(cause, isInDoubt ? 'unknown' : 'rejected')
  }
}

/** Of the events that were given one, each with its stream: by these an append is known for a retry of another. */
function idsOf(append: PendingAppend): string[] {
  const { head, eventCount, rest } = append
  const parts = append.parts ?? [{ head, events: eventCount === 0 ? [] : [append, ...rest] }]
  return parts.flatMap(part =>
    part.events.flatMap(({ suppliedId }) => (suppliedId === undefined ? [] : [`${suppliedId.join()} ${part.head.name}`])),
  )
}

/** A retry of what is published is answered as ever: of events that stand in the log nobody may be told that they never will. */
function unlessFound(verdict: Verdict | null, refusal: FinalVerdict): Verdict {
  if (verdict?.kind !== 'deferred') return refusal
  const answer = async (): Promise<FinalVerdict> => {
    const found = await verdict.answer()
    return found.kind === 'duplicate' ? found : refusal
  }
  return { kind: 'deferred', answer }
}

function hasFailed({ verdict }: PendingAppend): boolean {
  return verdict?.kind === 'rejected' && verdict.error instanceof WriterFailedError
}

export function writerFailed(cause: unknown, outcome: 'rejected' | 'unknown'): WriterFailedError {
  const fate = outcome === 'unknown' ? 'this append may or may not have been written' : 'this append was not written'
  return new WriterFailedError(`the writer failed and ${fate}; close the store and open it again: ${String(cause)}`, {
    outcome,
    cause,
  })
}

function tell(append: PendingAppend, verdict: FinalVerdict | null): void {
  const { head, parts } = append
  if (verdict === null) {
    if (parts !== null) append.resolve(answerOf(parts, append.position, writtenTo))
    else
      append.resolve({
        stream: head.name,
        firstRevision: append.firstRevision,
        lastRevision: Revision.plus(append.firstRevision, append.eventCount - 1),
        position: append.position,
        duplicate: false,
      })
    return
  }
  switch (verdict.kind) {
    case 'rejected':
      append.reject(verdict.error)
      break
    case 'duplicate':
      append.resolve(duplicateOf(append, verdict))
      break
    case 'checked':
      append.resolve(
        parts !== null
          ? answerOf(parts, decidedAt(append), () => null)
          : { stream: head.name, firstRevision: null, lastRevision: null, position: decidedAt(append), duplicate: false },
      )
      break
    default:
      unreachable(verdict)
  }
}

/** A check knows of what was written before it, and of nothing that comes: the next event may begin right where that ends. */
function decidedAt({ settlesAt }: PendingAppend): LogPosition {
  return LogPosition.plus(settlesAt, -1)
}

function answerOf(
  parts: readonly AppendPart[],
  position: LogPosition,
  rangeOf: (part: AppendPart, index: number) => RevisionRange | null,
  duplicate = false,
): CommitAnswer {
  const streams = parts.map((part, index) => {
    const range = rangeOf(part, index)
    return {
      stream: part.head.name,
      firstRevision: range?.firstRevision ?? null,
      lastRevision: range?.lastRevision ?? null,
    }
  })
  return { position, duplicate, streams }
}

function writtenTo({ events, firstRevision }: AppendPart): RevisionRange | null {
  return events.length === 0 ? null : { firstRevision, lastRevision: Revision.plus(firstRevision, events.length - 1) }
}

function duplicateOf({ parts, head }: PendingAppend, { position, revisions }: DuplicateVerdict): AppendAck | CommitAnswer {
  if (parts !== null) return answerOf(parts, position, (_, index) => revisions[index]!, true)
  const { firstRevision, lastRevision } = revisions[0]!
  return { stream: head.name, firstRevision, lastRevision, position, duplicate: true }
}
