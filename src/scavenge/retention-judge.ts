import { EVENT_ID_SIZE } from '../core/event-id.ts'
import type { LogPosition } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import {
  createdMsOf,
  flagsOf,
  PrepareFlag,
  positionOf,
  RecordType,
  revisionOf,
  streamOffsetOf,
  streamSizeOf,
  suppliedIdOffsetOf,
  typeOf,
} from '../format/log-record.ts'
import { stubHeadAt } from '../format/stub.ts'
import type { RecordBatch } from '../log/record-batch.ts'
import type { HeadLoader } from '../streams/head-loader.ts'
import type { DroppedId } from '../streams/id-window.ts'
import { ERASED_STREAM, type Retention, streamDescribedBy } from '../streams/retention.ts'
import { hashOf } from '../streams/stream-hash.ts'
import type { StreamIndex } from '../streams/stream-index.ts'
import { Verdict } from './judge.ts'

/** So many streams are remembered between two looks at the index. */
const KEPT_FATE_COUNT = 50_000

/** Notes of followers: the last one says it all. */
const NOTES = /^\$(?:consumer|group|projection|topic|topic-group|snapshot)-/

/** What of a stream stays. */
interface Fate {
  readonly last: number
  /** Events with a lower revision go. */
  readonly firstRevision: number
  /** Events that were created earlier go; milliseconds since 1970. */
  readonly oldestMs: number
  readonly erased: ReadonlySet<number> | undefined
}

/** Revisions to be erased, by stream. */
export type Erasures = ReadonlyMap<string, ReadonlySet<number>>

/**
 * Decides by what is kept of each stream, as it was when the scavenge began or said later: an event that is dead stays dead.
 */
export class RetentionJudge {
  readonly #index: StreamIndex
  readonly #loader: HeadLoader
  readonly #erasures: Erasures
  /** Requests to erase at or behind it came when the scavenge had begun. */
  readonly #began: LogPosition
  readonly #nowMs: number
  readonly #fates = new Map<string, Fate>()
  #droppedIds: DroppedId[] = []

  constructor(index: StreamIndex, loader: HeadLoader, erasures: Erasures, began: LogPosition, nowMs: number) {
    this.#index = index
    this.#loader = loader
    this.#erasures = erasures
    this.#began = began
    this.#nowMs = nowMs
  }

  /** Those of the chunk that was judged last; call it once for each. */
  takeDroppedIds(): DroppedId[] {
    const dropped = this.#droppedIds
    this.#droppedIds = []
    return dropped
  }

  readonly judge = async ({ window, offsets }: RecordBatch): Promise<Uint8Array> => {
    const verdicts = new Uint8Array(offsets.length)
    for (let i = 0; i < offsets.length; i++) {
      const offset = offsets[i]!
      switch (typeOf(window.view, offset)) {
        case RecordType.prepare:
          verdicts[i] = await this.#judgeEvent(window, offset)
          break
        case RecordType.stub:
          verdicts[i] = await this.#judgeStub(window, offset)
          break
        default:
          break
      }
    }
    return verdicts
  }

  async #judgeEvent(window: ByteWindow, offset: number): Promise<number> {
    const { bytes, view } = window
    const start = streamOffsetOf(view, offset)
    const size = streamSizeOf(view, offset)
    const stream = bytes.toString('utf8', start, start + size)
    const fate = await this.#fateOf(stream)
    const revision = revisionOf(view, offset)
    const stays =
      revision >= fate.firstRevision && createdMsOf(view, offset) >= fate.oldestMs && !(fate.erased?.has(revision) ?? false)
    if (stays) return Verdict.keep
    if (flagsOf(view, offset) & PrepareFlag.suppliedId) {
      const at = suppliedIdOffsetOf(offset)
      const id = new Uint8Array(bytes.subarray(at, at + EVENT_ID_SIZE))
      this.#droppedIds.push({ id, stream, streamHash: hashOf(bytes, start, size), revision, position: positionOf(view, offset) })
    }
    return revision === fate.last ? Verdict.dropHead : Verdict.drop
  }

  /** A stream that went on behind its stub needs it no more. */
  async #judgeStub(window: ByteWindow, offset: number): Promise<number> {
    const head = stubHeadAt(window, offset)
    if (head === null) return Verdict.keep
    const fate = await this.#fateOf(Buffer.from(head.stream).toString())
    return head.revision < fate.last ? Verdict.drop : Verdict.keep
  }

  async #fateOf(stream: string): Promise<Fate> {
    let fate = this.#fates.get(stream)
    if (fate === undefined) {
      fate = await this.#lookUp(stream)
      if (this.#fates.size >= KEPT_FATE_COUNT) this.#fates.clear()
      this.#fates.set(stream, fate)
    }
    return fate
  }

  async #lookUp(stream: string): Promise<Fate> {
    const name = Buffer.from(stream)
    const run = await this.#index.lastRun(name, hashOf(name, 0, name.length))
    const retention = await this.#loader.retentionOf(stream)
    const last = run?.lastRevision ?? -1
    return {
      last,
      firstRevision: await this.#firstRevision(stream, last, retention),
      oldestMs: retention?.oldestCreatedMs(this.#nowMs) ?? Number.NEGATIVE_INFINITY,
      erased: this.#erasures.get(stream),
    }
  }

  async #firstRevision(stream: string, last: number, retention: Retention | null): Promise<number> {
    // First: what says that a stream is deleted for good must outlive the stream.
    if (streamDescribedBy(stream) !== null || NOTES.test(stream)) return last
    if (retention?.isTombstoned) return Number.POSITIVE_INFINITY
    if (stream === ERASED_STREAM) return this.#firstErasureSince()
    return retention?.firstRevision(last) ?? 0
  }

  /** Requests that were there at the beginning have been met when a chunk with requests is reached: chunks are taken in order. */
  #firstErasureSince(): Promise<number> {
    return this.#index.hold(this.#findErasure())
  }

  async #findErasure(): Promise<number> {
    const name = Buffer.from(ERASED_STREAM)
    for (const run of await this.#index.runs(name, hashOf(name, 0, name.length))) {
      if (run.lastPosition < this.#began) continue
      const { positions, revisions } = await run.part.events(run, 0, run.eventCount)
      for (let i = 0; i < positions.length; i++) {
        if (positions[i]! >= this.#began) return revisions === null ? run.firstRevision + i : revisions[i]!
      }
    }
    return Number.POSITIVE_INFINITY
  }
}
