import type { EventStore } from 'tailrace'
import { type Command, checkCount, ExitStatus, parseArguments } from './arguments.ts'
import { printable, type Terminal } from './output.ts'
import { printLines, readStore } from './reading.ts'

export const streams: Command = {
  name: 'streams',
  summary: 'list the streams of a store',
  help: `Usage: tailrace streams <store> [options]

Lists every stream that has something to read, one a line: first revision, last revision, name. They come in
no order that means anything; deleted ones and the store's own ($...) are left out. Takes no lock; the store
may be in use. Memory does not grow with the number of streams.

  --prefix <text>   only streams whose names begin so
  --json            NDJSON: stream, firstRevision, lastRevision
  --verbose         the log of the engine on stderr
  --help            this text

Exit status: 0 done, 1 the store is damaged, 2 there is no such store.

Examples:
  tailrace streams ./data
  tailrace streams ./data --prefix order- | wc -l
  tailrace streams ./data | sort -k 2 -n -r | head
  tailrace streams ./data --json | jq -r 'select(.lastRevision > 100).stream'
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      prefix: { type: 'string' },
      json: { type: 'boolean' },
      verbose: { type: 'boolean' },
    })
    checkCount(positionals, ['store'])
    const { signal } = terminal
    await readStore(positionals[0]!, values.verbose, terminal, async store => {
      signal.throwIfAborted()
      // A list takes no signal, and may go through millions of streams before it comes by one that is to be shown.
      signal.addEventListener('abort', () => store.close(), { once: true })
      await printLines(streamLines(store, values.prefix, values.json === true), terminal)
    })
    return ExitStatus.fine
  },
}

async function* streamLines(store: EventStore, prefix: string | undefined, isJson: boolean): AsyncIterable<string> {
  for await (const summary of store.streams({ prefix })) {
    const { stream, firstRevision, lastRevision } = summary
    yield isJson ? JSON.stringify(summary) : printable(`${firstRevision} ${lastRevision} ${stream}`)
  }
}
