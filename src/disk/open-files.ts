/** A file that nobody writes any more, with a descriptor. */
export interface RestingFile {
  /** Nobody reads it just now, and it may be closed. */
  readonly isIdle: boolean
  /** Closes its descriptor. Its next read opens it again. */
  closeForNow(): void
}

/**
 * Keeps the number of descriptors small that stores hold on files which are only read: of those that nobody reads just now, the
 * ones that were read last stay open.
 */
export class OpenFiles {
  readonly #limit: number
  /** Those with a descriptor, the one that was read last at the end. */
  readonly #files = new Set<RestingFile>()

  constructor(limit: number) {
    this.#limit = limit
  }

  /** It has a descriptor, and is being read. */
  used(file: RestingFile): void {
    this.#files.delete(file)
    this.#files.add(file)
    if (this.#files.size <= this.#limit) return
    for (const other of this.#files) {
      if (!other.isIdle) continue
      this.#files.delete(other)
      other.closeForNow()
      if (this.#files.size <= this.#limit) return
    }
  }

  /** It was closed for good. */
  closed(file: RestingFile): void {
    this.#files.delete(file)
  }
}
