import type { EventFilter } from 'tailrace'
import { type Command, checkCount, ExitStatus, parseArguments, UsageError, wholeNumber } from './arguments.ts'
import { formatEventLine } from './event-line.ts'
import { formatEventText } from './event-text.ts'
import { keepAlive } from './keep-alive.ts'
import type { Terminal } from './output.ts'
import { printEvents, readStore } from './reading.ts'

export const tail: Command = {
  name: 'tail',
  summary: 'follow a store that is being written, live',
  help: `Usage: tailrace tail <store> [options]

Prints events as they become durable, until Ctrl-C: one a line, with position, time, stream@revision, type
and data. Takes no lock; another process may write the store, be killed and come back. Shows what
the writer's flushed hint covers or what a record proves, nothing else.

  --stream <name>      only this stream; it need not exist yet
  --filter <is=text>   only events that fit; is can be stream, stream-prefix, type or type-prefix. Given several
                       times, one that is said of the stream must fit, and one that is said of the type
  --from <where>       start, end (what comes from now on; so it is without --from), or a number: of a stream
                       the first revision, of the whole store the first position
  --include-system     streams of the store's own, too ($...)
  --json               NDJSON, as cat prints it: with ids and metadata
  --verbose            the log of the engine on stderr
  --help               this text

Exit status: 0 ended by Ctrl-C, SIGTERM or by its reader, 1 the store is damaged, 2 there is no such store.

Examples:
  tailrace tail ./data
  tailrace tail ./data --stream order-42 --from start
  tailrace tail ./data --filter stream-prefix=order- --filter type=Placed --filter type=Paid
  tailrace tail ./data --from start --json | jq .data
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      stream: { type: 'string' },
      filter: { type: 'string', multiple: true },
      from: { type: 'string' },
      'include-system': { type: 'boolean' },
      json: { type: 'boolean' },
      verbose: { type: 'boolean' },
    })
    checkCount(positionals, ['store'])
    const directory = positionals[0]!
    const options = {
      stream: values.stream,
      from: startOf(values.from),
      filter: filterOf(values.filter ?? []),
      includeSystem: values['include-system'] === true,
      signal: terminal.signal,
    }
    const format = values.json === true ? formatEventLine : formatEventText
    const letEnd = keepAlive()
    try {
      await readStore(directory, values.verbose, terminal, store =>
        printEvents(store.subscribe(options).batches(), format, terminal, true),
      )
    } catch (error) {
      // To be ended is how it ends.
      if (!terminal.signal.aborted) throw error
    } finally {
      letEnd()
    }
    return ExitStatus.fine
  },
}

function startOf(text: string | undefined): number | 'start' | 'end' {
  if (text === undefined || text === 'end') return 'end'
  return text === 'start' ? 'start' : wholeNumber(text, 'from', 0)
}

function filterOf(conditions: readonly string[]): EventFilter | undefined {
  if (conditions.length === 0) return undefined
  const texts = new Map<string, string[]>()
  for (const condition of conditions) {
    const [, is, text] = /^(stream|stream-prefix|type|type-prefix)=(.+)$/s.exec(condition) ?? []
    if (is === undefined || text === undefined) {
      throw new UsageError(`--filter must be stream=, stream-prefix=, type= or type-prefix= and a text, got '${condition}'`)
    }
    texts.set(is, [...(texts.get(is) ?? []), text])
  }
  return {
    streams: texts.get('stream'),
    streamPrefix: onlyOne(texts.get('stream-prefix'), 'stream-prefix'),
    types: texts.get('type'),
    typePrefix: onlyOne(texts.get('type-prefix'), 'type-prefix'),
  }
}

function onlyOne(texts: readonly string[] | undefined, is: string): string | undefined {
  if (texts !== undefined && texts.length > 1) throw new UsageError(`--filter ${is}= can be given once`)
  return texts?.[0]
}
