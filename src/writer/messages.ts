import type { ExpectedRevision } from '../core/events.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import { COMMIT_RECORD_SIZE } from '../format/log-record.ts'
import { type EncodableEvent, payloadSize, prepareSize } from '../format/record-encoding.ts'
import type { AppendPart, AppendTerms } from './append-terms.ts'
import type { StreamHead } from './stream-head.ts'
import type { Verdict } from './verdict.ts'

/** Everything that the storage writer accepts. */
export type WriterMessage = AppendMessage | WorkMessage | StopMessage

/**
 * One append, from the queue until it settles. It is its own first event, so that the common append is one object.
 * The writer fills in the outcome: a place in the log, or a verdict.
 */
export class AppendMessage implements EncodableEvent {
  readonly head: StreamHead
  readonly expected: ExpectedRevision

  // The first event; meaningless when eventCount is 0.
  readonly eventType: Uint8Array
  readonly data: Uint8Array | string
  readonly dataSize: number
  readonly metadata: Uint8Array | string | undefined
  readonly metadataSize: number
  readonly suppliedId: Uint8Array | undefined
  /** The events behind the first. */
  readonly rest: readonly EncodableEvent[]
  /** Null for the common append: to one stream, without a condition. */
  readonly terms: AppendTerms | null
  /** In all streams. */
  readonly eventCount: number
  /** Bytes in the log, all records. */
  readonly size: number

  /** Called back before it was taken: the writer passes over it. */
  isAborted = false
  /** The append that was accepted after this one. */
  next: this | null = null
  firstRevision: Revision = Revision.none
  /** Of the last event's record. */
  position: LogPosition = LogPosition.start
  verdict: Verdict | null = null
  /**
   * May be told once everything below is flushed and published: behind its last record, or for a verdict behind what was
   * written when it was reached. Zero until the writer takes it; from then on it can't be called back.
   */
  settlesAt: LogPosition = LogPosition.start

  /**
   * The first event comes in its parts: an object for it would be made for each append, to be taken apart here.
   * @param eventType null for an append without events, a check, and when the events stand in the terms.
   */
  constructor(
    head: StreamHead,
    expected: ExpectedRevision,
    eventType: Uint8Array | null,
    data: Uint8Array | string,
    metadata: Uint8Array | string | undefined,
    suppliedId: Uint8Array | undefined,
    rest: readonly EncodableEvent[],
    terms: AppendTerms | null,
  ) {
    this.head = head
    this.expected = expected
    this.eventType = eventType ?? NO_TYPE
    this.data = data
    this.dataSize = payloadSize(data)
    this.metadata = metadata
    this.metadataSize = metadata === undefined ? 0 : payloadSize(metadata)
    this.suppliedId = suppliedId
    this.rest = rest
    this.terms = terms
    if (eventType !== null) {
      this.eventCount = 1 + rest.length
      this.size = sizeInLog(this, rest, head.nameBytes.length)
    } else {
      this.eventCount = terms === null ? 0 : eventCountOf(terms)
      this.size = terms === null ? 0 : partsSizeInLog(terms, this.eventCount)
    }
  }

  get kind(): 'append' {
    return 'append'
  }

  /** The streams of a commit; null for an append to one stream, which says it all itself. */
  get parts(): readonly AppendPart[] | null {
    const { terms } = this
    return terms !== null && terms.parts.length > 0 ? terms.parts : null
  }

  /** A check leaves no bytes. */
  get isFlushable(): boolean {
    return this.eventCount > 0
  }

  get isTaken(): boolean {
    return this.settlesAt > 0
  }
}

const NO_TYPE = new Uint8Array(0)

function sizeInLog(first: EncodableEvent, rest: readonly EncodableEvent[], streamSize: number): number {
  let size = prepareSize(first, streamSize)
  if (rest.length === 0) return size
  for (const event of rest) size += prepareSize(event, streamSize)
  return size + COMMIT_RECORD_SIZE
}

function eventCountOf({ parts }: AppendTerms): number {
  let count = 0
  for (const { events } of parts) count += events.length
  return count
}

function partsSizeInLog({ parts }: AppendTerms, eventCount: number): number {
  let size = eventCount > 1 ? COMMIT_RECORD_SIZE : 0
  for (const { head, events } of parts) for (const event of events) size += prepareSize(event, head.nameBytes.length)
  return size
}

/**
 * 'complete': complete the active chunk, full or not, unless it has no records. 'sync': make what was taken before it durable,
 * whatever the durability mode. Then call `done`, with the error if that failed.
 */
export interface WorkMessage {
  readonly kind: 'complete' | 'sync'
  readonly size: 0
  readonly isFlushable: false
  readonly done: (error: unknown) => void
}

/** Finish what waits in front of it, prove the log, then call `stopped`. */
export interface StopMessage {
  readonly kind: 'stop'
  readonly size: 0
  readonly isFlushable: false
  readonly stopped: () => void
}
