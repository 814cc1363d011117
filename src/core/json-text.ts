import { InvalidArgumentError } from './errors.ts'

/** What has no enumerable fields, but is not empty. */
const FIELDLESS_KINDS: ReadonlySet<string> = new Set([
  ...['Map', 'Set', 'WeakMap', 'WeakSet', 'WeakRef', 'Promise', 'Error', 'RegExp'],
  ...['ArrayBuffer', 'SharedArrayBuffer', 'Generator', 'AsyncGenerator'],
])

/**
 * A value as JSON, unless JSON has no form for it, or one that says nothing of it: a Map or a promise that was not awaited becomes {},
 * NaN becomes null, without a word. What is inside the value is taken as JSON takes it.
 * @param what it is, for the error.
 * @throws InvalidArgumentError
 */
export function jsonTextOf(value: unknown, what: string): string {
  let text: string | undefined
  try {
    text = JSON.stringify(value)
  } catch (cause) {
    // What is behind the first line is a drawing of the circle.
    throw new InvalidArgumentError(`${what} is not a JSON value: ${String(cause).split('\n', 1)[0]}`, { cause })
  }
  if (text === undefined || isLostIn(text, value))
    throw new InvalidArgumentError(`${what} must be a Uint8Array or a JSON value, got ${kindOf(value)}`)
  return text
}

/** A value of the caller's as an error shows it: whatever it is, the message can be made. */
export function shown(value: unknown): string {
  if (typeof value === 'bigint') return `${value}n`
  try {
    return jsonTextOf(value, 'it')
  } catch {
    return kindOf(value)
  }
}

function isLostIn(text: string, value: unknown): boolean {
  if (text === 'null') return typeof value === 'number' || value instanceof Date
  if (typeof value !== 'object' || typeof (value as { toJSON?: unknown } | null)?.toJSON === 'function') return false
  return ArrayBuffer.isView(value) || (text === '{}' && FIELDLESS_KINDS.has(kindOf(value)))
}

function kindOf(value: unknown): string {
  if (typeof value === 'number' || value instanceof Date) return String(value)
  return typeof value === 'object' ? Object.prototype.toString.call(value).slice('[object '.length, -1) : typeof value
}
