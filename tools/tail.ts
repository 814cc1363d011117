import { parseArgs } from 'node:util'
import { EventStore, type RecordedEvent } from 'tailrace'
import { type EventFilter, followLog } from '#engine/journals/follow-log.ts'
import { formatPayload, formatTime } from '#engine/journals/journal-row.ts'
import { type Command, checkCount, ExitStatus, parsed, UsageError, wholeNumber } from './arguments.ts'
import { formatEventLine } from './event-line.ts'
import { keepAlive } from './keep-alive.ts'
import { Output, printable, type Terminal } from './output.ts'
import { pathKind } from './survey/store-survey.ts'
import { verboseLogger } from './verbose-logger.ts'

export const tail: Command = {
  name: 'tail',
  summary: 'follow a store that is being written, live',
  help: `Usage: tailrace tail <store> [options]

Prints events as they become durable, until Ctrl-C: one a line, with position, time, stream@revision, type
and data. Takes no lock; another process may write the store, be killed and come back. Shows what
the writer's flushed hint covers or what a record proves, nothing else.

  --stream <name>      only this stream; it need not exist yet
  --filter <is=text>   only events that fit; is can be stream, stream-prefix, type or type-prefix. Given several
                       times, an event must fit one of the streams, one of the types, and the prefixes (one each)
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
    const { values, positionals } = parsed(() =>
      parseArgs({
        args: [...argv],
        options: {
          stream: { type: 'string' },
          filter: { type: 'string', multiple: true },
          from: { type: 'string' },
          'include-system': { type: 'boolean' },
          json: { type: 'boolean' },
          verbose: { type: 'boolean' },
        },
        allowPositionals: true,
      }),
    )
    checkCount(positionals, ['store'])
    const directory = positionals[0]!
    const options = {
      stream: values.stream,
      from: startOf(values.from),
      filter: filterOf(values.filter ?? []),
      includeSystem: values['include-system'] === true,
      signal: terminal.signal,
    }
    const format = values.json === true ? formatEventLine : formatTailLine
    await pathKind(directory)
    const store = await EventStore.open(directory, { readOnly: true, logger: verboseLogger(values.verbose, terminal) })
    const letEnd = keepAlive()
    try {
      await printAll(followLog(store, options), format, new Output(terminal.stdout))
    } catch (error) {
      // To be ended is how it ends.
      if (!terminal.signal.aborted) throw error
    } finally {
      letEnd()
      await store.close()
    }
    return ExitStatus.fine
  },
}

/** Each batch is handed over at once: somebody is watching. */
async function printAll(
  batches: AsyncIterable<readonly RecordedEvent[]>,
  format: (event: RecordedEvent) => string,
  output: Output,
): Promise<void> {
  for await (const batch of batches) {
    for (const event of batch) {
      output.line(format(event))
      if (output.isFull) await output.flush()
    }
    await output.flush()
  }
}

function formatTailLine(event: RecordedEvent): string {
  const { position, created, stream, revision, type } = event
  const data = event.contentType === 'json' ? event.data : event.bytes
  return printable(`${position} ${formatTime(created)} ${stream}@${revision} ${type} ${formatPayload(data)}`)
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
