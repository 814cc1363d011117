import { RecordTooLargeError, StreamDeletedError, StreamNotFoundError } from '../core/errors.ts'
import type { RecordedEvent } from '../core/events.ts'
import type { LogClient } from './log-client.ts'

/** What stands in the stream of parked messages: which event, and why. */
export interface ParkedNote {
  readonly stream: string
  readonly revision: number
  readonly position: number
  readonly retryCount: number
  readonly reason: string
}

/** Where a group puts what it could not handle: a stream that names the events, `$parked-<name>`. */
export class Parking {
  readonly #client: LogClient
  readonly #stream: string

  constructor(client: LogClient, stream: string) {
    this.#client = client
    this.#stream = stream
  }

  /** Of a reason that no record has room for, what has room is kept. */
  async park(event: RecordedEvent, retryCount: number, reason: string): Promise<void> {
    const { stream, revision, position } = event
    const note: ParkedNote = { stream, revision, position, retryCount, reason }
    try {
      await this.#client.append(this.#stream, { type: '$group-parked', data: { ...note } })
    } catch (error) {
      if (!(error instanceof RecordTooLargeError) || reason === '') throw error
      await this.park(event, retryCount, reason.slice(0, reason.length / 2))
    }
  }

  /** How many were ever parked. */
  async count(): Promise<number> {
    for await (const { revision } of this.#read(this.#stream, { direction: 'backwards', maxCount: 1 })) return revision + 1
    return 0
  }

  /** The events that were parked, from a place in the stream of parked messages on; null for one that is gone. */
  async *parked(
    from: number,
    maxCount: number,
  ): AsyncGenerator<{ readonly revision: number; readonly event: RecordedEvent | null }> {
    for await (const { revision, data } of this.#read(this.#stream, { from, maxCount })) {
      yield { revision, event: await this.#original(data as ParkedNote) }
    }
  }

  async #original({ stream, revision }: ParkedNote): Promise<RecordedEvent | null> {
    for await (const event of this.#read(stream, { from: revision, maxCount: 1 }))
      return event.revision === revision ? event : null
    return null
  }

  /** A stream that does not exist, or no longer, has no events. */
  async *#read(
    stream: string,
    options: { readonly from?: number; readonly maxCount: number; readonly direction?: 'backwards' },
  ): AsyncGenerator<RecordedEvent> {
    try {
      yield* this.#client.readStream(stream, options)
    } catch (error) {
      if (!(error instanceof StreamNotFoundError || error instanceof StreamDeletedError)) throw error
    }
  }
}
