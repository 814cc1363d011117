import type { ByteWindow } from '../format/byte-window.ts'
import { INDEX_PAGE_SIZE } from '../format/index-pages.ts'

interface CachedPage {
  readonly owner: FilePages
  readonly pageNumber: number
  readonly page: ByteWindow
  usedLately: boolean
}

/**
 * Verified pages of index files, shared by all of them. The hand goes round and drops what was not used since it came by last.
 * A page that was dropped stays good for whoever still holds it: its memory is not used again.
 */
export class IndexPageCache {
  readonly #ring: CachedPage[] = []
  readonly #maxCount: number
  #hand = 0

  constructor(maxBytes: number) {
    this.#maxCount = Math.floor(maxBytes / INDEX_PAGE_SIZE)
  }

  get sizeBytes(): number {
    return this.#ring.length * INDEX_PAGE_SIZE
  }

  put(entry: CachedPage): boolean {
    const ring = this.#ring
    if (this.#maxCount === 0) return false
    if (ring.length < this.#maxCount) {
      ring.push(entry)
      return true
    }
    for (; ring[this.#hand]!.usedLately; this.#hand = (this.#hand + 1) % ring.length) ring[this.#hand]!.usedLately = false
    const old = ring[this.#hand]!
    old.owner.drop(old.pageNumber)
    ring[this.#hand] = entry
    this.#hand = (this.#hand + 1) % ring.length
    return true
  }
}

/** The cached pages of one file. */
export class FilePages {
  readonly #cache: IndexPageCache
  readonly #pages = new Map<number, CachedPage>()
  #isClosed = false

  constructor(cache: IndexPageCache) {
    this.#cache = cache
  }

  get(pageNumber: number): ByteWindow | undefined {
    const entry = this.#pages.get(pageNumber)
    if (entry === undefined) return undefined
    entry.usedLately = true
    return entry.page
  }

  put(pageNumber: number, page: ByteWindow): void {
    if (this.#isClosed || this.#pages.has(pageNumber)) return
    const entry: CachedPage = { owner: this, pageNumber, page, usedLately: false }
    if (this.#cache.put(entry)) this.#pages.set(pageNumber, entry)
  }

  drop(pageNumber: number): void {
    this.#pages.delete(pageNumber)
  }

  /** The hand finds nobody using these pages any more. */
  close(): void {
    this.#isClosed = true
    for (const entry of this.#pages.values()) entry.usedLately = false
    this.#pages.clear()
  }
}
