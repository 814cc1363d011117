import type { RecordedEvent } from '../core/events.ts'
import type { LogPosition } from '../core/positions.ts'
import type { Cursor } from './log-cursor.ts'

/** A cursor whose beginning has to be looked up first. */
export class LaterCursor implements Cursor {
  readonly #begin: () => Promise<Cursor>
  #cursor: Cursor | null = null

  /** @param begin called with the first read. */
  constructor(begin: () => Promise<Cursor>) {
    this.#begin = begin
  }

  get position(): LogPosition | null {
    return this.#cursor?.position ?? null
  }

  async read(limit: LogPosition): Promise<readonly RecordedEvent[] | null> {
    this.#cursor ??= await this.#begin()
    return this.#cursor.read(limit)
  }
}
