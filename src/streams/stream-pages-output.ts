import assert from 'node:assert'
import { isPromise } from '../core/is-promise.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { writeU48 } from '../format/byte-window.ts'
import {
  INLINE_EVENT_COUNT,
  inlineOffsetOf,
  longEntrySize,
  shortEntrySize,
  writeEntryHead,
  writeLongRun,
} from '../format/index-layout.ts'
import {
  CELL_SIZE,
  CELLS_PER_PAGE,
  DIRECTORY_ENTRY_COUNT,
  SortedPageBuilder,
  writeCells,
  writeDirectory,
} from '../format/index-pages.ts'
import type { StreamCursor } from './index-part.ts'
import { newPage, type PageOutput } from './page-output.ts'

/** Events of long runs are fetched in pieces of this many. */
const PIECE_COUNT = 4096

/** Writes the streams of an index file, in the order of their hash and name, and the directory above them. */
export class StreamPagesOutput {
  readonly #output: PageOutput
  readonly #streams = new SortedPageBuilder(newPage())
  #streamPage = 0
  readonly #events: ByteWindow = newPage()
  #eventPage = 0
  #cell = CELLS_PER_PAGE
  readonly #hashes: number[] = []
  readonly #pages: number[] = []
  readonly #positions = new Float64Array(PIECE_COUNT)
  readonly #revisions = new Float64Array(PIECE_COUNT)
  /** Behind the first page of events of the run that is being written; 0 as long as it has no second one. */
  #restPage = 0
  streamCount = 0
  newStreamCount = 0
  eventCount = 0
  firstPage = 0
  rootPage = 0
  levelCount = 0

  constructor(output: PageOutput) {
    this.#output = output
  }

  /** @param cursors at the same stream, in log order. @returns null when there is nothing to wait for. */
  add(cursors: readonly StreamCursor[]): Promise<void> | null {
    const first = cursors[0]!
    const last = cursors[cursors.length - 1]!
    let eventCount = 0
    for (let i = 0; i < cursors.length; i++) eventCount += cursors[i]!.eventCount
    const hasHoles = last.lastRevision - first.firstRevision + 1 !== eventCount
    this.streamCount++
    this.eventCount += eventCount
    if (first.firstRevision === 0) this.newStreamCount++
    if (eventCount > INLINE_EVENT_COUNT) return this.#addLong(cursors, eventCount, hasHoles)
    const size = shortEntrySize(first.nameSize, eventCount, hasHoles)
    if (this.#streamPage === 0 || !this.#streams.fits(size))
      return this.#makeRoom(size).then(() => this.#addShort(cursors, size, eventCount, hasHoles))
    this.#addShort(cursors, size, eventCount, hasHoles)
    return null
  }

  /** Writes the last pages and the directory. */
  async finish(): Promise<void> {
    if (this.#streamPage !== 0) await this.#endStreamPage(0)
    if (this.#eventPage !== 0) await this.#output.put(this.#eventPage, this.#events)
    let hashes = this.#hashes
    let pages = this.#pages
    this.firstPage = pages[0] ?? 0
    while (pages.length > 1) {
      const levelHashes: number[] = []
      const levelPages: number[] = []
      for (let from = 0; from < pages.length; from += DIRECTORY_ENTRY_COUNT) {
        const page = this.#output.reserve()
        writeDirectory(this.#streams.page, hashes, pages, from)
        await this.#output.put(page, this.#streams.page)
        levelHashes.push(hashes[from]!)
        levelPages.push(page)
      }
      hashes = levelHashes
      pages = levelPages
      this.levelCount++
    }
    this.rootPage = pages[0] ?? 0
  }

  /** A stream with few events in all has few in each source: they stand in its entry there, and there is nothing to wait for. */
  #addShort(cursors: readonly StreamCursor[], size: number, eventCount: number, hasHoles: boolean): void {
    const offset = this.#beginEntry(cursors[0]!, size, hasHoles, eventCount)
    for (let i = 0, done = 0; i < cursors.length; i++) {
      const cursor = cursors[i]!
      const waiting = cursor.copyEvents(0, cursor.eventCount, this.#positions, hasHoles ? this.#revisions : null)
      if (isPromise(waiting)) assert.fail('a short run stands in pages of its own')
      this.#writeInline(offset, done, cursor.eventCount, eventCount, hasHoles)
      done += cursor.eventCount
    }
  }

  #beginEntry(first: StreamCursor, size: number, hasHoles: boolean, inlineCount: number): number {
    const offset = this.#streams.add(first.hash, size)
    const { nameBytes, nameOffset, nameSize } = first
    writeEntryHead(this.#streams.page, offset, hasHoles, inlineCount, first.firstRevision, nameBytes, nameOffset, nameSize)
    return offset
  }

  #writeInline(offset: number, done: number, count: number, eventCount: number, hasHoles: boolean): void {
    const { view } = this.#streams.page
    const start = inlineOffsetOf(view, offset)
    for (let i = 0; i < count; i++) writeU48(view, start + (done + i) * CELL_SIZE, this.#positions[i]!)
    if (!hasHoles) return
    for (let i = 0; i < count; i++) writeU48(view, start + (eventCount + done + i) * CELL_SIZE, this.#revisions[i]!)
  }

  async #addLong(cursors: readonly StreamCursor[], eventCount: number, hasHoles: boolean): Promise<void> {
    const first = cursors[0]!
    const last = cursors[cursors.length - 1]!
    const size = longEntrySize(first.nameSize)
    // No page of streams begins between the pages of one run: they lie in a row.
    await this.#makeRoom(size)
    if (this.#cell + 2 > CELLS_PER_PAGE) await this.#nextEventPage()
    const firstPage = this.#eventPage
    const firstCell = this.#cell
    this.#restPage = 0
    for (const cursor of cursors) {
      for (let from = 0; from < cursor.eventCount; from += PIECE_COUNT) {
        const count = Math.min(PIECE_COUNT, cursor.eventCount - from)
        await cursor.copyEvents(from, count, this.#positions, hasHoles ? this.#revisions : null)
        if (hasHoles) await this.#putCells(inTurn(this.#positions, this.#revisions, count), 2 * count)
        else await this.#putCells(this.#positions, count)
      }
    }
    const { lastRevision, lastPosition } = last
    const offset = this.#beginEntry(first, size, hasHoles, 0)
    writeLongRun(this.#streams.page, offset, first.nameSize, {
      ...{ eventCount, lastRevision, lastPosition },
      ...{ firstPage, firstCell, restPage: this.#restPage },
    })
  }

  /** Page by page: event by event, this was a twentieth of what appends to few streams cost. */
  async #putCells(values: Float64Array, count: number): Promise<void> {
    for (let done = 0; done < count; ) {
      if (this.#cell === CELLS_PER_PAGE) {
        await this.#nextEventPage()
        if (this.#restPage === 0) this.#restPage = this.#eventPage
      }
      const room = Math.min(count - done, CELLS_PER_PAGE - this.#cell)
      writeCells(this.#events.view, this.#cell, room, values, done)
      this.#cell += room
      done += room
    }
  }

  async #makeRoom(size: number): Promise<void> {
    if (this.#streamPage === 0) this.#streamPage = this.#output.reserve()
    else if (!this.#streams.fits(size)) await this.#endStreamPage(this.#output.reserve())
  }

  async #endStreamPage(nextPage: number): Promise<void> {
    this.#hashes.push(this.#streams.firstHash)
    this.#pages.push(this.#streamPage)
    this.#streams.setNextPage(nextPage)
    await this.#output.put(this.#streamPage, this.#streams.page)
    this.#streams.clear()
    this.#streamPage = nextPage
  }

  async #nextEventPage(): Promise<void> {
    if (this.#eventPage !== 0) await this.#output.put(this.#eventPage, this.#events)
    this.#events.bytes.fill(0)
    this.#eventPage = this.#output.reserve()
    this.#cell = 0
  }
}

function inTurn(positions: Float64Array, revisions: Float64Array, count: number): Float64Array {
  const cells = new Float64Array(2 * count)
  for (let i = 0; i < count; i++) {
    cells[2 * i] = positions[i]!
    cells[2 * i + 1] = revisions[i]!
  }
  return cells
}
