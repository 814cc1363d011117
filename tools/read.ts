import type { RecordedEvent } from 'tailrace'
import { type Command, checkCount, ExitStatus, parseArguments, UsageError, wholeNumber } from './arguments.ts'
import { formatEventLine } from './event-line.ts'
import { formatEventText } from './event-text.ts'
import type { Terminal } from './output.ts'
import { printEvents, printLines, readOptions, readStore } from './reading.ts'

export const read: Command = {
  name: 'read',
  summary: 'show the events of a stream',
  help: `Usage: tailrace read <store> <stream> [options]

Shows what a program that reads the stream gets, one event a line: position, time, stream@revision, type and
data. Takes no lock; the store may be in use. cat prints everything of an event, and the whole store.

  --from <n>      from this revision on; without it the first one, or the last one backwards
  --count <n>     at most so many events
  --backwards     newest first
  --json          NDJSON, as cat prints it: with ids and metadata
  --batch <n>     with --json: arrays of up to so many events, one array a line
  --verbose       the log of the engine on stderr
  --help          this text

Exit status: 0 done, 1 the store is damaged, 2 there is no such store or stream.

Examples:
  tailrace read ./data order-42
  tailrace read ./data order-42 --backwards --count 1
  tailrace read ./data order-42 --from 100 --json | jq .data
  tailrace read ./data order-42 --json --batch 500 | while read -r events; do echo "$events" | jq length; done
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      from: { type: 'string' },
      count: { type: 'string' },
      backwards: { type: 'boolean' },
      json: { type: 'boolean' },
      batch: { type: 'string' },
      verbose: { type: 'boolean' },
    })
    checkCount(positionals, ['store', 'stream'])
    const [directory, stream] = positionals as [string, string]
    const batchCount = values.batch === undefined ? null : wholeNumber(values.batch, 'batch', 1, 1)
    if (batchCount !== null && values.json !== true) throw new UsageError('--batch needs --json')
    const options = readOptions(values, { name: 'count', value: values.count }, terminal)
    await readStore(directory, values.verbose, terminal, store => {
      const batches = store.readStream(stream, options).batches()
      if (batchCount !== null) return printLines(arrayLines(batches, batchCount), terminal)
      return printEvents(batches, values.json === true ? formatEventLine : formatEventText, terminal)
    })
    return ExitStatus.fine
  },
}

/** JSON arrays of `count` events each, but for the last: at the end, or before a damage. */
async function* arrayLines(batches: AsyncIterable<readonly RecordedEvent[]>, count: number): AsyncIterable<string> {
  let lines: string[] = []
  try {
    for await (const batch of batches) {
      for (const event of batch) {
        lines.push(formatEventLine(event))
        if (lines.length < count) continue
        yield `[${lines.join(',')}]`
        lines = []
      }
    }
  } finally {
    if (lines.length > 0) yield `[${lines.join(',')}]`
  }
}
