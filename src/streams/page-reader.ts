import { ReadFailedError } from '../core/errors.ts'
import type { DiskFile } from '../disk/disk.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { INDEX_PAGE_SIZE, isWholePage } from '../format/index-pages.ts'
import { FilePages, type IndexPage, type IndexPageCache } from './index-page-cache.ts'

/**
 * A page of an index file is not what was written: the file is to be made again from the log. Users meet it when that does not help:
 * the disk gives back something else than it took.
 */
export class DamagedIndexError extends ReadFailedError {
  readonly path: string
  /** That was done already, for somebody else who met the damage: whoever goes through the file begins anew with the other one. */
  readonly isMended: boolean

  constructor(path: string, pageNumber: number, isMended = false) {
    super(`${path}: page ${pageNumber} is damaged`, undefined)
    this.path = path
    this.isMended = isMended
  }
}

/** Whoever waits for a page that is being read. */
export interface PageWaiter {
  /** He holds it from here on, and releases it. */
  loaded(page: IndexPage): void
  /** @param error a DamagedIndexError or a ReadFailedError */
  failed(error: unknown): void
}

/** Reads the pages of one index file and checks them. The file stays open as long as somebody uses it. */
export class PageReader {
  readonly path: string
  /** Those that are in memory. */
  readonly cached: FilePages
  readonly #file: DiskFile
  readonly #seed: number
  /** Who waits for the pages that are being read: each is read once for all who need it. */
  readonly #waiters = new Map<number, PageWaiter[]>()
  #useCount = 0
  #onIdle: (() => void) | null = null
  #isClosed = false

  constructor(path: string, file: DiskFile, seed: number, cache: IndexPageCache) {
    this.path = path
    this.#file = file
    this.#seed = seed
    this.cached = new FilePages(cache)
  }

  /** Keeps the file open, until as many `release`. */
  use(): void {
    this.#useCount++
  }

  release(): void {
    if (--this.#useCount === 0) this.#onIdle?.()
  }

  /** The waiter is told later. */
  load(pageNumber: number, waiter: PageWaiter): void {
    const waiters = this.#waiters.get(pageNumber)
    if (waiters !== undefined) {
      waiters.push(waiter)
      return
    }
    this.#waiters.set(pageNumber, [waiter])
    this.use()
    const page = this.cached.take()
    this.#file.read(page.bytes, pageNumber * INDEX_PAGE_SIZE).then(
      size => this.#loaded(pageNumber, page, size),
      (error: unknown) => this.#failed(pageNumber, page, this.#readFailed(pageNumber, error)),
    )
  }

  /** Whoever gets the page releases it. */
  loadPage(pageNumber: number): Promise<IndexPage> {
    return new Promise((loaded, failed) => this.load(pageNumber, { loaded, failed }))
  }

  /** Fills `target` with pages from `first` on, past the cache and unchecked: see `verify`. */
  async read(target: ByteWindow, first: number): Promise<void> {
    // Whoever reads holds the part, so only a mended file is closed under him.
    if (this.#isClosed) throw new DamagedIndexError(this.path, first, true)
    this.use()
    try {
      const size = await this.#file.read(target.bytes, first * INDEX_PAGE_SIZE).catch((error: unknown) => {
        throw this.#readFailed(first, error)
      })
      if (size < target.size) throw new DamagedIndexError(this.path, first + Math.floor(size / INDEX_PAGE_SIZE))
    } finally {
      this.release()
    }
  }

  /** @throws DamagedIndexError */
  verify(page: ByteWindow, pageNumber: number): void {
    if (!isWholePage(page, pageNumber, this.#seed)) throw new DamagedIndexError(this.path, pageNumber)
  }

  /** Waits for those who use it. */
  async close(): Promise<void> {
    this.#isClosed = true
    if (this.#useCount > 0) {
      await new Promise<void>(resolve => {
        this.#onIdle = resolve
      })
    }
    this.cached.close()
    await this.#file.close()
  }

  /** The file stays open until the waiters have gone on. */
  #loaded(pageNumber: number, page: IndexPage, size: number): void {
    if (size < INDEX_PAGE_SIZE || !isWholePage(page, pageNumber, this.#seed)) {
      this.#failed(pageNumber, page, new DamagedIndexError(this.path, pageNumber))
      return
    }
    const waiters = this.#waitersOf(pageNumber)
    page.holderCount = waiters.length
    page.pageNumber = pageNumber
    this.cached.put(pageNumber, page)
    for (const waiter of waiters) waiter.loaded(page)
    this.release()
  }

  #failed(pageNumber: number, page: IndexPage, error: unknown): void {
    this.cached.release(page)
    for (const waiter of this.#waitersOf(pageNumber)) waiter.failed(error)
    this.release()
  }

  #waitersOf(pageNumber: number): readonly PageWaiter[] {
    const waiters = this.#waiters.get(pageNumber)!
    this.#waiters.delete(pageNumber)
    return waiters
  }

  #readFailed(pageNumber: number, error: unknown): ReadFailedError {
    return new ReadFailedError(`cannot read page ${pageNumber} of ${this.path}: ${String(error)}`, error)
  }
}
