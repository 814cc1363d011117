import { isUtf8 } from 'node:buffer'
import type { JsonValue, NewEvent, RecordedEvent } from '../index.ts'

/**
 * One event as one line of text, and back: `time type data`, and behind tabs what else the event has. docs/journals.md has the
 * table of escapes; what stands here and what stands there must be the same.
 */

/** What a line says of an event. */
export interface JournalRow {
  readonly createdMs: number
  readonly event: NewEvent
}

/** What ends a line, or an output, somewhere: control characters (C0 and C1), LINE SEPARATOR, PARAGRAPH SEPARATOR. */
const BREAKING = /[\u0000-\u001f\u0080-\u009f\u2028\u2029]/
const ALL_BREAKING = /[\u0000-\u001f\u0080-\u009f\u2028\u2029]/g
/** Bytes with one of these are no text: they are written in base64. */
const NOT_IN_TEXT = /[\u0001-\u0008\u000b\u000c\u000e-\u001f]/

const TEXT = 'text:'
const BASE64 = 'base64:'
const ID = 'id='
const METADATA = 'metadata='

const SHORT_ESCAPES: Readonly<Record<string, string>> = {
  '\\': '\\\\',
  '\0': '\\0',
  '\t': '\\t',
  '\n': '\\n',
  '\r': '\\r',
  ' ': '\\s',
}
const LONG_NAMES: ReadonlyMap<string, string> = new Map(Object.entries(SHORT_ESCAPES).map(([plain, short]) => [short[1]!, plain]))

/** The line of an event, with its end. */
export function formatRow(event: RecordedEvent): string {
  const { type, created, id, metadata } = event
  const data = event.contentType === 'json' ? jsonOnOneLine(textOf(event.bytes)) : formatBytes(event.bytes)
  const head = `${formatTime(created)} ${escapeType(type)} ${data}\t${ID}${id}`
  return metadata === undefined ? `${head}\n` : `${head}\t${METADATA}${formatPayload(metadata)}\n`
}

/** Data or metadata on one line, without a tab. */
export function formatPayload(payload: unknown): string {
  return payload instanceof Uint8Array ? formatBytes(payload) : jsonOnOneLine(JSON.stringify(payload))
}

/** The time of an event as everstore writes it: ISO 8601 in UTC, to the millisecond, without the Z. */
export function formatTime(created: Date): string {
  return created.toISOString().slice(0, -1)
}

/** @param line without its end. @throws Error that says what is wrong with it. */
export function parseRow(line: string): JournalRow {
  const [row, ...fields] = line.split('\t') as [string, ...string[]]
  const typeStart = row.indexOf(' ') + 1
  const dataStart = row.indexOf(' ', typeStart) + 1
  if (typeStart === 0 || dataStart === 0) throw new Error("not 'time type data'")
  const createdMs = parseTime(row.slice(0, typeStart - 1))
  const type = unescaped(row.slice(typeStart, dataStart - 1))
  const data = parsePayload(row.slice(dataStart), 'data')
  let id: string | undefined
  let metadata: Uint8Array | JsonValue | undefined
  for (const field of fields) {
    if (id === undefined && field.startsWith(ID)) id = field.slice(ID.length)
    else if (metadata === undefined && field.startsWith(METADATA))
      metadata = parsePayload(field.slice(METADATA.length), 'metadata')
    else throw new Error(`a field that is not known, or stands there twice: '${field.slice(0, 40)}'`)
  }
  return { createdMs, event: { type, data, metadata, id } }
}

/** JSON allows control characters between its tokens, where a space does as well, and within strings only what has an escape. */
function jsonOnOneLine(json: string): string {
  return BREAKING.test(json) ? json.replace(/[\t\n\r]/g, ' ').replace(ALL_BREAKING, unicodeEscape) : json
}

function formatBytes(bytes: Uint8Array): string {
  if (isUtf8(bytes)) {
    const text = textOf(bytes)
    if (!NOT_IN_TEXT.test(text)) return TEXT + escapeText(text)
  }
  return BASE64 + asBuffer(bytes).toString('base64')
}

function escapeText(text: string): string {
  return text.replace(/[\\\u0000-\u001f\u0080-\u009f\u2028\u2029]/g, escapeCharacter)
}

function escapeType(type: string): string {
  return /[\\ \u0000-\u001f\u0080-\u009f\u2028\u2029]/.test(type)
    ? type.replace(/[\\ \u0000-\u001f\u0080-\u009f\u2028\u2029]/g, escapeCharacter)
    : type
}

function escapeCharacter(character: string): string {
  return SHORT_ESCAPES[character] ?? unicodeEscape(character)
}

function unicodeEscape(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function unescaped(text: string): string {
  return text.replace(/\\(?:u([0-9a-f]{4})|(.?))/gs, (sequence: string, hex: string | undefined, short: string | undefined) => {
    const code = hex === undefined ? Number.NaN : Number.parseInt(hex, 16)
    if (code < 0xd800 || code > 0xdfff) return String.fromCharCode(code)
    const plain = short === undefined ? undefined : LONG_NAMES.get(short)
    if (plain === undefined) throw new Error(`'${sequence}' is no escape`)
    return plain
  })
}

function parsePayload(text: string, what: string): Uint8Array | JsonValue {
  if (text.startsWith(TEXT)) return new Uint8Array(Buffer.from(unescaped(text.slice(TEXT.length)), 'utf8'))
  if (text.startsWith(BASE64)) {
    const bytes = Buffer.from(text.slice(BASE64.length), 'base64')
    // What is no base64 is passed over by the decoder, and then bytes are missing.
    if (bytes.toString('base64') !== text.slice(BASE64.length)) throw new Error(`${what} is not base64`)
    return new Uint8Array(bytes)
  }
  try {
    return JSON.parse(text) as JsonValue
  } catch {
    throw new Error(`${what} is neither JSON nor ${TEXT} nor ${BASE64}: '${text.slice(0, 40)}'`)
  }
}

function parseTime(text: string): number {
  const ms = Date.parse(`${text}Z`)
  if (Number.isNaN(ms) || formatTime(new Date(ms)) !== text) throw new Error(`not a time: '${text.slice(0, 40)}'`)
  return ms
}

function textOf(bytes: Uint8Array): string {
  return asBuffer(bytes).toString('utf8')
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}
