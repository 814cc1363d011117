import { isUint8Array } from 'node:util/types'
import { InvalidArgumentError } from '../core/errors.ts'
import { parseEventId } from '../core/event-id.ts'
import type { NewEvent } from '../core/events.ts'
import { jsonTextOf } from '../core/json-text.ts'
import { encodeEventType } from '../core/names.ts'
import { type EncodableEvent, payloadSize } from '../format/record-encoding.ts'

/** Encoded types that are kept; beyond, all are forgotten: a store with so many types gains nothing from keeping them. */
const KEPT_TYPE_COUNT = 4096

/** Turns what the appender hands in into what the log can take: names checked, JSON serialised. */
export class EventEncoding {
  readonly #types = new Map<string, Uint8Array>()
  // Appends of one type come in runs.
  #lastType = ''
  #lastBytes: Uint8Array = new Uint8Array(0)

  /** @throws InvalidArgumentError */
  encode(event: NewEvent): EncodableEvent {
    const eventType = this.encodeType(event)
    const data = encodePayload(event.data, 'data')
    const metadata = encodeMetadata(event)
    return {
      eventType,
      data,
      dataSize: payloadSize(data),
      metadata,
      metadataSize: metadata === undefined ? 0 : payloadSize(metadata),
      suppliedId: encodeId(event),
    }
  }

  /** @throws InvalidArgumentError */
  encodeType(event: NewEvent): Uint8Array {
    if (typeof event !== 'object' || event === null)
      throw new InvalidArgumentError('an event must be an object with type and data')
    const { type } = event
    if (type === this.#lastType && type !== '') return this.#lastBytes
    let bytes = this.#types.get(type)
    if (bytes === undefined) {
      bytes = encodeEventType(type)
      if (this.#types.size >= KEPT_TYPE_COUNT) this.#types.clear()
      this.#types.set(type, bytes)
    }
    this.#lastType = type
    this.#lastBytes = bytes
    return bytes
  }
}

export function encodeMetadata(event: NewEvent): Uint8Array | string | undefined {
  return event.metadata === undefined ? undefined : encodePayload(event.metadata, 'metadata')
}

export function encodeId(event: NewEvent): Uint8Array | undefined {
  return event.id === undefined ? undefined : parseEventId(event.id)
}

/** @returns bytes as they are, anything else as JSON. @throws InvalidArgumentError */
export function encodePayload(payload: unknown, what: string): Uint8Array | string {
  // Of any realm: a test runner has its own.
  if (ArrayBuffer.isView(payload) && isUint8Array(payload)) return payload
  // Such as a proxy of bytes: it has none to be copied, and JSON would store an object of numbers.
  if (payload instanceof Uint8Array)
    throw new InvalidArgumentError(`${what} must be a Uint8Array or a JSON value, got what only has the prototype of one`)
  return jsonTextOf(payload, what)
}
