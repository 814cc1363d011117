import { QueueFullError, StreamNotFoundError } from '../core/errors.ts'
import type { AnyEvent, AppendAck, ExpectedRevision, JsonValue, NewEvent, RecordedEvent } from '../core/events.ts'
import type { EventReading } from '../streams/event-reading.ts'
import type { ReadStreamOptions } from '../streams/read-options.ts'
import type { StreamExtent } from '../streams/stream-reader.ts'

/** What followers ask of the store, handed in by the front desk. They may append to streams that begin with `$`. */
export interface LogClient {
  append(
    stream: string,
    events: NewEvent | readonly NewEvent[],
    options?: { readonly expectedRevision?: ExpectedRevision },
  ): Promise<AppendAck>
  /** For whoever was refused with QueueFullError: resolves when there may be room. */
  room(): Promise<void>
  /** Null when there is nothing to be read. */
  extent(stream: string): Promise<StreamExtent | null>
  /** Of the last event that was ever written to the stream, also when it is deleted; null when none was. */
  lastRevision(stream: string): Promise<number | null>
  readStream(stream: string, options: ReadStreamOptions): EventReading<AnyEvent>
}

/** A note that a follower left for itself: the last event of its stream. */
export interface Note<T> {
  readonly value: T
  readonly revision: number
}

/** @returns null when the stream does not exist. */
export async function lastNote<T>(client: LogClient, stream: string): Promise<Note<T> | null> {
  const event = await lastEvent(client, stream)
  return event === null ? null : { value: event.data as T, revision: event.revision }
}

/**
 * Writes the next note, if the last one is the one that its writer knows of.
 * @param last its revision, null before the first.
 * @returns the note's revision.
 * @throws WrongExpectedRevisionError when somebody else has the same name and has written, too
 */
export async function writeNote(
  client: LogClient,
  stream: string,
  type: string,
  value: JsonValue,
  last: number | null,
): Promise<number> {
  const ack = await client.append(stream, { type, data: value }, { expectedRevision: last ?? 'no_stream' })
  return ack.lastRevision!
}

/** Calls `write` again as long as there is no room for it among the appends that are under way. */
export async function withRoom<T>(client: LogClient, write: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      return await write()
    } catch (error) {
      if (!(error instanceof QueueFullError)) throw error
    }
    await client.room()
  }
}

/** @returns null when the stream does not exist. */
export function lastEvent(client: LogClient, stream: string): Promise<RecordedEvent | null> {
  return oneEvent(client, stream, { direction: 'backwards' })
}

/** @returns the first event of a read; null when there is none, or no stream. */
export async function oneEvent(client: LogClient, stream: string, options: ReadStreamOptions): Promise<RecordedEvent | null> {
  try {
    for await (const event of client.readStream(stream, { ...options, maxCount: 1 })) return event
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error
  }
  return null
}
