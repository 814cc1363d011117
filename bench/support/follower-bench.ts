import { rmSync } from 'node:fs'
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Durability } from './cells.ts'
import { describeMachine, lookAtMachine, type Machine } from './machine.ts'
import { durability, secondsOf, UsageError, usage, whole } from './options.ts'

/** What the benches of followers have in common. */
export interface FollowerOptions {
  readonly help: boolean
  readonly durability: Durability
  readonly seconds: number
  readonly inFlight: number
  readonly payloadBytes: number
  readonly subscribers: readonly number[]
  readonly directory: string
  readonly json: string | null
}

export interface Defaults {
  readonly seconds: number
  readonly subscribers: string
}

export const COMMON_HELP = `  --durability MODE  fsync, os or memory (fsync)
  --in-flight N      appends in flight at full load (256)
  --payload BYTES    bytes of payload (100)
  --directory DIR    where the data is written and removed again: a real disk (bench/out)
  --json FILE        results
  --help
`

/** @throws UsageError */
export function parseFollowerOptions(args: readonly string[], defaults: Defaults): FollowerOptions {
  const options = {
    help: { type: 'boolean', short: 'h', default: false },
    durability: { type: 'string', default: 'fsync' },
    seconds: { type: 'string', default: String(defaults.seconds) },
    'in-flight': { type: 'string', default: '256' },
    payload: { type: 'string', default: '100' },
    subscribers: { type: 'string', default: defaults.subscribers },
    directory: { type: 'string', default: 'bench/out' },
    json: { type: 'string' },
  } as const
  const { values } = usage(() => parseArgs({ args: [...args], options, strict: true, allowPositionals: false }))
  return {
    help: values.help,
    durability: durability(values.durability),
    seconds: secondsOf(values.seconds),
    inFlight: whole(values['in-flight'], '--in-flight', 65_536),
    payloadBytes: whole(values.payload, '--payload', 8 * 1024 * 1024),
    subscribers: values.subscribers.split(',').map(text => whole(text.trim(), '--subscribers', 10_000)),
    directory: values.directory,
    json: values.json ?? null,
  }
}

/** Gives `run` a directory that is removed afterwards, also when the run is interrupted. */
export async function inScratch<Result>(parent: string, run: (directory: string) => Promise<Result>): Promise<Result> {
  await mkdir(parent, { recursive: true })
  const directory = await mkdtemp(join(parent, 'followers-data-'))
  for (const [signal, exitCode] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      rmSync(directory, { recursive: true, force: true })
      process.exit(exitCode)
    })
  }
  try {
    return await run(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** Runs a bench as a command: help, one line and exit code 2 for a mistake in the options, the report as text and as JSON. */
export async function runFollowerBench<Report extends object>(
  name: string,
  help: string,
  defaults: Defaults,
  measure: (options: FollowerOptions, directory: string) => Promise<Report>,
  textOf: (report: Report) => string,
): Promise<void> {
  try {
    const options = parseFollowerOptions(process.argv.slice(2), defaults)
    if (options.help) {
      process.stdout.write(help)
      return
    }
    await mkdir(options.directory, { recursive: true })
    const machine: Machine = lookAtMachine(options.directory)
    const report = await inScratch(options.directory, directory => measure(options, directory))
    console.log(`${describeMachine(machine)}\n\n${textOf(report)}`)
    if (options.json === null) return
    await mkdir(dirname(options.json), { recursive: true })
    await writeFile(options.json, `${JSON.stringify({ benchmark: name, machine, ...report }, null, 2)}\n`)
    console.error(`Wrote ${options.json}`)
  } catch (error) {
    console.error(`${name}: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}
