import { ByteWindow, readU48 } from '../format/byte-window.ts'
import {
  entryHasHoles,
  entryNameOffset,
  entryNameSize,
  firstRevisionOf,
  inlineCountOf,
  inlineOffsetOf,
} from '../format/index-layout.ts'
import { CELL_SIZE, INDEX_PAGE_SIZE, nextPageOf, slotCountOf, slotHashAt, slotOffsetAt } from '../format/index-pages.ts'
import { type FileRun, RunCells, runAt, splitCells } from './file-run.ts'
import type { IndexFile } from './index-file.ts'
import type { StreamCursor, TypeCursor } from './index-part.ts'

/** Pages that are read at once by one who goes through the whole file. */
const PAGES_AHEAD = 16

const NO_NAME = new Uint8Array(0)

/** Some pages in a row, past the cache; each is verified when it is first asked for. */
class PagesAhead {
  readonly missing: number[] = []
  readonly #file: IndexFile
  #first = 0
  #window: ByteWindow | null = null
  #pages: (ByteWindow | null)[] = []

  constructor(file: IndexFile) {
    this.#file = file
  }

  page(pageNumber: number): ByteWindow | null {
    const index = pageNumber - this.#first
    if (this.#window === null || index < 0 || index >= this.#pages.length) {
      this.missing.push(pageNumber)
      return null
    }
    let page = this.#pages[index]!
    if (page === null) {
      page = new ByteWindow(this.#window.bytes.subarray(index * INDEX_PAGE_SIZE, (index + 1) * INDEX_PAGE_SIZE))
      this.#file.verify(page, pageNumber)
      this.#pages[index] = page
    }
    return page
  }

  /** Pages from `pageNumber` on take the place of those that were there, in memory of their own. */
  async load(pageNumber: number): Promise<void> {
    this.#window = await this.#file.readPages(pageNumber, PAGES_AHEAD)
    this.#first = pageNumber
    this.#pages = new Array<ByteWindow | null>(this.#window.size / INDEX_PAGE_SIZE).fill(null)
    this.missing.length = 0
  }
}

/** Goes through the sorted pages of a file, slot by slot. */
abstract class SlotCursor {
  protected readonly pages: PagesAhead
  #pageNumber: number
  protected current: ByteWindow | null = null
  protected offset = 0
  #slot = -1
  #count = 0
  hash = 0

  constructor(file: IndexFile, firstPage: number) {
    this.pages = new PagesAhead(file)
    this.#pageNumber = firstPage
  }

  get nameBytes(): Uint8Array {
    return this.current?.bytes ?? NO_NAME
  }

  next(): boolean | Promise<boolean> {
    if (this.#slot + 1 < this.#count) {
      this.#goTo(this.#slot + 1)
      return true
    }
    if (this.current !== null) this.#pageNumber = this.after(this.#pageNumber, this.current)
    this.current = null
    this.#count = 0
    this.#slot = -1
    return this.#pageNumber === 0 ? false : this.#beginPage()
  }

  /** The page behind; 0 when there is none. */
  protected abstract after(pageNumber: number, page: ByteWindow): number

  #beginPage(): boolean | Promise<boolean> {
    const page = this.pages.page(this.#pageNumber)
    if (page === null) return this.pages.load(this.#pageNumber).then(() => this.#beginPage())
    this.current = page
    this.#count = slotCountOf(page.view)
    this.#goTo(0)
    return true
  }

  #goTo(slot: number): void {
    const { view } = this.current!
    this.#slot = slot
    this.hash = slotHashAt(view, slot)
    this.offset = slotOffsetAt(view, slot)
  }
}

/** The streams of an index file. */
export class FileStreamCursor extends SlotCursor implements StreamCursor {
  readonly #file: IndexFile
  #events: PagesAhead | null = null
  #run: FileRun | null = null

  constructor(file: IndexFile) {
    super(file, file.header.firstStreamPage)
    this.#file = file
  }

  override next(): boolean | Promise<boolean> {
    this.#run = null
    return super.next()
  }

  get nameOffset(): number {
    return entryNameOffset(this.offset)
  }

  get nameSize(): number {
    return entryNameSize(this.current!.view, this.offset)
  }

  get firstRevision(): number {
    return firstRevisionOf(this.current!.view, this.offset)
  }

  get lastRevision(): number {
    return this.#isShortAndDense ? this.firstRevision + this.eventCount - 1 : this.#wholeRun().lastRevision
  }

  get eventCount(): number {
    const inlineCount = inlineCountOf(this.current!.view, this.offset)
    return inlineCount > 0 ? inlineCount : this.#wholeRun().eventCount
  }

  get lastPosition(): number {
    return this.#isShortAndDense ? this.#inlinePosition(this.eventCount - 1) : this.#wholeRun().lastPosition
  }

  copyEvents(from: number, count: number, positions: Float64Array, revisions: Float64Array | null): void | Promise<void> {
    if (this.#isShortAndDense) {
      for (let i = 0; i < count; i++) positions[i] = this.#inlinePosition(from + i)
      if (revisions !== null) for (let i = 0; i < count; i++) revisions[i] = this.firstRevision + from + i
      return
    }
    const run = this.#wholeRun()
    if (run.inlinePositions === null) return this.#copyLong(run, from, count, positions, revisions)
    for (let i = 0; i < count; i++) positions[i] = run.inlinePositions[from + i]!
    if (revisions !== null) for (let i = 0; i < count; i++) revisions[i] = run.inlineRevisions![from + i]!
  }

  /** Most are, and need no object. */
  get #isShortAndDense(): boolean {
    const { view } = this.current!
    return inlineCountOf(view, this.offset) > 0 && !entryHasHoles(view, this.offset)
  }

  #inlinePosition(index: number): number {
    const { view } = this.current!
    return readU48(view, inlineOffsetOf(view, this.offset) + index * CELL_SIZE)
  }

  #wholeRun(): FileRun {
    this.#run ??= runAt(this.current!.view, this.offset, NO_NAME, this.hash)
    return this.#run
  }

  async #copyLong(
    run: FileRun,
    from: number,
    count: number,
    positions: Float64Array,
    revisions: Float64Array | null,
  ): Promise<void> {
    this.#events ??= new PagesAhead(this.#file)
    const pages = this.#events
    const cells = new RunCells(pages, run)
    const step = run.hasHoles ? 2 : 1
    const values = run.hasHoles ? new Float64Array(count * step) : positions
    for (let done = 0; done < count * step; ) {
      const cell = from * step + done
      const taken = cells.take(cell, count * step - done, values, done)
      if (taken === 0) await pages.load(cells.pageOf(cell))
      done += taken
    }
    if (run.hasHoles) splitCells(values, positions, revisions)
    else if (revisions !== null) for (let i = 0; i < count; i++) revisions[i] = run.firstRevision + from + i
  }

  protected after(_pageNumber: number, page: ByteWindow): number {
    return nextPageOf(page.view)
  }
}

/** The event types of an index file. */
export class FileTypeCursor extends SlotCursor implements TypeCursor {
  readonly #lastPage: number

  constructor(file: IndexFile) {
    const { firstTypePage, typePageCount } = file.header
    super(file, typePageCount === 0 ? 0 : firstTypePage)
    this.#lastPage = firstTypePage + typePageCount - 1
  }

  get nameOffset(): number {
    return this.offset + 1
  }

  get nameSize(): number {
    return this.current!.bytes[this.offset]!
  }

  get lastPosition(): number {
    return readU48(this.current!.view, this.nameOffset + this.nameSize)
  }

  protected after(pageNumber: number): number {
    return pageNumber === this.#lastPage ? 0 : pageNumber + 1
  }
}
