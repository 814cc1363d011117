import { EVENT_ID_SIZE } from '../core/event-id.ts'
import type { LogPosition } from '../core/positions.ts'
import { ByteWindow, readU48 } from '../format/byte-window.ts'
import {
  entryNameOffset,
  entryNameSize,
  FIRST_FILTER_PAGE,
  ID_ENTRY_SIZE,
  ID_POSITION,
  ID_REVISION,
  ID_STREAM_HASH,
  IDS_PER_PAGE,
  type IndexHeader,
  lastPositionOf,
  lastRevisionOf,
} from '../format/index-layout.ts'
import {
  FILTER_BLOCKS_PER_PAGE,
  filterBlockOf,
  firstSlotFrom,
  INDEX_PAGE_SIZE,
  mayHold,
  nextPageOf,
  pageBelow,
  slotCountOf,
  slotHashAt,
  slotOffsetAt,
} from '../format/index-pages.ts'
import { type FileRun, type PageSource, RunCells, runAt, splitCells } from './file-run.ts'
import { compareNames } from './hash-order.ts'
import type { HeadSearch, SearchAnswer } from './head-search.ts'
import type { IndexPage } from './index-page-cache.ts'
import type { EventList, SuppliedIdList } from './index-part.ts'
import { DamagedIndexError, type PageReader } from './page-reader.ts'
import { PageView } from './page-view.ts'
import { hashOf } from './stream-hash.ts'

/**
 * An index file that is open: answers from the page cache at once, or reads the pages that it needs. An answer is worked out anew
 * with each page that was missing, so that there is one way to it, and none that holds half an answer.
 * Throws DamagedIndexError, ReadFailedError.
 */
export class IndexFile {
  readonly header: IndexHeader
  readonly #pages: PageReader
  /** For first attempts, one after the other. */
  readonly #inMemory: PageView
  /** Where on its page the entry begins that `#findEntry` found last. */
  #entryOffset = 0

  constructor(header: IndexHeader, pages: PageReader) {
    this.header = header
    this.#pages = pages
    this.#inMemory = new PageView(pages.cached, [])
  }

  get path(): string {
    return this.#pages.path
  }

  find(name: Uint8Array, hash: number): FileRun | null | Promise<FileRun | null> {
    // The commonest question by far: it makes nothing when the answer is in memory.
    const view = this.#inMemory
    const run = this.#find(view, name, hash)
    return view.isWhole ? run : this.#answerSlowly(again => this.#find(again, name, hash), view.takeMissing())
  }

  /** Where a stream ends. */
  searchHead(search: HeadSearch): SearchAnswer {
    search.lookIn(this.#pages.cached)
    const page = this.#findEntry(search, search.name, search.hash)
    const missing = search.takeMissing()
    if (missing !== null) {
      this.#pages.load(missing, search)
      return 'waits'
    }
    if (page === null) return 'none'
    return search.found(lastRevisionOf(page.view, this.#entryOffset), lastPositionOf(page.view, this.#entryOffset))
  }

  events(run: FileRun, from: number, count: number): EventList | Promise<EventList> {
    const size = Math.max(0, Math.min(count, run.eventCount - from))
    const positions = new Float64Array(size)
    const revisions = run.hasHoles ? new Float64Array(size) : null
    if (run.inlinePositions !== null) {
      positions.set(run.inlinePositions.slice(from, from + size))
      revisions?.set(run.inlineRevisions!.slice(from, from + size))
      return { positions, revisions }
    }
    return this.#answer(view => {
      const cells = new RunCells(view, run)
      const step = run.hasHoles ? 2 : 1
      cells.want(from * step, (from + size) * step)
      if (!view.isWhole) return null
      const values = run.hasHoles ? new Float64Array(size * step) : positions
      for (let done = 0; done < values.length; ) done += cells.take(from * step + done, values.length - done, values, done)
      if (run.hasHoles) splitCells(values, positions, revisions)
      return { positions, revisions }
    }) as EventList | Promise<EventList>
  }

  indexOf(run: FileRun, revision: number): number | Promise<number> {
    if (revision > run.lastRevision) return run.eventCount
    if (!run.hasHoles) return Math.max(0, revision - run.firstRevision)
    return this.#answer(view => {
      const cells = new RunCells(view, run)
      let low = 0
      let high = run.eventCount - 1
      while (low < high) {
        const middle = (low + high) >> 1
        const found = run.inlineRevisions === null ? cells.at(middle * 2 + 1) : run.inlineRevisions[middle]!
        if (!view.isWhole) return null
        if (found >= revision) high = middle
        else low = middle + 1
      }
      return low
    }) as number | Promise<number>
  }

  lastOfType(type: Uint8Array): LogPosition | null | Promise<LogPosition | null> {
    return this.#answer(view => this.#findType(view, type, hashOf(type, 0, type.length)))
  }

  suppliedIds(from: number, count: number): SuppliedIdList | Promise<SuppliedIdList> {
    const size = Math.max(0, Math.min(count, this.header.idCount - from))
    return this.#answer(view => {
      const ids = new Uint8Array(size * EVENT_ID_SIZE)
      const list = {
        ids,
        streamHashes: new Int32Array(size),
        revisions: new Float64Array(size),
        positions: new Float64Array(size),
      }
      for (let i = 0, loaded = -1, page: ByteWindow | null = null; i < size; i++) {
        const pageNumber = this.header.firstIdPage + Math.floor((from + i) / IDS_PER_PAGE)
        if (pageNumber !== loaded) page = view.page(pageNumber)
        loaded = pageNumber
        if (page === null) continue
        const offset = ((from + i) % IDS_PER_PAGE) * ID_ENTRY_SIZE
        ids.set(page.bytes.subarray(offset, offset + EVENT_ID_SIZE), i * EVENT_ID_SIZE)
        list.streamHashes[i] = page.view.getInt32(offset + ID_STREAM_HASH, true)
        list.revisions[i] = readU48(page.view, offset + ID_REVISION)
        list.positions[i] = readU48(page.view, offset + ID_POSITION)
      }
      return list
    }) as SuppliedIdList | Promise<SuppliedIdList>
  }

  /**
   * `count` pages from `first` on, for one who reads the whole file: past the cache. Fewer at the end of the file.
   * @throws DamagedIndexError when there are none: some page names one that is not there.
   */
  async readPages(first: number, count: number): Promise<ByteWindow> {
    if (first >= this.header.pageCount) throw new DamagedIndexError(this.path, first)
    const size = Math.min(count, this.header.pageCount - first) * INDEX_PAGE_SIZE
    const window = ByteWindow.allocate(size)
    await this.#pages.read(window, first)
    return window
  }

  /** @throws DamagedIndexError */
  verify(page: ByteWindow, pageNumber: number): void {
    this.#pages.verify(page, pageNumber)
  }

  /** Waits for answers under way. */
  close(): Promise<void> {
    return this.#pages.close()
  }

  #answer<T>(attempt: (view: PageView) => T | null): T | null | Promise<T | null> {
    const view = this.#inMemory
    const answer = attempt(view)
    return view.isWhole ? answer : this.#answerSlowly(attempt, view.takeMissing())
  }

  async #answerSlowly<T>(attempt: (view: PageView) => T | null, firstMissing: readonly number[]): Promise<T | null> {
    const held: IndexPage[] = []
    const view = new PageView(this.#pages.cached, held)
    this.#pages.use()
    try {
      for (let missing = firstMissing; ; missing = view.takeMissing()) {
        if (missing.length === 1) held.push(await this.#pages.loadPage(missing[0]!))
        else await this.#loadInto(held, missing)
        const answer = attempt(view)
        if (view.isWhole) return answer
      }
    } finally {
      for (const page of held) this.#pages.cached.release(page)
      this.#pages.release()
    }
  }

  async #loadInto(held: IndexPage[], missing: readonly number[]): Promise<void> {
    const pageNumbers = [...new Set(missing)]
    const loads = await Promise.allSettled(pageNumbers.map(pageNumber => this.#pages.loadPage(pageNumber)))
    for (const load of loads) if (load.status === 'fulfilled') held.push(load.value)
    for (const load of loads) if (load.status === 'rejected') throw load.reason
  }

  #find(view: PageView, name: Uint8Array, hash: number): FileRun | null {
    const page = this.#findEntry(view, name, hash)
    return page === null ? null : runAt(page.view, this.#entryOffset, name, hash)
  }

  /** The page with the stream's entry; null also when a page is missing. */
  #findEntry(source: PageSource, name: Uint8Array, hash: number): ByteWindow | null {
    const { filterBlockCount, rootPage, levelCount } = this.header
    if (rootPage === 0) return null
    if (filterBlockCount > 0) {
      const block = filterBlockOf(hash, filterBlockCount)
      const filter = source.page(FIRST_FILTER_PAGE + Math.floor(block / FILTER_BLOCKS_PER_PAGE))
      if (filter === null || !mayHold(filter, block % FILTER_BLOCKS_PER_PAGE, hash)) return null
    }
    let pageNumber = rootPage
    for (let level = 0; level < levelCount; level++) {
      const page = source.page(pageNumber)
      if (page === null) return null
      pageNumber = pageBelow(page.view, hash)
    }
    // Names that share a hash may go on on the next page.
    for (; pageNumber !== 0; ) {
      const page = source.page(pageNumber)
      if (page === null) return null
      const count = slotCountOf(page.view)
      for (let slot = firstSlotFrom(page.view, hash); slot < count; slot++) {
        if (slotHashAt(page.view, slot) !== hash) return null
        const offset = slotOffsetAt(page.view, slot)
        const at = entryNameOffset(offset)
        if (compareNames(page.bytes, at, entryNameSize(page.view, offset), name, 0, name.length) === 0) {
          this.#entryOffset = offset
          return page
        }
      }
      pageNumber = nextPageOf(page.view)
    }
    return null
  }

  #findType(view: PageView, type: Uint8Array, hash: number): LogPosition | null {
    const { firstTypePage, typePageCount } = this.header
    // The last page that begins below the hash, or the first one.
    let low = 0
    let high = typePageCount - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      const page = view.page(firstTypePage + middle)
      if (page === null) return null
      if (slotHashAt(page.view, 0) >>> 0 < hash >>> 0) low = middle
      else high = middle - 1
    }
    for (let index = low; index < typePageCount; index++) {
      const page = view.page(firstTypePage + index)
      if (page === null) return null
      const count = slotCountOf(page.view)
      for (let slot = firstSlotFrom(page.view, hash); slot < count; slot++) {
        if (slotHashAt(page.view, slot) !== hash) return null
        const offset = slotOffsetAt(page.view, slot)
        const size = page.bytes[offset]!
        if (compareNames(page.bytes, offset + 1, size, type, 0, type.length) === 0) {
          return readU48(page.view, offset + 1 + size) as LogPosition
        }
      }
    }
    return null
  }
}
