import { createRequire } from 'node:module'
import { CorruptLogError, DiskFullError, StoreLockedError, TailraceError, WriterFailedError } from 'tailrace'
import { DamagedJournalError, isDiskFull, systemErrorCode } from '#engine/core/errors.ts'
import { type Command, ExitStatus, UsageError } from './arguments.ts'
import { backup } from './backup.ts'
import { cat } from './cat.ts'
import { importCommand } from './import.ts'
import { inspect } from './inspect.ts'
import { journal } from './journal.ts'
import { Output, OutputClosedError, printable, type Terminal } from './output.ts'
import { read } from './read.ts'
import { repair } from './repair.ts'
import { scavenge } from './scavenge.ts'
import { streams } from './streams.ts'
import { tail } from './tail.ts'
import { verify } from './verify.ts'

const COMMANDS: readonly Command[] = [
  ...[inspect, verify, repair, backup, scavenge],
  ...[importCommand, cat, streams, read, tail, journal],
]

const HELP = `Usage: tailrace <command> [arguments]

${COMMANDS.map(({ name, summary }) => `  ${name.padEnd(10)}${summary}`).join('\n')}

  --help       this text; tailrace <command> --help tells more, with examples
  --version    the version of this package

Exit status: 0 fine, 1 damage found or bad input, 2 wrong usage or nothing could be done,
3 an index file contradicts the log (verify), 130 interrupted.
`

/** Runs one command line. @returns the exit status; never throws. */
export async function runCommandLine(argv: readonly string[], terminal: Terminal): Promise<number> {
  const [name, ...rest] = argv
  const output = new Output(terminal.stdout)
  const errors = new Output(terminal.stderr)
  const command = COMMANDS.find(candidate => candidate.name === name)
  let status: number = ExitStatus.fine
  try {
    if (name === '--version') output.line(version())
    else if (name === '--help' || name === '-h' || name === 'help') output.line((helpOf(rest[0]) ?? HELP).trimEnd())
    else if (command === undefined) {
      errors.line(name === undefined ? HELP.trimEnd() : `tailrace: unknown command '${printable(name)}'; see tailrace --help`)
      status = ExitStatus.usage
    } else if (asksForHelp(rest)) output.line(command.help.trimEnd())
    else status = await command.run(rest, terminal)
    await output.flush()
  } catch (error) {
    if (terminal.signal.aborted) {
      status = ExitStatus.interrupted
      errors.line(`tailrace ${name}: interrupted`)
    } else if (!(error instanceof OutputClosedError)) {
      status = statusOf(error)
      errors.line(`tailrace ${name}: ${messageOf(error, name)}`)
    }
  }
  await errors.flush().catch(() => {})
  return status
}

/** @returns undefined when nothing is called that. */
function helpOf(name: string | undefined): string | undefined {
  return COMMANDS.find(command => command.name === name)?.help
}

function asksForHelp(argv: readonly string[]): boolean {
  const end = argv.indexOf('--')
  return argv.slice(0, end === -1 ? undefined : end).some(argument => argument === '--help' || argument === '-h')
}

const DAMAGES = [CorruptLogError, WriterFailedError, DiskFullError, DamagedJournalError]

/** A full disk has no error of its own where the command itself writes: to its output. */
function statusOf(error: unknown): number {
  return isDiskFull(error) || DAMAGES.some(damage => error instanceof damage) ? ExitStatus.damage : ExitStatus.usage
}

/** One line for what can be expected, everything for what can't. */
function messageOf(error: unknown, command: string | undefined): string {
  if (error instanceof UsageError) return `${printable(error.message)}; see tailrace ${command} --help`
  if (error instanceof CorruptLogError) return `${printable(error.message)}; tailrace verify tells more`
  // The advice of the error itself is for programs.
  if (error instanceof StoreLockedError) return `the store is open in process ${error.pid ?? 'unknown'}; close it there first`
  if (error instanceof TailraceError || systemErrorCode(error) !== null) return printable((error as Error).message)
  return error instanceof Error ? (error.stack ?? error.message) : String(error)
}

function version(): string {
  const { version } = createRequire(import.meta.url)('tailrace/package.json') as { version: string }
  return version
}
