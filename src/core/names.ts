import { InvalidArgumentError } from './errors.ts'
import { shown } from './json-text.ts'
import { MAX_EVENT_TYPE_SIZE, MAX_STREAM_NAME_SIZE } from './limits.ts'

const CONTROL_CHARACTER = /[\u0000-\u001f\u007f-\u009f]/
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

/** @returns the name as UTF-8. @throws InvalidArgumentError unless 1 to 1,024 bytes of well-formed text without control characters. */
export function encodeStreamName(name: unknown): Uint8Array {
  return encodeStreamNameInto(name, undefined)
}

/** The same. @param spare memory that nobody uses any more, as long as the name; the answer may stand in it. */
export function encodeStreamNameInto(name: unknown, spare: Uint8Array | undefined): Uint8Array {
  // The stream that describes another has its name behind two dollars.
  const room = typeof name === 'string' && name.startsWith('$$') ? 2 : 0
  return encodeName(name, 'stream name', MAX_STREAM_NAME_SIZE + room, spare)
}

/** @returns the type as UTF-8. @throws InvalidArgumentError unless 1 to 255 bytes of well-formed text without control characters. */
export function encodeEventType(type: unknown): Uint8Array {
  return encodeName(type, 'event type', MAX_EVENT_TYPE_SIZE)
}

/** Streams that the store keeps for itself begin with `$`. */
export function isSystemStream(name: string): boolean {
  return name.charCodeAt(0) === 0x24
}

function encodeName(name: unknown, what: string, maxSize: number, spare?: Uint8Array): Uint8Array {
  if (typeof name !== 'string')
    throw new InvalidArgumentError(`${what} must be a string, got ${name === null ? 'null' : typeof name}`)
  if (name.length === 0) throw new InvalidArgumentError(`${what} must not be empty`)
  const plain = name.length <= maxSize ? encodePlain(name, spare) : null
  if (plain !== null) return plain
  if (name.length > maxSize || Buffer.byteLength(name) > maxSize) {
    throw new InvalidArgumentError(`${what} is longer than ${maxSize} bytes`)
  }
  if (CONTROL_CHARACTER.test(name)) throw new InvalidArgumentError(`${what} has a control character: ${shown(name)}`)
  if (LONE_SURROGATE.test(name)) throw new InvalidArgumentError(`${what} is not well-formed UTF-16: ${shown(name)}`)
  // Its own allocation: a slice of the shared pool would pin 8 KiB for each name that is kept.
  return new Uint8Array(Buffer.from(name, 'utf8'))
}

/** Names are mostly printable ASCII: one pass checks and encodes them. Null for any other. */
function encodePlain(name: string, spare?: Uint8Array): Uint8Array | null {
  const bytes = spare ?? new Uint8Array(name.length)
  for (let i = 0; i < bytes.length; i++) {
    const code = name.charCodeAt(i)
    if (code < 0x20 || code > 0x7e) return null
    bytes[i] = code
  }
  return bytes
}
