import type { CommitAck, CommitListener } from '../chaser/commit-ack.ts'
import { CorruptLogError } from '../core/errors.ts'
import { isPromise } from '../core/is-promise.ts'
import { LogPosition, Revision } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { createdMsOf, positionOf, sizeOf } from '../format/log-record.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { AppendMessage } from '../writer/messages.ts'
import { ActiveIndex } from './active-index.ts'
import type { CachedHead } from './cached-head.ts'
import type { IndexPart, StreamRun } from './index-part.ts'

/** Fewer events are not worth the syncs of a file. */
const MIN_SAVED_EVENT_COUNT = 16_384

/** Says where chunks end: no part of the index goes on behind the end of one. */
export interface ChunkBounds {
  /** The chunk that holds `position`. */
  find(position: LogPosition): { readonly start: LogPosition; readonly end: LogPosition }
}

/** Keeps the parts whose chunks are complete. */
export interface PartKeeper {
  /** Oldest first, without a gap; another array whenever one of them changes. */
  readonly parts: readonly IndexPart[]
  /**
   * `part` goes on where the others end and covers everything below `end`, which is durable: `parts` has it from now on.
   * 'complete': its chunk ends there.
   */
  add(part: ActiveIndex, end: LogPosition, kind: 'complete' | 'partial'): Promise<void>
  /** The parts as they are now; they can be asked until they are released. */
  retain(): readonly IndexPart[]
  release(parts: readonly IndexPart[]): void
}

/** Of one who walks through the parts of some moment: what is kept for him. */
interface Walk {
  readonly kept: readonly IndexPart[]
}

/**
 * Which events each stream has, and where. Fed by the chaser, so it knows exactly what is committed. The log is covered by
 * parts: those of completed chunks, oldest first, that of half a chunk if there is one, then what is being filled.
 */
export class StreamIndex implements CommitListener {
  readonly #chunks: ChunkBounds
  readonly #keeper: PartKeeper
  #active: ActiveIndex
  /** Counts them: a head knows by it whether its slot is one of the active part. */
  #activeNumber = 1
  /** Where the active chunk ends. */
  #cutAt: LogPosition
  /** Half of the active chunk. */
  #halfAt: number
  #lastPosition = LogPosition.start
  #lastCreatedMs = 0
  /** What `parts` answered last, and for which parts of the keeper. */
  #all: readonly IndexPart[] = []
  #kept: readonly IndexPart[] | null = null
  /** What walks hold that have not come to their end. */
  readonly #walks = new Set<Walk>()
  /** Nobody ends a walk that was forgotten amid: it would hold files that are merged or made anew, and their room on the disk. */
  readonly #forgotten = new FinalizationRegistry<Walk>(walk => this.#end(walk))

  /** @param start where the chaser begins; the keeper's parts cover what is below. */
  constructor(chunks: ChunkBounds, keeper: PartKeeper, start: LogPosition) {
    this.#chunks = chunks
    this.#keeper = keeper
    this.#active = new ActiveIndex(start)
    const chunk = chunks.find(start)
    this.#cutAt = chunk.end
    this.#halfAt = halfOf(chunk)
    for (const part of keeper.parts) {
      if (part.eventCount > 0) this.#lastPosition = part.lastPosition
      // A part of nothing but stubs has events, and knows of no time.
      this.#lastCreatedMs = Math.max(this.#lastCreatedMs, part.lastCreatedMs)
    }
  }

  get active(): ActiveIndex {
    return this.#active
  }

  /** Oldest first. Another array whenever a part comes or goes: what was found in one may have gone with it. */
  parts(): readonly IndexPart[] {
    const kept = this.#keeper.parts
    if (kept !== this.#kept) {
      this.#all = [...kept, this.#active]
      this.#kept = kept
    }
    return this.#all
  }

  /**
   * Whoever asks parts by and by, or asks them for what he found in them before, holds them meanwhile: a merge may replace them,
   * and closes their files.
   * @param asking begun just now: it has looked at the parts as they are.
   */
  async hold<T>(asking: Promise<T>): Promise<T> {
    const kept = this.keep()
    try {
      return await asking
    } finally {
      this.letGo(kept)
    }
  }

  /** The files of the parts as they are now stay open until `letGo`. */
  keep(): readonly IndexPart[] {
    return this.#keeper.retain()
  }

  letGo(kept: readonly IndexPart[]): void {
    this.#keeper.release(kept)
  }

  /** The parts as they are now, for whoever walks through them; he has what is returned at hand until he releases it. */
  retain(): { readonly parts: readonly IndexPart[]; release(): void } {
    const walk = { kept: this.keep() }
    const held = { parts: [...walk.kept, this.#active], release: () => this.#end(walk) }
    this.#walks.add(walk)
    this.#forgotten.register(held, walk)
    return held
  }

  #end(walk: Walk): void {
    if (this.#walks.delete(walk)) this.letGo(walk.kept)
  }

  /** The store is being closed: walks that stand still do not go on. */
  endWalks(): void {
    for (const walk of this.#walks) this.#end(walk)
  }

  /** Committed events that were not scavenged, but the last one of a stream, of which there is a stub, counts on. */
  get eventCount(): number {
    return this.parts().reduce((sum, part) => sum + part.eventCount, 0)
  }

  /** Streams that were ever written and whose first event is still there. */
  get streamCount(): number {
    return this.parts().reduce((sum, part) => sum + part.newStreamCount, 0)
  }

  /** Of the last committed event; 0 when there is none. */
  get lastPosition(): LogPosition {
    return this.#lastPosition
  }

  /** When the last committed event that is still there was created, in milliseconds since 1970. */
  get lastCreatedMs(): number {
    return this.#lastCreatedMs
  }

  /** The stream's events in each part that has some, oldest part first. All are asked at once: what is not in memory is read side by side. */
  runs(name: Uint8Array, hash: number): StreamRun[] | Promise<StreamRun[]> {
    const asked = this.parts().map(part => part.find(name, hash))
    if (!asked.some(isPromise)) return (asked as (StreamRun | null)[]).filter(run => run !== null)
    return this.hold(Promise.all(asked)).then(found => found.filter(run => run !== null))
  }

  /** The newest run: it tells where the stream ends. */
  lastRun(name: Uint8Array, hash: number): StreamRun | null | Promise<StreamRun | null> {
    const parts = this.parts()
    const run = this.#newest(parts, parts.length - 1, name, hash)
    return isPromise(run) ? this.hold(run) : run
  }

  #newest(
    parts: readonly IndexPart[],
    from: number,
    name: Uint8Array,
    hash: number,
  ): StreamRun | null | Promise<StreamRun | null> {
    for (let i = from; i >= 0; i--) {
      const run = parts[i]!.find(name, hash)
      if (isPromise(run)) return run.then(found => found ?? this.#newest(parts, i - 1, name, hash))
      if (run !== null) return run
    }
    return null
  }

  /**
   * Whether the stream may have an event at or behind `position`. Answers at once, from memory: where a file would have to be asked,
   * it may.
   */
  mayGoOnFrom(position: LogPosition, name: Uint8Array, hash: number): boolean {
    const parts = this.parts()
    for (let i = parts.length - 1; i >= 0 && parts[i]!.end > position; i--) {
      const run = parts[i]!.find(name, hash)
      if (isPromise(run)) {
        run.catch(() => {})
        return true
      }
      if (run !== null) return run.lastPosition >= position
    }
    return false
  }

  /** The records say it all: at open, and in a store that follows another process. */
  committed({ window, offset, position, eventCount }: CommitAck): void {
    if (position >= this.#cutAt) this.#cut(position)
    const { view } = window
    let last = offset
    for (let i = 0, at = offset; i < eventCount; i++) {
      last = at
      this.#active.addRecord(window, at)
      at += sizeOf(view, at)
    }
    this.#lastPosition = LogPosition.plus(position, last - offset)
    this.#lastCreatedMs = createdMsOf(view, last)
  }

  /** The same for an append that is still at hand: its streams need not be looked up again. */
  committedAppend(append: AppendMessage, ack: CommitAck): void {
    const { window, position } = ack
    const { view } = window
    if (position >= this.#cutAt) this.#cut(position)
    let at = ack.offset
    const { parts } = append
    if (parts !== null) {
      for (const { head, events, firstRevision } of parts) {
        for (let i = 0; i < events.length; i++) {
          at = this.#add(head as CachedHead, Revision.plus(firstRevision, i), events[i]!, window, at, position + at - ack.offset)
        }
      }
    } else {
      const head = append.head as CachedHead
      at = this.#add(head, append.firstRevision, append, window, at, position)
      for (let i = 0; i < append.rest.length; i++) {
        at = this.#add(head, Revision.plus(append.firstRevision, i + 1), append.rest[i]!, window, at, position + at - ack.offset)
      }
    }
    this.#lastCreatedMs = createdMsOf(view, ack.offset)
    this.#active.lastCreatedMs = this.#lastCreatedMs
  }

  /** In a store that follows another process: the chunk was rewritten before the follower came by. */
  stubbed(window: ByteWindow, offset: number): void {
    const position = positionOf(window.view, offset)
    if (position >= this.#cutAt) this.#cut(position)
    this.#active.addStub(window, offset)
    if (!this.#active.isEmpty) this.#lastPosition = this.#active.lastPosition
  }

  /** @returns the offset behind the event's record. */
  #add(head: CachedHead, revision: Revision, event: EncodableEvent, window: ByteWindow, at: number, position: number): number {
    const { eventType, suppliedId } = event
    const active = this.#active
    if (head.slotOwner !== this.#activeNumber) {
      head.slot = active.slotOf(head.nameBytes, 0, head.nameBytes.length, head.hash)
      head.slotOwner = this.#activeNumber
    }
    if (revision !== head.committedRevision + 1) this.#refuse(head, revision, position)
    active.add(head.slot, revision, position)
    active.noteType(active.typeSlotOf(eventType, 0, eventType.length), position)
    if (suppliedId !== undefined) active.addId(suppliedId, 0, head.slot, revision, position)
    head.committedRevision = revision
    head.committedPosition = position as LogPosition
    this.#lastPosition = position as LogPosition
    return at + sizeOf(window.view, at)
  }

  #refuse(head: CachedHead, revision: Revision, position: number): never {
    throw new CorruptLogError(
      'log',
      position,
      `stream '${head.name}' goes from revision ${head.committedRevision} to ${revision}`,
    )
  }

  /** The chunks below `position` are complete, and everything in them has been committed: whoever rewrites them must find files. */
  completeBelow(position: LogPosition): void {
    if (position >= this.#cutAt) this.#cut(position)
  }

  /**
   * Everything below `position` has been committed and is durable. When that is half of a chunk, and many events, a file is made of
   * it beside the appends, so that an open after a kill has only the rest to take in. Why half: decision 0006.
   */
  saveBelow(position: LogPosition): void {
    // Behind the end of the chunk, the next event cuts.
    if (position < this.#halfAt || position >= this.#cutAt) return
    const done = this.#active
    if (done.start >= this.#halfAt || done.eventCount < MIN_SAVED_EVENT_COUNT) return
    this.#goOnFrom(position)
    // A failure costs an open after a kill some time, and nothing else: the part stays in memory.
    this.#keeper.add(done, position, 'partial').catch(() => {})
    this.#kept = null
  }

  #goOnFrom(start: LogPosition): void {
    this.#active = new ActiveIndex(start)
    this.#activeNumber++
  }

  /** The chunk of the active part is complete: the next event is at `position`, in a later one. A chunk may hold no event. */
  #cut(position: number): void {
    while (position >= this.#cutAt) {
      const done = this.#active
      const end = this.#cutAt
      this.#goOnFrom(end)
      const chunk = this.#chunks.find(end)
      this.#cutAt = chunk.end
      this.#halfAt = halfOf(chunk)
      // A failure is told where files are kept; the part stays in memory.
      this.#keeper.add(done, end, 'complete').catch(() => {})
      this.#kept = null
    }
  }
}

function halfOf({ start, end }: { readonly start: LogPosition; readonly end: LogPosition }): number {
  return start + (end - start) / 2
}
