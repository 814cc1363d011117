import Denque from 'denque'
import { isPromise } from '../core/is-promise.ts'
import { encodeStreamName } from '../core/names.ts'
import type { LogPosition } from '../core/positions.ts'
import { Revision } from '../core/positions.ts'
import { setImmediate } from '../core/timers.ts'
import { dataEndOf, dataOffsetOf, eventTypeOffsetOf, eventTypeSizeOf } from '../format/log-record.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { RecordPlace } from '../log/record-batch.ts'
import type { Lookup } from '../writer/lookup.ts'
import type { CachedHead } from './cached-head.ts'
import { HeadLookup } from './head-lookup.ts'
import { HeadSearch } from './head-search.ts'
import type { IndexPart, StreamRun } from './index-part.ts'
import { METADATA_TYPE, metadataStreamOf, Retention, streamDescribedBy, TOMBSTONE_TYPE } from './retention.ts'
import { lookAtPrepare } from './stream-events.ts'
import { hashOf } from './stream-hash.ts'
import type { StreamIndex } from './stream-index.ts'

/** Whoever says what is kept of a stream says it by an event of one of these types. */
const RETENTION_TYPES = [Buffer.from(METADATA_TYPE), Buffer.from(TOMBSTONE_TYPE)]
type MaybeRun = StreamRun | null | Promise<StreamRun | null>

/**
 * Heads that are looked for at once: enough to keep the thread that reads busy, and so few that appends to streams whose heads are
 * known have most of each turn of the event loop.
 */
const SEEKER_COUNT = 16
/** Heads in a row that one search finds in memory before it lets the event loop go round. */
const FINDS_PER_TURN = 32

const LAST_ONE = new Retention({ maxCount: 1 }, false)

/** One of those who look for heads, one after the other. */
class Seeker {
  readonly search: HeadSearch
  head: CachedHead | null = null

  constructor(index: StreamIndex, onEnded: (seeker: Seeker, error: unknown) => void) {
    this.search = new HeadSearch(index, error => onEnded(this, error))
  }
}

/** Asks index and log where a stream ends, and what is kept of it. Answers at once when what it needs is in memory. */
export class HeadLoader {
  readonly #index: StreamIndex
  readonly #log: LogReader
  readonly #published: Checkpoint
  /** Parts, as far as they were asked, that hold nothing said of any stream, or something. */
  readonly #isSilent = new WeakMap<IndexPart, boolean>()
  /** Those that look for nothing just now. They are made when the first heads are looked for. */
  readonly #idle: Seeker[] = []
  #seekerCount = 0
  /** Who waits for one of them. */
  readonly #turns = new Denque<CachedHead>()

  constructor(index: StreamIndex, log: LogReader, published: Checkpoint) {
    this.#index = index
    this.#log = log
    this.#published = published
  }

  /**
   * Makes the head known. While it is looked up nothing is written to the stream: appends to it wait for the same look-up.
   * @returns null when it is known at once.
   */
  load(head: CachedHead): Lookup | null {
    if (head.loading !== null) return head.loading
    const seeker = this.#idle.pop() ?? this.#another()
    if (seeker !== undefined && this.#begin(seeker, head)) {
      this.#idle.push(seeker)
      return null
    }
    if (seeker === undefined) this.#turns.push(head)
    head.loading = new HeadLookup()
    return head.loading
  }

  #another(): Seeker | undefined {
    if (this.#seekerCount === SEEKER_COUNT) return undefined
    this.#seekerCount++
    return new Seeker(this.#index, (seeker, error) => this.#ended(seeker, error))
  }

  /** @returns whether it is known now. */
  #begin(seeker: Seeker, head: CachedHead): boolean {
    const said = this.#said(head)
    if (said !== null) {
      void this.#loadWithRetention(seeker, head, said)
      return false
    }
    seeker.head = head
    if (!seeker.search.begin(head.nameBytes, head.hash)) return false
    know(head, seeker.search, null)
    return true
  }

  #ended(seeker: Seeker, error: unknown): void {
    const { head, search } = seeker
    if (error === null) know(head!, search, null)
    tell(head!, error)
    this.#takeTurn(seeker)
  }

  async #loadWithRetention(seeker: Seeker, head: CachedHead, said: MaybeRun): Promise<void> {
    let failure: unknown = null
    try {
      const [run, lastSaid] = await Promise.all([this.#index.lastRun(head.nameBytes, head.hash), said])
      know(head, run, lastSaid === null ? null : await this.#retentionIn(lastSaid))
    } catch (error) {
      failure = error
    }
    tell(head, failure)
    this.#takeTurn(seeker)
  }

  #takeTurn(seeker: Seeker): void {
    for (let count = 0; count < FINDS_PER_TURN; count++) {
      const head = this.#turns.shift()
      if (head === undefined) {
        seeker.head = null
        this.#idle.push(seeker)
        return
      }
      if (!this.#begin(seeker, head)) return
      tell(head, null)
    }
    setImmediate(() => this.#takeTurn(seeker))
  }

  /** Where it was said last what is kept of the stream. */
  #said(head: CachedHead): MaybeRun {
    return describesAnother(head.name) || this.#nothingWasSaid() ? null : this.#metadataRun(head.name)
  }

  /**
   * What is kept of the stream, as committed; null when nobody has said anything. Of a stream that describes another it is
   * the last event, as long as the other may be read. At once when nobody has said anything of any stream.
   */
  retentionOf(stream: string): Retention | null | Promise<Retention | null> {
    const described = streamDescribedBy(stream)
    if (this.#nothingWasSaid()) return described === null ? null : LAST_ONE
    return described === null ? this.#setFor(stream) : this.#ofDescription(described)
  }

  async #ofDescription(described: string): Promise<Retention> {
    const ofDescribed = await this.#setFor(described)
    return ofDescribed?.isTombstoned ? ofDescribed : LAST_ONE
  }

  /** Asks each part whether anything was ever said of any stream: if not, that is known from here on without reading. */
  askAll(): Promise<void> {
    return this.#index.hold(this.#askParts())
  }

  async #askParts(): Promise<void> {
    const { active } = this.#index
    for (const part of this.#index.parts()) {
      for (const type of RETENTION_TYPES) if ((await part.lastOfType(type)) !== null) return
      // The active one may have got something meanwhile.
      if (part !== active) this.#isSilent.set(part, true)
    }
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
    for (let gone: LogPosition | null = null; ; ) {
      const run = await this.#metadataRun(stream)
      if (run === null || run.lastPosition === gone) return null
      const retention = await this.#retentionIn(run)
      if (retention !== null) return retention
      // The last one stays: something else has been said since.
      gone = run.lastPosition
    }
  }

  /** What the last event of the run says; null when it has been scavenged since. */
  #retentionIn(run: StreamRun): Promise<Retention | null> {
    const { position } = this.#published
    return lookAtPrepare(this.#log, run.lastPosition, position, place => (place === null ? null : retentionAt(place)))
  }

  #metadataRun(stream: string): MaybeRun {
    const name = encodeStreamName(metadataStreamOf(stream))
    return this.#index.lastRun(name, hashOf(name, 0, name.length))
  }
}

function retentionAt({ window, offset }: RecordPlace): Retention {
  const { view, bytes } = window
  const typeOffset = eventTypeOffsetOf(view, offset)
  const type = bytes.toString('utf8', typeOffset, typeOffset + eventTypeSizeOf(view, offset))
  return Retention.of(type, bytes.toString('utf8', dataOffsetOf(view, offset), dataEndOf(view, offset)))
}

/** Null: a file would have to be read. */
function isSilentNow(part: IndexPart): boolean | null {
  for (const type of RETENTION_TYPES) {
    const last = part.lastOfType(type)
    if (isPromise(last)) {
      last.catch(() => {})
      return null
    }
    if (last !== null) return false
  }
  return true
}

/** @param end null, or Revision.none: it has no event. */
function know(
  head: CachedHead,
  end: { readonly lastRevision: Revision; readonly lastPosition: LogPosition } | null,
  retention: Retention | null,
): void {
  head.revision = end === null ? Revision.none : end.lastRevision
  head.committedRevision = head.revision
  if (head.revision !== Revision.none) head.committedPosition = end!.lastPosition
  head.retention = retention
  head.committedRetention = retention
  head.isKnown = true
}

function tell(head: CachedHead, error: unknown): void {
  const lookup = head.loading!
  head.loading = null
  if (error === null) lookup.lookedUp()
  else lookup.lookupFailed(error)
}

function describesAnother(stream: string): boolean {
  return streamDescribedBy(stream) !== null
}
