import { type Command, checkCount, ExitStatus, parseArguments } from './arguments.ts'
import { formatEventLine } from './event-line.ts'
import type { Terminal } from './output.ts'
import { printEvents, readOptions, readStore } from './reading.ts'

export const cat: Command = {
  name: 'cat',
  summary: 'print events as NDJSON',
  help: `Usage: tailrace cat <store> [stream] [options]

Prints one event a line as JSON: stream, revision, position, id, type, created, data or dataBase64, and
metadata or metadataBase64 if there is any. Takes no lock; the store may be in use. What cat prints,
import takes: all but revision, position and created comes back the same; of events of a stream that share
an id, the first.

  --from <n>      of a stream: from this revision on; of the whole store: from this position on
  --limit <n>     at most so many events
  --backwards     newest first
  --verbose       the log of the engine on stderr
  --help          this text

Exit status: 0 done, 1 the store is damaged, 2 there is no such store or stream.

Examples:
  tailrace cat ./data | head
  tailrace cat ./data order-42
  tailrace cat ./data order-42 --backwards --limit 1 | jq .data
  tailrace cat ./data | tailrace import ./copy -
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      from: { type: 'string' },
      limit: { type: 'string' },
      backwards: { type: 'boolean' },
      verbose: { type: 'boolean' },
    })
    checkCount(positionals, ['store', 'stream?'])
    const [directory, stream] = positionals as [string, string | undefined]
    const options = readOptions(values, { name: 'limit', value: values.limit }, terminal)
    await readStore(directory, values.verbose, terminal, store => {
      const reading = stream === undefined ? store.readAll(options) : store.readStream(stream, options)
      return printEvents(reading.batches(), formatEventLine, terminal)
    })
    return ExitStatus.fine
  },
}
