import { InvalidArgumentError } from './errors.ts'
import { shown } from './json-text.ts'
import type { LogPosition } from './positions.ts'

/** Size of an id on disk, in bytes. */
export const EVENT_ID_SIZE = 16

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

/** @throws InvalidArgumentError when `id` is not a UUID string. */
export function parseEventId(id: unknown): Uint8Array {
  if (typeof id !== 'string' || !UUID.test(id)) throw new InvalidArgumentError(`event id must be a UUID, got ${shown(id)}`)
  return new Uint8Array(Buffer.from(id.replaceAll('-', ''), 'hex'))
}

/** The UUID string of 16 bytes. */
export function formatEventId(bytes: Uint8Array): string {
  const hex = Buffer.from(bytes.buffer, bytes.byteOffset, EVENT_ID_SIZE).toString('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/**
 * The id of an event that was appended without one: the store's id with the position folded into its last 8 bytes, in the
 * form of a version 8 UUID (RFC 9562, custom). Positions are never used twice in a store, so ids are unique; they cost no bytes.
 */
export function deriveEventId(storeId: Uint8Array, position: LogPosition): string {
  const bytes = new Uint8Array(storeId.subarray(0, EVENT_ID_SIZE))
  const view = new DataView(bytes.buffer)
  view.setUint32(8, view.getUint32(8) ^ Math.floor(position / 0x1_0000_0000))
  view.setUint32(12, view.getUint32(12) ^ (position >>> 0))
  bytes[6] = (bytes[6]! & 0x0f) | 0x80
  bytes[8] = (bytes[8]! & 0x3f) | 0x80
  return formatEventId(bytes)
}
