import { fstatSync } from 'node:fs'
import { open } from 'node:fs/promises'
import type { Readable } from 'node:stream'
import { EventStore } from 'tailrace'
import { systemClock } from '#engine/core/clock.ts'
import { systemErrorCode } from '#engine/core/errors.ts'
import { AppendsInFlight } from './appends-in-flight.ts'
import { type Command, checkCount, ExitStatus, parseArguments, UsageError, wholeNumber } from './arguments.ts'
import { type LineEvent, parseEventLine } from './event-line.ts'
import { type Line, readLines } from './line-reader.ts'
import { complain, count, printResult, type Terminal } from './output.ts'
import { Progress } from './progress.ts'
import { statsOf } from './survey/store-survey.ts'
import { verboseLogger } from './verbose-logger.ts'

/** Beside its line, what an append takes in the log. */
const APPEND_OVERHEAD = 64

export const importCommand: Command = {
  name: 'import',
  summary: 'append events from NDJSON',
  help: `Usage: tailrace import <store> <file.ndjson | -> [options]

Appends one event a line, in the order of the lines. A line is a JSON object with stream, type, data (any
JSON) or dataBase64, and if you like metadata or metadataBase64, and id (a UUID). A line without id gets
one made of its number and text. A line whose id its stream has among the last 262,144 ids of the store is
passed over: that far, another import of the same file changes nothing. revision, position and created, as
cat prints them, are passed over. Lines may have up to 24 MiB and end with LF or CRLF; empty lines are
skipped. Makes the store if there is none.

At a bad line the import ends: every line before it is in the store, none behind it is. Where it is the store
that refuses a line (its stream is deleted for good, the disk is full), some of those behind it are: they
were under way. They are passed over when the import goes on.

  --from-line <n>   begin with this line; 1 is the first
  --json            the result as a JSON object
  --verbose         the log of the engine on stderr
  --help            this text

Exit status: 0 all lines are in the store, 1 a line could not be imported, 2 wrong usage or no access,
130 interrupted; after 1 and 130 it says how to go on.

Examples:
  tailrace import ./data events.ndjson
  tailrace import ./data events.ndjson --from-line 10001
  zcat events.ndjson.gz | tailrace import ./data -
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      'from-line': { type: 'string' },
      json: { type: 'boolean' },
      verbose: { type: 'boolean' },
    })
    checkCount(positionals, ['store', 'file.ndjson | -'])
    const [directory, file] = positionals as [string, string]
    const fromLine = wholeNumber(values['from-line'], 'from-line', 1, 1)
    // Before the store is made: a wrong name must not leave an empty store behind.
    const { input, size } = file === '-' ? openStdin(terminal.stdin) : await openFile(file)
    let result: ImportResult
    try {
      const store = await EventStore.open(directory, { logger: verboseLogger(values.verbose, terminal) })
      try {
        result = await new LineImport(store, terminal, new Progress(terminal.stderr, size)).run(input, fromLine)
      } finally {
        await store.close()
      }
    } finally {
      input.destroy()
    }
    if (result.error !== null) {
      await complain(terminal, `tailrace import: line ${result.error.line}: ${result.error.message}`)
    }
    await printResult(terminal, values.json, { store: directory, ...result }, resultLines(directory, result))
    if (result.error !== null) return ExitStatus.damage
    return result.interrupted ? ExitStatus.interrupted : ExitStatus.fine
  },
}

interface ImportResult {
  /** Events that are in the store now and were not before. */
  readonly imported: number
  /** Lines whose id the stream had already, from another import or from a line before. */
  readonly skipped: number
  readonly fromLine: number
  /** Every line from `fromLine` to before this one is in the store. */
  readonly nextLine: number
  readonly interrupted: boolean
  readonly error: { readonly line: number; readonly message: string } | null
  readonly ms: number
}

interface Input {
  readonly input: Readable
  /** Null when nobody knows. */
  readonly size: number | null
}

/** Node takes a directory for an input that ends at once. */
function openStdin(stdin: Readable & { readonly fd?: number }): Input {
  if (stdin.fd !== undefined && fstatSync(stdin.fd).isDirectory()) throw new UsageError('the standard input is a directory')
  return { input: stdin, size: null }
}

async function openFile(file: string): Promise<Input> {
  const stats = await statsOf(file)
  if (stats.isDirectory()) throw new UsageError(`${file} is a directory`)
  // A stream that opens the file by itself would tell later that it can't be read.
  const handle = await open(file)
  return { input: handle.createReadStream({ highWaterMark: 1 << 20 }), size: stats.size }
}

/** One import. */
class LineImport {
  readonly #appends: AppendsInFlight
  readonly #terminal: Terminal
  readonly #progress: Progress
  #fromLine = 1
  /** Behind the last line that was taken or passed over. */
  #nextLine = 1
  #badLine: { readonly line: number; readonly message: string } | null = null

  constructor(store: EventStore, terminal: Terminal, progress: Progress) {
    this.#appends = new AppendsInFlight(store)
    this.#terminal = terminal
    this.#progress = progress
  }

  async run(input: Readable, fromLine: number): Promise<ImportResult> {
    const startedMs = systemClock.monotonic()
    this.#fromLine = fromLine
    this.#nextLine = fromLine
    const { signal } = this.#terminal
    // Reading ends at once, also while nothing comes in.
    const stop = (): void => {
      input.destroy()
    }
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    try {
      await this.#readAll(input)
    } catch (error) {
      if (!signal.aborted) {
        if (systemErrorCode(error) === null) throw error
        this.#badLine ??= { line: this.#nextLine, message: messageOf(error) }
      }
    } finally {
      signal.removeEventListener('abort', stop)
      await this.#appends.settled()
      this.#progress.clear()
    }
    const { failure, appendedCount, repeatedCount } = this.#appends
    const error = failure === null ? this.#badLine : { line: failure.number, message: messageOf(failure.error) }
    return {
      imported: appendedCount,
      skipped: repeatedCount,
      fromLine,
      nextLine: error?.line ?? this.#nextLine,
      interrupted: signal.aborted,
      error,
      ms: Math.round(systemClock.monotonic() - startedMs),
    }
  }

  async #readAll(input: Readable): Promise<void> {
    for await (const lines of readLines(input)) {
      for (const line of lines) {
        if (line.number < this.#fromLine) continue
        if (this.#terminal.signal.aborted) return
        const parsedLine = this.#parse(line)
        if (parsedLine === null) return
        const size = line.text!.length + APPEND_OVERHEAD
        await this.#appends.submit(parsedLine.stream, parsedLine.event, size, line.number)
        if (this.#appends.failure !== null) return
        this.#nextLine = line.number + 1
        this.#progress.update(line.end, () => `line ${line.number}, ${count(this.#appends.appendedCount, 'event')} imported`)
      }
    }
  }

  #parse(line: Line): LineEvent | null {
    try {
      if (line.text === null) throw new Error(line.problem)
      return parseEventLine(line.text, line.number)
    } catch (error) {
      this.#badLine = { line: line.number, message: messageOf(error) }
      return null
    }
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}

function* resultLines(directory: string, result: ImportResult): Iterable<string> {
  const { imported, skipped, nextLine, interrupted, error, ms } = result
  const done = `${count(imported, 'event')} imported into ${directory} in ${(ms / 1000).toFixed(1)} s`
  const isWhole = error === null && !interrupted
  yield isWhole
    ? done
    : `${interrupted ? 'interrupted; ' : ''}${done}; go on with --from-line ${nextLine}: the lines before it are in the store`
  if (skipped > 0) yield `${count(skipped, 'line')} passed over: the stream had an event with that id already`
}
