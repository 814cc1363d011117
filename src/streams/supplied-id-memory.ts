import { EVENT_ID_SIZE } from '../core/event-id.ts'
import { isPromise } from '../core/is-promise.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import type { EncodableEvent } from '../format/record-encoding.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogReader } from '../log/log-reader.ts'
import type { CachedHead } from './cached-head.ts'
import { type DroppedId, IdWindow } from './id-window.ts'
import { KEPT_ID_COUNT, type SuppliedIdList } from './index-part.ts'
import { streamNameAt } from './stored-event.ts'
import { lookAtPrepare } from './stream-events.ts'
import type { StreamIndex } from './stream-index.ts'

/** The window of supplied ids: read from the index when somebody first supplies one, kept up by the writer from then on. */
export class SuppliedIdMemory {
  readonly #index: StreamIndex
  readonly #log: LogReader
  readonly #published: Checkpoint
  #window: IdWindow | null = null
  #loading: Promise<void> | null = null

  constructor(index: StreamIndex, log: LogReader, published: Checkpoint) {
    this.#index = index
    this.#log = log
    this.#published = published
  }

  /**
   * Makes `find` able to tell without reading, and `note` leave no gap: loads the window, and the names of the streams whose
   * events could be taken for these.
   * @returns null when that needed no waiting.
   */
  prepare(head: CachedHead, ids: readonly (Uint8Array | undefined)[]): Promise<void> | null {
    if (ids.every(id => id === undefined)) return null
    if (this.#window === null) {
      this.#loading ??= this.#load()
      if (this.#loading !== null) return this.#loading.then(() => this.#nameAll(head, ids))
    }
    return this.#isNamed(head, ids) ? null : this.#nameAll(head, ids)
  }

  #isNamed({ name, hash }: CachedHead, ids: readonly (Uint8Array | undefined)[]): boolean {
    const window = this.#window!
    const [first] = ids
    if (window.count === 0 || first === undefined) return true
    if (window.unnamed(first, hash).length > 0) return false
    // The others are looked for only behind an event that has the first one's id.
    if (ids.length === 1 || window.find([first], name, hash) === null) return true
    return ids.every(id => id === undefined || window.unnamed(id, hash).length === 0)
  }

  async #nameAll(head: CachedHead, ids: readonly (Uint8Array | undefined)[]): Promise<void> {
    const window = this.#window!
    for (const id of ids) {
      if (id === undefined) continue
      for (const position of window.unnamed(id, head.hash)) {
        const name = await lookAtPrepare(this.#log, position as LogPosition, this.#published.position, place =>
          place === null ? '' : streamNameAt(place.window, place.offset),
        )
        window.name(id, head.hash, position, name)
      }
    }
  }

  /** @returns the first one's revision; null when it is unknown in the stream, 'mixed' when only some of them are known. */
  find(head: CachedHead, ids: readonly (Uint8Array | undefined)[]): number | 'mixed' | null {
    const window = this.#window
    if (window === null) return null
    const first = window.find([ids[0]!], head.name, head.hash)
    if (first === null) return null
    return ids.includes(undefined) ? 'mixed' : window.find(ids as readonly Uint8Array[], head.name, head.hash)
  }

  note(head: CachedHead, revision: Revision, event: EncodableEvent): void {
    const { suppliedId } = event
    if (suppliedId === undefined) return
    this.#window?.add(suppliedId, 0, head.name, head.hash, revision, 0)
  }

  forgetNewest(): void {
    this.#window?.forgetNewest()
  }

  /** The event was scavenged: whoever supplies its id again appends. */
  drop(dropped: DroppedId): void {
    this.#window?.drop(dropped)
  }

  /** The newest ids that the index has, as many as a window holds. @returns null when they were in memory. */
  #load(): Promise<void> | null {
    const lists: (SuppliedIdList | Promise<SuppliedIdList>)[] = []
    let count = 0
    for (const part of [...this.#index.parts()].reverse()) {
      const wanted = Math.min(part.suppliedIdCount, KEPT_ID_COUNT - count)
      if (wanted === 0) continue
      lists.push(part.suppliedIds(part.suppliedIdCount - wanted, wanted))
      count += wanted
    }
    if (lists.some(isPromise)) {
      return this.#index
        .hold(Promise.all(lists))
        .then(loaded => this.#fill(loaded))
        .finally(() => {
          this.#loading = null
        })
    }
    this.#fill(lists as SuppliedIdList[])
    return null
  }

  /** @param lists newest first. */
  #fill(lists: SuppliedIdList[]): void {
    const window = new IdWindow()
    for (const { ids, streamHashes, revisions, positions } of lists.reverse()) {
      for (let i = 0; i < positions.length; i++) {
        window.add(ids, i * EVENT_ID_SIZE, undefined, streamHashes[i]!, revisions[i]!, positions[i]!)
      }
    }
    this.#window = window
  }
}
