import { LogPosition, Revision } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import type { PageSource } from './file-run.ts'
import type { FilePages, IndexPage } from './index-page-cache.ts'
import type { PageWaiter } from './page-reader.ts'

/** What a part says to a search. 'waits': a page has to be read; the part tells the search, which then asks it again. */
export type SearchAnswer = 'found' | 'none' | 'waits'

/** The index, as far as a search needs it. */
interface SearchedIndex {
  parts(): readonly SearchedPart[]
  keep(): readonly SearchedPart[]
  letGo(kept: readonly SearchedPart[]): void
  lastRun(name: Uint8Array, hash: number): MaybeEnd | Promise<MaybeEnd>
}

interface SearchedPart {
  searchHead(search: HeadSearch): SearchAnswer
}

type MaybeEnd = { readonly lastRevision: Revision; readonly lastPosition: LogPosition } | null

const NO_PAGE = -1
const NO_NAME = new Uint8Array(0)

/**
 * Looks for the end of a stream: asks part after part, the newest first, until one knows the stream. It is used again for the next
 * stream, and makes nothing on its way: streams are looked for by tens of thousands a second, and promises from layer to layer were
 * half of all that such an append left to the garbage collector.
 */
export class HeadSearch implements PageSource, PageWaiter {
  /** Of the stream. */
  name: Uint8Array = NO_NAME
  hash = 0
  /** What was found; Revision.none when no part knows the stream. */
  lastRevision: Revision = Revision.none
  lastPosition = LogPosition.start
  readonly #index: SearchedIndex
  readonly #onEnded: (error: unknown) => void
  #parts: readonly SearchedPart[] = []
  /** The part that is asked, from the newest down. */
  #at = 0
  /** Kept open, from the first wait on. */
  #kept: readonly SearchedPart[] | null = null
  /** Of the file that was asked last, and the pages of it that were read for this search. */
  #pages: FilePages | null = null
  readonly #held: IndexPage[] = []
  #missing = NO_PAGE

  /** @param onEnded called for a search that had to wait, with null when it came to its end. */
  constructor(index: SearchedIndex, onEnded: (error: unknown) => void) {
    this.#index = index
    this.#onEnded = onEnded
  }

  /** @returns whether it came to its end at once. */
  begin(name: Uint8Array, hash: number): boolean {
    this.name = name
    this.hash = hash
    this.lastRevision = Revision.none
    this.lastPosition = LogPosition.start
    this.#parts = this.#index.parts()
    this.#at = this.#parts.length - 1
    const hasEnded = this.#goOn()
    if (hasEnded) this.#letGo()
    else this.#kept = this.#index.keep()
    return hasEnded
  }

  /** For a part that knows the stream. */
  found(revision: number, position: number): 'found' {
    this.lastRevision = revision as Revision
    this.lastPosition = position as LogPosition
    return 'found'
  }

  /** For a file that is asked now: `page` speaks of its pages from here on. */
  lookIn(pages: FilePages): void {
    if (pages === this.#pages) return
    this.#releasePages()
    this.#pages = pages
  }

  page(pageNumber: number): ByteWindow | null {
    for (const page of this.#held) if (page.pageNumber === pageNumber) return page
    const page = this.#pages!.get(pageNumber)
    if (page !== undefined) return page
    this.#missing = pageNumber
    return null
  }

  /** The page that the last attempt missed, if it missed one; the next attempt begins without. */
  takeMissing(): number | null {
    const missing = this.#missing
    this.#missing = NO_PAGE
    return missing === NO_PAGE ? null : missing
  }

  loaded(page: IndexPage): void {
    this.#held.push(page)
    if (this.#goOn()) this.#end(null)
  }

  failed(): void {
    void this.#askSlowly()
  }

  /** This way a damaged file is made again, or it is told what is wrong. */
  async #askSlowly(): Promise<void> {
    try {
      const run = await this.#index.lastRun(this.name, this.hash)
      if (run !== null) this.found(run.lastRevision, run.lastPosition)
      this.#end(null)
    } catch (error) {
      this.#end(error)
    }
  }

  #goOn(): boolean {
    for (; this.#at >= 0; this.#at--) {
      const answer = this.#parts[this.#at]!.searchHead(this)
      if (answer !== 'none') return answer === 'found'
    }
    return true
  }

  #end(error: unknown): void {
    this.#letGo()
    this.#onEnded(error)
  }

  #letGo(): void {
    this.#releasePages()
    this.#pages = null
    this.#parts = []
    if (this.#kept !== null) this.#index.letGo(this.#kept)
    this.#kept = null
  }

  #releasePages(): void {
    for (let page = this.#held.pop(); page !== undefined; page = this.#held.pop()) this.#pages!.release(page)
  }
}
