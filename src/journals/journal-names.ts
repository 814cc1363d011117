import { createHash } from 'node:crypto'

/** Files of journals end so, and nothing else in their directory does. */
export const JOURNAL_SUFFIX = '.log'
/** Beside a journal whose file name does not tell the stream's name: a file with that name in it. */
export const NAME_SUFFIX = '.name'

/** Longest percent-encoded name that is a file name as it is, in bytes: file systems allow 255. */
const MAX_ENCODED_SIZE = 200
/** What stays of a longer one, in front of the hash. */
const KEPT_SIZE = 120
/** Never left as it is by the encoding, so a hashed name is never that of another stream. */
const HASH_MARK = '~'

const PLAIN = /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/
const HASHED = /^[A-Za-z0-9_.%-]*~[0-9a-f]{64}$/

/** The name of a stream's file, without the suffix. */
export function journalNameOf(stream: string): string {
  const encoded = encodeName(stream)
  if (encoded.length <= MAX_ENCODED_SIZE) return encoded
  const kept = encoded.slice(0, KEPT_SIZE).replace(/%.?$/, '')
  return `${kept}${HASH_MARK}${createHash('sha256').update(stream, 'utf8').digest('hex')}`
}

/** Whether the file name does not tell the stream's. */
export function isHashed(name: string): boolean {
  return HASHED.test(name)
}

/** Percent-encoding: letters, digits and `_ . -` stay, but no `.` and no `-` in front; every other byte becomes %XX. */
export function encodeName(stream: string): string {
  if (PLAIN.test(stream)) return stream
  let encoded = ''
  for (const byte of Buffer.from(stream, 'utf8')) {
    const character = String.fromCharCode(byte)
    const stays = encoded === '' ? /[A-Za-z0-9_]/ : /[A-Za-z0-9_.-]/
    encoded += stays.test(character) ? character : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`
  }
  return encoded
}

/** @returns the name of the stream, or null when `encoded` is not what encodeName makes of any. */
export function decodeName(encoded: string): string | null {
  try {
    const stream = decodeURIComponent(encoded)
    return stream !== '' && encodeName(stream) === encoded ? stream : null
  } catch {
    return null
  }
}
