import type { EventStore } from 'tailrace'
import { type JournalDifference, Journals, type JournalVerificationReport } from 'tailrace/journals'
import { systemClock } from '#engine/core/clock.ts'
import { NodeDisk } from '#engine/disk/node-disk.ts'
import { type Command, checkCount, ExitStatus, parseArguments, UsageError } from './arguments.ts'
import { importJournals } from './journal-import.ts'
import { keepAlive } from './keep-alive.ts'
import { refuseInside } from './new-directory.ts'
import { count, printResult, type Terminal } from './output.ts'
import { Progress } from './progress.ts'
import { readStore } from './reading.ts'
import { pathKind } from './survey/store-survey.ts'

const SHOWN_DIFFERENCES = 100

interface Options {
  readonly follow: boolean
  readonly includeSystem: boolean | undefined
  readonly json: boolean
  readonly verbose: boolean
}

export const journal: Command = {
  name: 'journal',
  summary: 'write a store as text files, one a stream; verify or import such files',
  help: `Usage: tailrace journal <store> <directory> [--follow] [options]
       tailrace journal --verify <store> <directory> [--json]
       tailrace journal --import <directory> <store> [--json]

Writes one text file for each stream into a directory, one event a line: UTC time, type, data, and behind tabs
the id and the metadata. Goes on where the directory ends, and mends first what a crash has left. Takes no
lock on the store; another process may write it. docs/journals.md describes names and lines.

--verify compares the files with the store, line by line, and changes nothing. --import appends the events of
the files to a store, in the order of their times and with them; what an import before has brought is skipped.

  --follow           go on with what comes, until Ctrl-C
  --include-system   streams of the store's own, too ($...); a directory stays as it was begun
  --json             the result as a JSON object
  --verbose          the log of the engine on stderr
  --help             this text

Exit status: 0 done (also: ended by Ctrl-C while it followed), 1 the files and the store differ, a line could not
be imported, or the disk is full, 2 wrong usage or nothing could be done, 130 interrupted before it was done.

Examples:
  tailrace journal ./data ./journals --follow
  grep -h ' Placed ' ./journals/order-*.log | sort | cut -f1
  tailrace journal --verify ./data ./journals
  tailrace journal --import ./journals ./copy
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      follow: { type: 'boolean' },
      verify: { type: 'boolean' },
      import: { type: 'boolean' },
      'include-system': { type: 'boolean' },
      json: { type: 'boolean' },
      verbose: { type: 'boolean' },
    })
    const { follow = false, verify = false, 'include-system': includeSystem, json = false, verbose = false } = values
    if (verify && values.import === true) throw new UsageError('either --verify or --import')
    if ((verify || values.import === true) && (follow || includeSystem === true)) {
      throw new UsageError('--follow and --include-system are for writing')
    }
    const options = { follow, includeSystem, json, verbose }
    if (values.import === true) {
      checkCount(positionals, ['directory', 'store'])
      return importJournals(positionals[0]!, positionals[1]!, options, terminal)
    }
    checkCount(positionals, ['store', 'directory'])
    const [directory, target] = positionals as [string, string]
    return readStore(directory, verbose, terminal, async store => {
      if (verify) return verifyJournals(store, target, options, terminal)
      await refuseInside(new NodeDisk(), directory, target)
      return writeJournals(store, target, options, terminal)
    })
  },
}

async function writeJournals(store: EventStore, directory: string, options: Options, terminal: Terminal): Promise<number> {
  const startedMs = systemClock.monotonic()
  const { signal } = terminal
  const progress = new Progress(terminal.stderr, store.lastPosition)
  const journals = await Journals.open(store, directory, { includeSystem: options.includeSystem })
  const letEnd = keepAlive()
  const onProgress = (position: number): void => progress.update(position, () => count(journals.eventCount, 'event'))
  try {
    await (options.follow ? journals.follow({ signal, onProgress }) : journals.catchUp({ signal, onProgress }))
  } finally {
    letEnd()
    progress.clear()
    await journals.close()
  }
  const ms = Math.round(systemClock.monotonic() - startedMs)
  const { eventCount, mendedCount, position } = journals
  const interrupted = signal.aborted && !options.follow
  const result = { directory, events: eventCount, position, mended: mendedCount, interrupted, ms }
  await printResult(terminal, options.json, result, resultLines(result))
  return interrupted ? ExitStatus.interrupted : ExitStatus.fine
}

interface WriteResult {
  readonly directory: string
  readonly events: number
  readonly position: number | null
  readonly mended: number
  readonly interrupted: boolean
  readonly ms: number
}

function* resultLines({ directory, events, position, mended, interrupted, ms }: WriteResult): Iterable<string> {
  if (mended > 0) yield `mended what a crash had left in ${count(mended, 'file')}`
  const where = position === null ? 'the store is empty' : `up to position ${position}`
  yield `${count(events, 'event')} written to ${directory} in ${(ms / 1000).toFixed(1)} s; ${where}`
  if (interrupted) yield 'interrupted; the same command goes on'
}

async function verifyJournals(store: EventStore, directory: string, options: Options, terminal: Terminal): Promise<number> {
  await pathKind(directory)
  const progress = new Progress(terminal.stderr, store.lastPosition)
  const onProgress = (position: number): void => progress.update(position, () => directory)
  let report: JournalVerificationReport
  try {
    report = await Journals.verify(store, directory, { signal: terminal.signal, onProgress })
  } finally {
    progress.clear()
  }
  await printResult(terminal, options.json, { directory, ...report }, reportLines(directory, report))
  return report.differenceCount === 0 ? ExitStatus.fine : ExitStatus.damage
}

function* reportLines(directory: string, report: JournalVerificationReport): Iterable<string> {
  const { position, fileCount, eventCount, differences, differenceCount } = report
  const where = position === null ? '' : `, up to position ${position}`
  yield `${directory}: ${count(fileCount, 'file')}, ${count(eventCount, 'event')}${where}`
  if (differenceCount === 0) {
    yield 'the files are what the store says'
    return
  }
  yield `${count(differenceCount, 'difference')}:`
  for (const difference of differences.slice(0, SHOWN_DIFFERENCES)) yield* differenceLines(difference)
  if (differenceCount > SHOWN_DIFFERENCES)
    yield `  and ${differenceCount - SHOWN_DIFFERENCES} more; --json lists up to ${differences.length}`
  yield 'to have the files as the store says: remove the directory and write it anew'
}

const KINDS = { changed: 'changed', missing: 'missing', unknown: 'not in the store' } as const

function* differenceLines({ file, line, kind, expected, found }: JournalDifference): Iterable<string> {
  yield `  ${file}${line === null ? '' : `:${line}`}: ${KINDS[kind]}`
  if (expected !== null) yield `    store: ${expected}`
  if (found !== null) yield `    file:  ${found}`
}
