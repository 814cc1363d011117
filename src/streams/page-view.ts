import type { ByteWindow } from '../format/byte-window.ts'
import type { FilePages } from './index-page-cache.ts'

/** What an attempt at an answer found missing in memory. */
export class PageView {
  readonly missing: number[] = []
  readonly #pages: FilePages
  readonly #held: ReadonlyMap<number, ByteWindow> | null

  constructor(pages: FilePages, held: ReadonlyMap<number, ByteWindow> | null) {
    this.#pages = pages
    this.#held = held
  }

  page(pageNumber: number): ByteWindow | null {
    const page = this.#held?.get(pageNumber) ?? this.#pages.get(pageNumber)
    if (page !== undefined) return page
    this.missing.push(pageNumber)
    return null
  }
}
