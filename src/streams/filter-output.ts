import { FIRST_FILTER_PAGE } from '../format/index-layout.ts'
import { addToFilter, FILTER_BLOCKS_PER_PAGE, filterBlockCount, filterBlockOf } from '../format/index-pages.ts'
import { newPage, type PageOutput } from './page-output.ts'

/** So few streams have a page or two: a filter would save nothing. */
const SMALLEST_FILTER = 64

/** How many blocks the filter of a file with at most this many streams has. */
export function blockCountFor(streamCount: number): number {
  return streamCount < SMALLEST_FILTER ? 0 : filterBlockCount(streamCount)
}

export function filterPageCount(blockCount: number): number {
  return Math.ceil(blockCount / FILTER_BLOCKS_PER_PAGE)
}

/** Builds the filter page by page: streams come in the order of their hash, and so do its blocks. */
export class FilterOutput {
  readonly #output: PageOutput
  readonly #blockCount: number
  readonly #pageCount: number
  readonly #page = newPage()
  #pageIndex = 0

  constructor(output: PageOutput, blockCount: number) {
    this.#output = output
    this.#blockCount = blockCount
    this.#pageCount = filterPageCount(blockCount)
  }

  /** @returns null when there is nothing to wait for. */
  add(hash: number): Promise<void> | null {
    if (this.#blockCount === 0) return null
    const block = filterBlockOf(hash, this.#blockCount)
    if (block >= (this.#pageIndex + 1) * FILTER_BLOCKS_PER_PAGE) return this.#addBehind(block, hash)
    addToFilter(this.#page, block - this.#pageIndex * FILTER_BLOCKS_PER_PAGE, hash)
    return null
  }

  async finish(): Promise<void> {
    while (this.#pageIndex < this.#pageCount) await this.#nextPage()
  }

  async #addBehind(block: number, hash: number): Promise<void> {
    while (block >= (this.#pageIndex + 1) * FILTER_BLOCKS_PER_PAGE) await this.#nextPage()
    addToFilter(this.#page, block - this.#pageIndex * FILTER_BLOCKS_PER_PAGE, hash)
  }

  async #nextPage(): Promise<void> {
    await this.#output.put(FIRST_FILTER_PAGE + this.#pageIndex, this.#page)
    this.#page.bytes.fill(0)
    this.#pageIndex++
  }
}
