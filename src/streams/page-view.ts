import type { ByteWindow } from '../format/byte-window.ts'
import type { FilePages, IndexPage } from './index-page-cache.ts'

/** The pages that an attempt at an answer may look at, and those that it found missing in memory. */
export class PageView {
  #missing: number[] = []
  readonly #pages: FilePages
  readonly #held: readonly IndexPage[]

  /** @param held kept for this view, a few; the others may go at the next load. */
  constructor(pages: FilePages, held: readonly IndexPage[]) {
    this.#pages = pages
    this.#held = held
  }

  page(pageNumber: number): ByteWindow | null {
    for (const page of this.#held) if (page.pageNumber === pageNumber) return page
    const page = this.#pages.get(pageNumber)
    if (page !== undefined) return page
    this.#missing.push(pageNumber)
    return null
  }

  /** Nothing that was asked for is missing: the attempt's answer holds. */
  get isWhole(): boolean {
    return this.#missing.length === 0
  }

  /** What is missing; the next attempt begins with nothing missing. */
  takeMissing(): readonly number[] {
    const missing = this.#missing
    this.#missing = []
    return missing
  }
}
