import type { DiskFile } from '../disk/disk.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { INDEX_PAGE_SIZE, sealPage } from '../format/index-pages.ts'

const SLAB_PAGES = 64

/**
 * Writes the pages of a new index file, most of them in large pieces. Numbers are handed out in order; a page may come long
 * after its number, and is then written by itself.
 */
export class PageOutput {
  readonly #file: DiskFile
  readonly #headerSeed: number
  readonly #seed: number
  readonly #slab = Buffer.alloc(SLAB_PAGES * INDEX_PAGE_SIZE)
  #slabStart: number
  #next: number

  /**
   * @param headerSeed what the checksum of page 0 starts from. @param seed that of the others.
   * @param firstPage pages before it have their numbers already.
   */
  constructor(file: DiskFile, headerSeed: number, seed: number, firstPage: number) {
    this.#headerSeed = headerSeed
    this.#file = file
    this.#seed = seed
    this.#slabStart = firstPage
    this.#next = firstPage
  }

  get pageCount(): number {
    return this.#next
  }

  /** The number of another page. */
  reserve(): number {
    return this.#next++
  }

  /** Seals and writes the page, or a copy of it later. @returns null when there is nothing to wait for. */
  put(pageNumber: number, page: ByteWindow): Promise<void> | null {
    sealPage(page, pageNumber, pageNumber === 0 ? this.#headerSeed : this.#seed)
    if (pageNumber < this.#slabStart) return this.#file.write(page.bytes, pageNumber * INDEX_PAGE_SIZE)
    if (pageNumber >= this.#slabStart + SLAB_PAGES) return this.#putBehind(pageNumber, page)
    this.#copy(pageNumber, page)
    return null
  }

  /** Writes what is left. */
  flush(): Promise<void> {
    const pages = Math.min(SLAB_PAGES, this.#next - this.#slabStart)
    return this.#file.write(this.#slab.subarray(0, pages * INDEX_PAGE_SIZE), this.#slabStart * INDEX_PAGE_SIZE)
  }

  async #putBehind(pageNumber: number, page: ByteWindow): Promise<void> {
    while (pageNumber >= this.#slabStart + SLAB_PAGES) {
      await this.#file.write(this.#slab, this.#slabStart * INDEX_PAGE_SIZE)
      // Pages whose numbers were handed out, but which did not come yet, must not look like others.
      this.#slab.fill(0)
      this.#slabStart += SLAB_PAGES
    }
    this.#copy(pageNumber, page)
  }

  #copy(pageNumber: number, page: ByteWindow): void {
    page.bytes.copy(this.#slab, (pageNumber - this.#slabStart) * INDEX_PAGE_SIZE)
  }
}

export function newPage(): ByteWindow {
  const page = ByteWindow.allocate(INDEX_PAGE_SIZE)
  page.bytes.fill(0)
  return page
}
