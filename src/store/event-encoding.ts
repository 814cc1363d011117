import { InvalidArgumentError } from '../core/errors.ts'
import { parseEventId } from '../core/event-id.ts'
import type { NewEvent } from '../core/events.ts'
import { encodeEventType } from '../core/names.ts'
import type { EncodableEvent } from '../format/log-record.ts'

/** Encoded types that are kept; beyond, all are forgotten: a store with so many types gains nothing from keeping them. */
const KEPT_TYPE_COUNT = 4096

/** Turns what the appender hands in into what the log can take: names checked, JSON serialised, sizes known. */
export class EventEncoding {
  readonly #types = new Map<string, Uint8Array>()

  /** @throws InvalidArgumentError */
  encode(event: NewEvent): EncodableEvent {
    if (typeof event !== 'object' || event === null)
      throw new InvalidArgumentError('an event must be an object with type and data')
    const eventType = this.#types.get(event.type) ?? this.#encodeType(event.type)
    const data = encodePayload(event.data, 'data')
    const metadata = event.metadata === undefined ? undefined : encodePayload(event.metadata, 'metadata')
    return {
      eventType,
      data,
      dataSize: payloadSize(data),
      metadata,
      metadataSize: metadata === undefined ? 0 : payloadSize(metadata),
      suppliedId: event.id === undefined ? undefined : parseEventId(event.id),
    }
  }

  #encodeType(type: unknown): Uint8Array {
    const bytes = encodeEventType(type)
    if (this.#types.size >= KEPT_TYPE_COUNT) this.#types.clear()
    this.#types.set(type as string, bytes)
    return bytes
  }
}

function encodePayload(payload: unknown, what: string): Uint8Array | string {
  if (payload instanceof Uint8Array) return payload
  let json: string | undefined
  try {
    json = JSON.stringify(payload)
  } catch (cause) {
    throw new InvalidArgumentError(`${what} is not a JSON value: ${String(cause)}`, { cause })
  }
  if (json === undefined) throw new InvalidArgumentError(`${what} must be a Uint8Array or a JSON value, got ${typeof payload}`)
  return json
}

function payloadSize(payload: Uint8Array | string): number {
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length
}
