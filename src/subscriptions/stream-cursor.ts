import { StreamNotFoundError } from '../core/errors.ts'
import type { RecordedEvent } from '../core/events.ts'
import { LogPosition } from '../core/positions.ts'
import type { EventSelection } from '../streams/event-filter.ts'
import type { NextBatch } from '../streams/event-reading.ts'
import type { StoredEvent } from '../streams/stored-event.ts'
import type { StreamReader } from '../streams/stream-reader.ts'
import type { Cursor } from './log-cursor.ts'

/**
 * A place in a stream. It asks the index what there is behind it, so that it passes over no record of another stream, neither
 * while it catches up nor later.
 */
export class StreamCursor implements Cursor {
  readonly position = null
  readonly #streams: StreamReader
  readonly #stream: string
  readonly #selection: EventSelection
  /** A revision; or nothing yet: what stands behind a place in the log. */
  #next: number | null
  readonly #behind: LogPosition
  #reading: NextBatch | null = null
  /** Everything below was there when the reading began. */
  #begunAt = LogPosition.start
  readonly #mayHaveNews: (since: LogPosition) => boolean
  /** Everything below was read; null as long as something may be left. */
  #readUpTo: LogPosition | null = null

  /** @param from a revision, or null for the first event at or behind the position `behind`. */
  constructor(streams: StreamReader, stream: string, selection: EventSelection, from: number | null, behind: LogPosition) {
    this.#streams = streams
    this.#stream = stream
    this.#selection = selection
    this.#next = from
    this.#behind = behind
    this.#mayHaveNews = streams.watch(stream)
  }

  async read(limit: LogPosition): Promise<readonly RecordedEvent[] | null> {
    // It is woken by each commit, most of which are in other streams.
    if (this.#readUpTo !== null && !this.#mayHaveNews(this.#readUpTo)) {
      this.#readUpTo = limit
      return null
    }
    const batch = await this.#readOrMissing(limit)
    this.#readUpTo = batch === null ? limit : null
    return batch
  }

  async #readOrMissing(limit: LogPosition): Promise<readonly RecordedEvent[] | null> {
    try {
      return await this.#read(limit)
    } catch (error) {
      this.#reading = null
      // A stream may be deleted, and may come back.
      if (error instanceof StreamNotFoundError) return null
      throw error
    }
  }

  /** One step, also where nothing is shown: between two of them others get a turn, and whoever asks may end. */
  async #read(limit: LogPosition): Promise<readonly RecordedEvent[] | null> {
    this.#next ??= await this.#revisionBehind()
    for (;;) {
      const isFresh = this.#reading === null
      if (isFresh) this.#begunAt = limit
      this.#reading ??= this.#streams.read(this.#stream, { from: this.#next }, nothing)
      const batch = await this.#reading()
      if (batch !== null) {
        const last = batch.at(-1)
        if (last !== undefined) this.#next = last.revision + 1
        return batch.filter(event => (event as StoredEvent).isIn(this.#selection))
      }
      this.#reading = null
      // One that was begun earlier ends where the stream ended then.
      if (isFresh || !this.#mayHaveNews(this.#begunAt)) return null
    }
  }

  /** Events that are not shown count, too: they may be shown again when something else is said of the stream. */
  async #revisionBehind(): Promise<number> {
    const last = await this.#streams.lastRevisionUpTo(this.#stream, (this.#behind - 1) as LogPosition)
    return (last ?? -1) + 1
  }
}

function nothing(): null {
  return null
}
