import { InvalidArgumentError } from '../core/errors.ts'
import type { Payload, RecordedEvent } from '../core/events.ts'
import { shown } from '../core/json-text.ts'

/** What is produced. */
export interface NewRecord {
  /** Records of one key go to one partition, in order; without a key, to one partition after the other. */
  readonly key?: string | undefined
  /** Bytes, or a JSON value. */
  readonly value: Payload
  readonly headers?: { readonly [name: string]: string } | undefined
}

/** A record as it stands in its partition. */
export interface TopicRecord {
  readonly partition: number
  /** Its place in the partition, from 0, without gaps. */
  readonly offset: number
  /** When it was written. */
  readonly timestamp: Date
  /** Null when it was produced without one. */
  readonly key: string | null
  /** Equal to what was produced. */
  readonly value: unknown
  readonly headers: { readonly [name: string]: string }
}

/** The metadata of a record's event. */
export interface RecordMetadata {
  readonly key: string | null
  readonly headers: { readonly [name: string]: string }
}

/** What is no plain object, such as a Map, shows JSON none of what it holds. @throws InvalidArgumentError */
export function checkHeaders(headers: unknown): void {
  if (Object.prototype.toString.call(headers) !== '[object Object]')
    throw new InvalidArgumentError(`headers must be a plain object of texts, got ${shown(headers)}`)
  for (const [name, value] of Object.entries(headers as object)) {
    if (typeof value !== 'string') throw new InvalidArgumentError(`header ${shown(name)} must be a text, got ${shown(value)}`)
  }
}

export function recordOf(event: RecordedEvent, partition: number): TopicRecord {
  // Anyone may append to the stream of a partition.
  const { key = null, headers = {} } = (event.metadata ?? {}) as Partial<RecordMetadata>
  return { partition, offset: event.revision, timestamp: event.created, key, value: event.data, headers }
}
