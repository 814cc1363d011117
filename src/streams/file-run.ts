import type { LogPosition, Revision } from '../core/positions.ts'
import { type ByteWindow, readU48 } from '../format/byte-window.ts'
import {
  entryHasHoles,
  firstRevisionOf,
  inlineCountOf,
  inlineOffsetOf,
  lastPositionOf,
  lastRevisionOf,
  readLongRun,
} from '../format/index-layout.ts'
import { CELL_SIZE, CELLS_PER_PAGE, cellAt, readCells } from '../format/index-pages.ts'

/** A stream's events in one file. */
export interface FileRun {
  readonly name: Uint8Array
  readonly hash: number
  readonly firstRevision: Revision
  readonly lastRevision: Revision
  readonly eventCount: number
  readonly lastPosition: LogPosition
  readonly hasHoles: boolean
  /** Null: the events stand in pages of events. */
  readonly inlinePositions: readonly number[] | null
  readonly inlineRevisions: readonly number[] | null
  readonly firstPage: number
  readonly firstCell: number
  readonly restPage: number
}

/** The run whose entry stands at `offset`. Every field is named: spreading objects costs more than all the rest. */
export function runAt(view: DataView, offset: number, name: Uint8Array, hash: number): FileRun {
  const hasHoles = entryHasHoles(view, offset)
  const firstRevision = firstRevisionOf(view, offset) as Revision
  const eventCount = inlineCountOf(view, offset)
  if (eventCount === 0) {
    const run = readLongRun(view, offset)
    return {
      name,
      hash,
      firstRevision,
      lastRevision: run.lastRevision as Revision,
      eventCount: run.eventCount,
      lastPosition: run.lastPosition as LogPosition,
      hasHoles,
      inlinePositions: null,
      inlineRevisions: null,
      firstPage: run.firstPage,
      firstCell: run.firstCell,
      restPage: run.restPage,
    }
  }
  const start = inlineOffsetOf(view, offset)
  const inlinePositions = cellsAt(view, start, eventCount)
  const inlineRevisions = hasHoles ? cellsAt(view, start + eventCount * CELL_SIZE, eventCount) : null
  return {
    name,
    hash,
    firstRevision,
    lastRevision: lastRevisionOf(view, offset) as Revision,
    eventCount,
    lastPosition: lastPositionOf(view, offset) as LogPosition,
    hasHoles,
    inlinePositions,
    inlineRevisions,
    firstPage: 0,
    firstCell: 0,
    restPage: 0,
  }
}

/** A plain array: a typed one costs ten times as much to make as the few numbers that it holds. */
function cellsAt(view: DataView, offset: number, count: number): readonly number[] {
  const cells: number[] = []
  for (let i = 0; i < count; i++) cells.push(readU48(view, offset + i * CELL_SIZE))
  return cells
}

/** Where pages come from; null: it is not in memory. */
export interface PageSource {
  page(pageNumber: number): ByteWindow | null
}

/** The cells of a long run, wherever their pages are. */
export class RunCells {
  readonly #source: PageSource
  readonly #run: FileRun
  #pageNumber = -1
  #page: ByteWindow | null = null

  constructor(source: PageSource, run: FileRun) {
    this.#source = source
    this.#run = run
  }

  /** Asks for all pages of the cells from `from` on, below `to`: what is missing is then read at once. */
  want(from: number, to: number): void {
    if (from >= to) return
    const { firstPage, restPage } = this.#run
    const last = this.pageOf(to - 1)
    let pageNumber = this.pageOf(from)
    this.#source.page(pageNumber)
    while (pageNumber !== last) {
      pageNumber = pageNumber === firstPage ? restPage : pageNumber + 1
      this.#source.page(pageNumber)
    }
  }

  /** Whether the page of the cell is in memory. */
  isThere(cell: number): boolean {
    const pageNumber = this.pageOf(cell)
    if (pageNumber !== this.#pageNumber || this.#page === null) {
      this.#page = this.#source.page(pageNumber)
      this.#pageNumber = pageNumber
    }
    return this.#page !== null
  }

  /** 0 when the page is not in memory. */
  at(cell: number): number {
    return this.isThere(cell) ? cellAt(this.#page!.view, this.#inPage(cell)) : 0
  }

  /**
   * Takes up to `count` cells from `cell` on, those that stand on its page, into `values` from `at` on.
   * @returns how many; 0 when the page is not in memory.
   */
  take(cell: number, count: number, values: Float64Array, at: number): number {
    if (!this.isThere(cell)) return 0
    const inPage = this.#inPage(cell)
    const taken = Math.min(count, CELLS_PER_PAGE - inPage)
    readCells(this.#page!.view, inPage, taken, values, at)
    return taken
  }

  pageOf(cell: number): number {
    const behind = this.#behindFirst(cell)
    return behind < 0 ? this.#run.firstPage : this.#run.restPage + Math.floor(behind / CELLS_PER_PAGE)
  }

  /** Which cell of its page it is. */
  #inPage(cell: number): number {
    const { firstCell, firstPage } = this.#run
    return this.#pageNumber === firstPage ? firstCell + cell : this.#behindFirst(cell) % CELLS_PER_PAGE
  }

  #behindFirst(cell: number): number {
    return cell - (CELLS_PER_PAGE - this.#run.firstCell)
  }
}

/** Takes apart the cells of a run with holes: a position and a revision in turn. */
export function splitCells(cells: Float64Array, positions: Float64Array, revisions: Float64Array | null): void {
  for (let i = 0; 2 * i < cells.length; i++) positions[i] = cells[2 * i]!
  if (revisions === null) return
  for (let i = 0; 2 * i < cells.length; i++) revisions[i] = cells[2 * i + 1]!
}
