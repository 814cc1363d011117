/** A file that nobody writes any more, with a descriptor. */
export interface RestingFile {
  /** Nobody reads it just now, and it may be closed. */
  readonly isIdle: boolean
  /** Closes its descriptor; never rejects. Its next read opens it again. */
  closeForNow(): Promise<void>
}

/**
 * Keeps the number of descriptors small that stores hold on files which are only read: of those that nobody reads just now, the
 * ones that were read last stay open.
 */
export class OpenFiles {
  readonly #limit: number
  /** Those with a descriptor, the one that was read last at the end. */
  readonly #files = new Set<RestingFile>()
  #makingRoom: Promise<boolean> | null = null

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
      void other.closeForNow()
      if (this.#files.size <= this.#limit) return
    }
  }

  /**
   * Closes half of those that nobody reads, the ones that were read last stay: whoever opens something next, here or elsewhere in the
   * process, finds room, too. Who asks while it is being made shares it: many ask at once.
   * @returns false when there is none to close.
   */
  makeRoom(): Promise<boolean> {
    this.#makingRoom ??= this.#closeHalf().finally(() => {
      this.#makingRoom = null
    })
    return this.#makingRoom
  }

  async #closeHalf(): Promise<boolean> {
    const idle = [...this.#files].filter(file => file.isIdle)
    const closed = idle.slice(0, Math.ceil(idle.length / 2))
    for (const file of closed) this.#files.delete(file)
    await Promise.all(closed.map(file => file.closeForNow()))
    return closed.length > 0
  }

  /** It was closed for good. */
  closed(file: RestingFile): void {
    this.#files.delete(file)
  }
}
