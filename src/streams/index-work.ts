type Work = () => Promise<void>

/**
 * The order of what writes index files. A merge of large files takes seconds: what is written of the active chunk meanwhile goes on
 * beside it, for each such part that waits is kept in memory as it was filled. They never concern the same files. All else is alone.
 * What is made from the log alone is in a line of its own, for a merge may wait for it. What fails does not keep the next one from
 * its turn.
 */
export class IndexWork {
  #writes: Promise<void> = Promise.resolve()
  #merges: Promise<void> = Promise.resolve()
  #makings: Promise<unknown> = Promise.resolve()

  /** After other writes, and what is alone. */
  write(work: Work): Promise<void> {
    const done = this.#writes.then(work)
    this.#writes = done.catch(() => {})
    return done
  }

  /** After other merges, and what is alone. */
  merge(work: Work): Promise<void> {
    const done = this.#merges.then(work)
    this.#merges = done.catch(() => {})
    return done
  }

  /** After everything before, and before everything behind. */
  alone(work: Work): Promise<void> {
    const done = Promise.all([this.#writes, this.#merges]).then(work)
    this.#writes = done.catch(() => {})
    this.#merges = this.#writes
    return done
  }

  /** After other makings and removals: they are of files of the same names, or of pieces that have them. */
  make<T>(making: () => Promise<T>): Promise<T> {
    const made = this.#makings.then(making)
    this.#makings = made.catch(() => {})
    return made
  }

  /** Resolves when there is nothing left to do. */
  async settled(): Promise<void> {
    for (let seen: Promise<void>[] = []; seen[0] !== this.#writes || seen[1] !== this.#merges; ) {
      seen = [this.#writes, this.#merges]
      await Promise.all(seen)
    }
  }
}
