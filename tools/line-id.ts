import { createHash } from 'node:crypto'
import { formatEventId } from '#engine/core/event-id.ts'

/** RFC 9562: the namespace of the ids that lines without one get, a UUID of its own. */
const LINE_NAMESPACE = Buffer.from('8b0f6a4e5c1d4d0b9a3e7f21c6d48e90', 'hex')

/** The UUIDv5 of a line's number and text: the same line of the same file gets the same id in every import. */
export function lineId(text: string, number: number): string {
  const hash = createHash('sha1').update(LINE_NAMESPACE).update(`${number}\n`).update(text).digest()
  hash[6] = (hash[6]! & 0x0f) | 0x50
  hash[8] = (hash[8]! & 0x3f) | 0x80
  return formatEventId(hash)
}
