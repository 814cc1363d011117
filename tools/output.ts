import type { Readable, Writable } from 'node:stream'

/** What a subcommand talks to; the process in the bin, streams of their own in tests. */
export interface Terminal {
  readonly stdin: Readable
  /** Results. */
  readonly stdout: Writable
  /** Progress and errors. */
  readonly stderr: Writable
  /** Aborted by Ctrl-C and SIGTERM. */
  readonly signal: AbortSignal
}

const FLUSH_SIZE = 64 * 1024

/** Whoever reads the output has seen enough: `tailrace cat | head`. No error, but a reason to stop. */
export class OutputClosedError extends Error {}

/** Lines for one stream, gathered so that a long output costs few writes, and never faster than the reader takes them. */
export class Output {
  readonly #stream: Writable
  #text: string[] = []
  #size = 0
  #isClosed = false
  #error: Error | null = null

  constructor(stream: Writable) {
    this.#stream = stream
    stream.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED') this.#isClosed = true
      else this.#error ??= error
    })
  }

  /** Whether a flush is due. */
  get isFull(): boolean {
    return this.#size >= FLUSH_SIZE
  }

  line(text = ''): void {
    this.#text.push(text, '\n')
    this.#size += text.length + 1
  }

  json(value: unknown): void {
    this.line(JSON.stringify(value))
  }

  /** Hands the lines over; resolves when the stream took them. @throws OutputClosedError */
  async flush(): Promise<void> {
    const text = this.#text.join('')
    this.#text = []
    this.#size = 0
    if (text === '') return
    if (!this.#isClosed) {
      await new Promise<void>(resolve => {
        // An error arrives here before it is emitted.
        this.#stream.write(text, () => setImmediate(resolve))
      })
    }
    if (this.#error !== null) throw this.#error
    if (this.#isClosed) throw new OutputClosedError()
  }

  /** The last flush. That nobody reads any more is no matter: the work is done, and the exit status still says how it went. */
  async end(): Promise<void> {
    await this.flush().catch((error: unknown) => {
      if (!(error instanceof OutputClosedError)) throw error
    })
  }
}

/** Prints the result of a command: for programs as one JSON value, for people in lines. */
export async function printResult(
  terminal: Terminal,
  isJson: boolean | undefined,
  value: unknown,
  lines: Iterable<string>,
): Promise<void> {
  const output = new Output(terminal.stdout)
  if (isJson === true) output.json(value)
  else for (const line of lines) output.line(printable(line))
  await output.end()
}

/** One line on stderr; the result may follow, whether or not the line could be written. */
export async function complain(terminal: Terminal, text: string): Promise<void> {
  const errors = new Output(terminal.stderr)
  errors.line(printable(text))
  await errors.flush().catch(() => {})
}

/** Text without characters that control a terminal, or the direction of what it shows: a damaged or hostile store could send them. */
export function printable(text: string): string {
  return text.replace(
    /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g,
    character => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** `1 event`, `2 events`. */
export function count(number: number, singular: string, plural = `${singular}s`): string {
  return `${number} ${number === 1 ? singular : plural}`
}

/** A size for reading, not for reckoning. */
export function bytesText(size: number): string {
  const units = ['bytes', 'KiB', 'MiB', 'GiB', 'TiB']
  let value = size
  let unit = 0
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024
    unit++
  }
  return unit === 0 ? count(size, 'byte') : `${value.toFixed(1)} ${units[unit]}`
}
