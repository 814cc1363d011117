import type { JsonValue, NewEvent, RecordedEvent } from 'tailrace'
import { lineId } from './line-id.ts'

/** One event as a line of NDJSON, and back: what `cat` prints, `import` takes. */
export interface LineEvent {
  readonly stream: string
  readonly event: NewEvent
}

/** What an import can do nothing with, because the store decides it anew. Taken, so that the output of `cat` is an input. */
const IGNORED: ReadonlySet<string> = new Set(['revision', 'position', 'created'])
const KNOWN: ReadonlySet<string> = new Set([
  'stream',
  'type',
  'id',
  'data',
  'dataBase64',
  'metadata',
  'metadataBase64',
  ...IGNORED,
])

/** Where a line can have a number that JavaScript reads as infinite; texts in it may look like that, too. */
const MAYBE_BEYOND_NUMBERS = /\d(?:[eE]\+?\d|\d{308})/

/** The line of an event, without its end. JSON payloads stand in it byte for byte as they stand in the store. */
export function formatEventLine(event: RecordedEvent): string {
  const { stream, revision, position, id, type, created, metadata } = event
  const head = JSON.stringify({ stream, revision, position, id, type, created })
  const data =
    event.contentType === 'json' ? `"data":${textOf(event.bytes)}` : `"dataBase64":${JSON.stringify(base64(event.bytes))}`
  let line = `${head.slice(0, -1)},${data}`
  if (metadata instanceof Uint8Array) line += `,"metadataBase64":${JSON.stringify(base64(metadata))}`
  else if (metadata !== undefined) line += `,"metadata":${JSON.stringify(metadata)}`
  return `${line}}`
}

export function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64')
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
}

/** @param text the line without its end. @param number from 1. @throws Error that says what is wrong with the line. */
export function parseEventLine(text: string, number: number): LineEvent {
  const value: unknown = JSON.parse(text)
  refuseInfinity(text, value)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw new Error('not a JSON object')
  const fields = value as Record<string, unknown>
  for (const name of Object.keys(fields)) if (!KNOWN.has(name)) throw new Error(`unknown field '${name}'`)
  const { stream, type, id } = fields
  if (typeof stream !== 'string') throw new Error(stream === undefined ? 'no stream' : 'stream is not a string')
  if (typeof type !== 'string') throw new Error(type === undefined ? 'no type' : 'type is not a string')
  if (id !== undefined && typeof id !== 'string') throw new Error('id is not a string')
  const data = payload(fields, 'data', 'dataBase64')
  if (data === undefined) throw new Error('neither data nor dataBase64')
  const metadata = payload(fields, 'metadata', 'metadataBase64')
  return { stream, event: { type, data, metadata, id: id ?? lineId(text, number) } }
}

/** @param values what the line says. @throws Error when there is an infinite number in them: it would be stored as null. */
export function refuseInfinity(text: string, values: unknown): void {
  if (MAYBE_BEYOND_NUMBERS.test(text)) refuseInfinityIn(values)
}

function refuseInfinityIn(value: unknown): void {
  if (typeof value === 'number' && !Number.isFinite(value)) throw new Error('a number that is too large for JavaScript')
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return
  for (const part of Object.values(value)) refuseInfinityIn(part)
}

function payload(fields: Record<string, unknown>, json: string, binary: string): Uint8Array | JsonValue | undefined {
  const encoded = fields[binary]
  if (encoded === undefined) return fields[json] as JsonValue | undefined
  if (fields[json] !== undefined) throw new Error(`both ${json} and ${binary}`)
  const bytes = typeof encoded === 'string' ? Buffer.from(encoded, 'base64') : null
  // What is no base64 is passed over by the decoder, and then bytes are missing.
  if (bytes === null || bytes.length !== decodedSize(encoded as string)) throw new Error(`${binary} is not base64`)
  return new Uint8Array(bytes)
}

function decodedSize(text: string): number {
  const padding = text.endsWith('==') ? 2 : text.endsWith('=') ? 1 : 0
  return text.length % 4 === 0 ? (text.length / 4) * 3 - padding : -1
}
