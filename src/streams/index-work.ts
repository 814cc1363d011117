type Work = () => Promise<void>

/**
 * Where work on index files stands in line. A merge of large files takes seconds: what is written of the active chunk meanwhile goes
 * on beside it, for each such part that waits is kept in memory as it was filled. They never concern the same files. All else is
 * alone. What fails does not keep the next one from its turn.
 *
 *     work    is                                             its turn comes after          in its turn it may wait for
 *     write   the file of a part in memory                   writes, and what is alone     a making: a source is damaged
 *     merge   one file of several                            merges, and what is alone     a making: a source is damaged
 *     alone   rebuilding what is missing, refreshing what    all three                     makings
 *             was rewritten, taking over another's files
 *     making  a file made again from the log, or removed     makings                       the log and the disk
 *
 * The line of makings is the maker's, and readers who meet damage stand in it, too. Nobody waits in a circle: a turn here comes after
 * older ones, and in it only makings are waited for; a making asks no part but its own pieces, which need no turn. A turn that begins
 * other work, or lets go of a part, does not wait for it.
 */
export class IndexWork {
  #writes: Promise<void> = Promise.resolve()
  #merges: Promise<void> = Promise.resolve()

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

  /** Resolves when there is nothing left to do. */
  async settled(): Promise<void> {
    for (let seen: Promise<void>[] = []; seen[0] !== this.#writes || seen[1] !== this.#merges; ) {
      seen = [this.#writes, this.#merges]
      await Promise.all(seen)
    }
  }
}
