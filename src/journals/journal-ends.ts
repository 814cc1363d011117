import { CorruptLogError, DamagedJournalError, StreamDeletedError, StreamNotFoundError } from '../core/errors.ts'
import type { EventStore, RecordedEvent } from '../index.ts'
import type { JournalFiles } from './journal-files.ts'
import { formatRow } from './journal-row.ts'

/** Files that are remembered; when there are more, all are looked at once more. */
const KNOWN_COUNT = 262_144

/**
 * Sees that a file ends where its stream goes on, before a run writes to it for the first time: nobody knows how long a file should
 * be that the checkpoint does not name, and lines that went before a hole would never be missed.
 */
export class JournalEnds {
  readonly #store: EventStore
  readonly #files: JournalFiles
  /** By name: files that were seen to end rightly, and written to since by this run alone. */
  readonly #known = new Set<string>()

  constructor(store: EventStore, files: JournalFiles) {
    this.#store = store
    this.#files = files
  }

  /** @param revision of the first event that will be written behind `size`. @throws DamagedJournalError */
  async check(fileName: string, stream: string, revision: number, size: number): Promise<void> {
    if (this.#known.has(fileName)) return
    if (revision === 0 && size > 0) {
      throw new DamagedJournalError(fileName, `there are lines in it before the first event of '${stream}'`)
    }
    const previous = revision === 0 ? null : await this.#eventAt(stream, revision - 1)
    if (previous !== null && !(await this.#files.endsWith(fileName, Buffer.from(formatRow(previous), 'utf8'), size))) {
      throw new DamagedJournalError(fileName, `it does not end with the event before revision ${revision} of '${stream}'`)
    }
    if (this.#known.size === KNOWN_COUNT) this.#known.clear()
    this.#known.add(fileName)
  }

  /** @returns null when the store does not show it: then nobody can tell whether the file should have it. */
  async #eventAt(stream: string, revision: number): Promise<RecordedEvent | null> {
    try {
      const reading = this.#store.readStream(stream, { from: revision, maxCount: 1 })
      for await (const event of reading) return event.revision === revision ? event : null
    } catch (error) {
      const isHidden = error instanceof StreamNotFoundError || error instanceof StreamDeletedError
      if (!isHidden && !(error instanceof CorruptLogError)) throw error
    }
    return null
  }
}
