import Denque from 'denque'
import { encodeStreamName } from '../core/names.ts'
import type { LogPosition } from '../core/positions.ts'
import { Revision } from '../core/positions.ts'
import { dataEndOf, dataOffsetOf, eventTypeOffsetOf, eventTypeSizeOf } from '../format/log-record.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { CachedHead } from './cached-head.ts'
import type { IndexPart, StreamRun } from './index-part.ts'
import { METADATA_TYPE, metadataStreamOf, Retention, streamDescribedBy, TOMBSTONE_TYPE } from './retention.ts'
import { prepareAt } from './stream-events.ts'
import { hashOf } from './stream-hash.ts'
import type { StreamIndex } from './stream-index.ts'

/** Whoever says what is kept of a stream says it by an event of one of these types. */
const RETENTION_TYPES = [Buffer.from(METADATA_TYPE), Buffer.from(TOMBSTONE_TYPE)]
type MaybeRun = StreamRun | null | Promise<StreamRun | null>

/**
 * Heads that are loaded at once: enough to keep the threads that read busy, so few that what is made for each dies young, and that
 * appends to streams whose heads are known have most of each turn of the event loop.
 */
const LOADING_COUNT = 48

const LAST_ONE = new Retention({ maxCount: 1 }, false)

/** Asks index and log where a stream ends, and what is kept of it. Answers at once when what it needs is in memory. */
export class HeadLoader {
  readonly #index: StreamIndex
  readonly #log: LogReader
  readonly #published: () => LogPosition
  /** Parts, as far as they were asked, that hold nothing said of any stream, or something. */
  readonly #isSilent = new WeakMap<IndexPart, boolean>()
  #loadingCount = 0
  /** Who waits for one of the others to be loaded. */
  readonly #turns = new Denque<() => void>()

  constructor(index: StreamIndex, log: LogReader, published: () => LogPosition) {
    this.#index = index
    this.#log = log
    this.#published = published
  }

  /**
   * Makes the head known. While it loads nothing is written to the stream: appends to it wait for the same promise.
   * @returns null when it is known at once.
   */
  load(head: CachedHead): Promise<void> | null {
    if (head.loading !== null) return head.loading
    if (this.#loadingCount === LOADING_COUNT) {
      head.loading = new Promise<void>(resolve => this.#turns.push(resolve)).then(() =>
        this.#load(head, this.#lastRun(head), this.#said(head)),
      )
      return head.loading
    }
    const run = this.#lastRun(head)
    const said = this.#said(head)
    if (!(run instanceof Promise) && said === null) {
      know(head, run, null)
      return null
    }
    this.#loadingCount++
    head.loading = this.#load(head, run, said)
    return head.loading
  }

  /** For one who has a turn, which goes to the next one. */
  async #load(head: CachedHead, run: MaybeRun, said: MaybeRun): Promise<void> {
    try {
      const [lastRun, lastSaid] = said === null ? [await run, null] : await Promise.all([run, said])
      know(head, lastRun, lastSaid === null ? null : await this.#retentionIn(lastSaid))
    } finally {
      head.loading = null
      const next = this.#turns.shift()
      if (next === undefined) this.#loadingCount--
      else next()
    }
  }

  #lastRun(head: CachedHead): MaybeRun {
    return this.#index.lastRun(head.nameBytes, head.hash)
  }

  /** Where it was said last what is kept of the stream. */
  #said(head: CachedHead): MaybeRun {
    return describesAnother(head.name) || this.#nothingWasSaid() ? null : this.#metadataRun(head.name)
  }

  /**
   * What is kept of the stream, as committed; null when nobody has said anything. Of a stream that describes another it is
   * the last event, as long as the other may be read.
   */
  async retentionOf(stream: string): Promise<Retention | null> {
    const described = streamDescribedBy(stream)
    if (described === null) return this.#setFor(stream)
    const ofDescribed = await this.#setFor(described)
    return ofDescribed?.isTombstoned ? ofDescribed : LAST_ONE
  }

  /** Whether anything was ever said of any stream. */
  knowsOfAny(): Promise<boolean> {
    return this.#index.hold(this.#asksAll())
  }

  async #asksAll(): Promise<boolean> {
    for (const part of this.#index.parts()) {
      for (const type of RETENTION_TYPES) if ((await part.lastOfType(type)) !== null) return true
    }
    return false
  }

  /** Most stores never say anything of any stream: then nobody has to look for what was said of this one. False: who knows. */
  #nothingWasSaid(): boolean {
    for (const part of this.#index.parts()) {
      let isSilent = this.#isSilent.get(part)
      if (isSilent === undefined) {
        const answer = isSilentNow(part)
        if (answer === null) return false
        isSilent = answer
        // Of the active part that holds for now.
        if (part !== this.#index.active) this.#isSilent.set(part, isSilent)
      }
      if (!isSilent) return false
    }
    return true
  }

  async #setFor(stream: string): Promise<Retention | null> {
    if (this.#nothingWasSaid()) return null
    const run = await this.#metadataRun(stream)
    return run === null ? null : this.#retentionIn(run)
  }

  /** What the last event of the run says; null when it has been scavenged since. */
  async #retentionIn(run: StreamRun): Promise<Retention | null> {
    const place = await prepareAt(this.#log, run.lastPosition, this.#published())
    if (place === null) return null
    const { view, bytes } = place.window
    const typeOffset = eventTypeOffsetOf(view, place.offset)
    const type = bytes.toString('utf8', typeOffset, typeOffset + eventTypeSizeOf(view, place.offset))
    return Retention.of(type, bytes.toString('utf8', dataOffsetOf(view, place.offset), dataEndOf(view, place.offset)))
  }

  #metadataRun(stream: string): MaybeRun {
    const name = encodeStreamName(metadataStreamOf(stream))
    return this.#index.lastRun(name, hashOf(name, 0, name.length))
  }
}

/** Null: a file would have to be read. */
function isSilentNow(part: IndexPart): boolean | null {
  for (const type of RETENTION_TYPES) {
    const last = part.lastOfType(type)
    if (last instanceof Promise) {
      last.catch(() => {})
      return null
    }
    if (last !== null) return false
  }
  return true
}

function know(head: CachedHead, run: StreamRun | null, retention: Retention | null): void {
  head.revision = run === null ? Revision.none : run.lastRevision
  head.committedRevision = head.revision
  if (run !== null) head.committedPosition = run.lastPosition
  head.retention = retention
  head.committedRetention = retention
  head.isKnown = true
}

function describesAnother(stream: string): boolean {
  return streamDescribedBy(stream) !== null
}
