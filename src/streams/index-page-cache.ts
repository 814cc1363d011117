import { ByteWindow } from '../format/byte-window.ts'
import { INDEX_PAGE_SIZE } from '../format/index-pages.ts'

/** Pages that nobody needs, kept for the next ones that are read, beside what the cache may hold: 1 MiB. */
const FREE_COUNT = 256

/** A verified page of an index file. Its memory is used again when it is in no cache and nobody holds it any more. */
export class IndexPage extends ByteWindow {
  /** Answers under way that may still look at it. */
  holderCount = 0
  /** In whose cache it is. */
  owner: FilePages | null = null
  pageNumber = 0
  usedLately = false
}

/**
 * Pages of index files, shared by all of them. The hand goes round and drops those that were not used since it came by last.
 * Where heads and streams are asked for at random, each answer brings pages and drops others: memory for each anew would keep
 * the garbage collector busier than all the rest.
 */
export class IndexPageCache {
  readonly #ring: IndexPage[] = []
  readonly #free: IndexPage[] = []
  readonly #maxCount: number
  #hand = 0

  constructor(maxBytes: number) {
    this.#maxCount = Math.floor(maxBytes / INDEX_PAGE_SIZE)
  }

  get sizeBytes(): number {
    return this.#ring.length * INDEX_PAGE_SIZE
  }

  /** A page to read into; its bytes are not cleared. Whoever takes it holds it. */
  take(): IndexPage {
    const page = this.#free.pop() ?? new IndexPage(Buffer.allocUnsafeSlow(INDEX_PAGE_SIZE))
    page.holderCount = 1
    return page
  }

  release(page: IndexPage): void {
    if (--page.holderCount === 0 && page.owner === null) this.#keep(page)
  }

  put(page: IndexPage, owner: FilePages, pageNumber: number): boolean {
    const ring = this.#ring
    if (this.#maxCount === 0) return false
    page.owner = owner
    page.pageNumber = pageNumber
    page.usedLately = false
    if (ring.length < this.#maxCount) {
      ring.push(page)
      return true
    }
    for (; ring[this.#hand]!.usedLately; this.#hand = (this.#hand + 1) % ring.length) ring[this.#hand]!.usedLately = false
    const old = ring[this.#hand]!
    old.owner!.drop(old.pageNumber)
    old.owner = null
    if (old.holderCount === 0) this.#keep(old)
    ring[this.#hand] = page
    this.#hand = (this.#hand + 1) % ring.length
    return true
  }

  #keep(page: IndexPage): void {
    if (this.#free.length < FREE_COUNT) this.#free.push(page)
  }
}

/** The cached pages of one file. */
export class FilePages {
  readonly #cache: IndexPageCache
  readonly #pages = new Map<number, IndexPage>()
  #isClosed = false

  constructor(cache: IndexPageCache) {
    this.#cache = cache
  }

  /** Good until the next `put`, unless it is held. */
  get(pageNumber: number): IndexPage | undefined {
    const page = this.#pages.get(pageNumber)
    if (page !== undefined) page.usedLately = true
    return page
  }

  /** See `IndexPageCache.take`. */
  take(): IndexPage {
    return this.#cache.take()
  }

  put(pageNumber: number, page: IndexPage): void {
    if (this.#isClosed || this.#pages.has(pageNumber)) return
    if (this.#cache.put(page, this, pageNumber)) this.#pages.set(pageNumber, page)
  }

  release(page: IndexPage): void {
    this.#cache.release(page)
  }

  drop(pageNumber: number): void {
    this.#pages.delete(pageNumber)
  }

  /** The hand finds nobody using these pages any more. */
  close(): void {
    this.#isClosed = true
    for (const page of this.#pages.values()) page.usedLately = false
    this.#pages.clear()
  }
}
