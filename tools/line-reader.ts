import { isUtf8 } from 'node:buffer'
import type { Readable } from 'node:stream'

/** The largest event, 16 MiB, in base64, and the fields around it. */
export const MAX_LINE_SIZE = 24 * 1024 * 1024

const NEWLINE = 10
const CARRIAGE_RETURN = 13
/** Some editors begin a file with it. */
const BYTE_ORDER_MARK = Buffer.from('\ufeff')

export interface Line {
  /** From 1. */
  readonly number: number
  /** Without its end; null when the line can't be read. */
  readonly text: string | null
  /** Why there is no text. */
  readonly problem: string
  /** Bytes of the input up to the end of this line. */
  readonly end: number
}

/**
 * The lines of a stream of any length, a batch for each piece that comes in; empty ones are left out, but counted. No more
 * than one line is kept at a time. One that is too long is told of while it lasts: it may have no end.
 */
export async function* readLines(input: Readable): AsyncIterable<readonly Line[]> {
  let number = 0
  let position = 0
  let pieces: Buffer[] = []
  let pendingSize = 0
  let isTooLong = false
  for await (const chunk of input as AsyncIterable<Buffer | string>) {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk
    const lines: Line[] = []
    let start = 0
    for (let newline = bytes.indexOf(NEWLINE); newline !== -1; newline = bytes.indexOf(NEWLINE, start)) {
      const last = bytes.subarray(start, newline)
      const whole = pieces.length === 0 ? last : Buffer.concat([...pieces, last])
      pieces = []
      pendingSize = 0
      start = newline + 1
      number++
      if (!isTooLong) pushLine(lines, whole, number, position + start)
      isTooLong = false
    }
    const rest = bytes.subarray(start)
    position += bytes.length
    pendingSize += rest.length
    if (pendingSize > MAX_LINE_SIZE) {
      if (!isTooLong) lines.push(tooLong(number + 1, position))
      isTooLong = true
      pieces = []
    } else if (rest.length > 0) {
      // A copy: the stream may use its buffer again.
      pieces.push(Buffer.from(rest))
    }
    if (lines.length > 0) yield lines
  }
  const lines: Line[] = []
  if (pieces.length > 0) pushLine(lines, Buffer.concat(pieces), number + 1, position)
  if (lines.length > 0) yield lines
}

function pushLine(lines: Line[], bytes: Buffer, number: number, end: number): void {
  const size = bytes.at(-1) === CARRIAGE_RETURN ? bytes.length - 1 : bytes.length
  const start = number === 1 && bytes.indexOf(BYTE_ORDER_MARK) === 0 ? BYTE_ORDER_MARK.length : 0
  const line = bytes.subarray(start, size)
  if (isBlank(line)) return
  if (line.length > MAX_LINE_SIZE) lines.push(tooLong(number, end))
  else if (!isUtf8(line)) lines.push({ number, text: null, problem: 'not UTF-8', end })
  else lines.push({ number, text: line.toString('utf8'), problem: '', end })
}

function tooLong(number: number, end: number): Line {
  return { number, text: null, problem: `longer than ${MAX_LINE_SIZE} bytes`, end }
}

function isBlank(line: Buffer): boolean {
  for (const byte of line) if (byte !== 32 && byte !== 9) return false
  return true
}
