import { mkdir, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { parseArgs } from 'node:util'
import { notesOf, tableHead, tableRows } from './bench-report.ts'
import type { ContestResult } from './contest.ts'
import { markdownTable, updateDocs } from './docs-page.ts'
import { describeMachine, lookAtMachine, type Machine } from './machine.ts'
import { UsageError, usage } from './options.ts'
import { withRunScratch } from './scratch.ts'
import { layOut } from './table.ts'

/** A measuring programme with its own command line: what it takes, what it does. */
export interface Programme<Options> {
  /** As it is started with `npm run bench:<name>`. */
  readonly name: string
  readonly title: string
  /** What it measures, and its own options, a line each. */
  readonly help: string
  /** Its own options, with their defaults. */
  readonly flags: Readonly<Record<string, string>>
  /** @throws UsageError */
  readonly optionsOf: (values: Readonly<Record<string, string>>) => Options
  /** @param directory empty, on the disk that is measured. */
  readonly run: (options: Options, directory: string, say: (line: string) => void) => Promise<readonly Table[]>
}

export interface Table {
  readonly title: string
  readonly head: readonly string[]
  readonly rows: readonly (readonly string[])[]
  readonly notes: readonly string[]
}

interface Report {
  readonly programme: string
  readonly command: string
  readonly startedAt: string
  readonly machine: Machine
  readonly tables: readonly Table[]
}

const COMMON = {
  help: { type: 'boolean', short: 'h' },
  json: { type: 'string' },
  docs: { type: 'string' },
  directory: { type: 'string', default: 'bench/out' },
} as const

const COMMON_HELP = `  --directory DIR   where the data is written and removed again: a real disk (bench/out)
  --json FILE       results as JSON
  --docs FILE       page in Markdown, such as docs/benchmarks.md, of which the section of this programme is written anew
  --help
`

/** Reads the command line, runs the programme in a directory of its own, and prints what it found. */
export async function runProgramme<Options>(programme: Programme<Options>): Promise<void> {
  const { name, flags, help } = programme
  try {
    const own = Object.fromEntries(
      Object.entries(flags).map(([flag, value]) => [flag, { type: 'string' as const, default: value }]),
    )
    const args = process.argv.slice(2)
    const parsed = usage(() => parseArgs({ args, options: { ...own, ...COMMON }, strict: true }))
    const values: Readonly<Record<string, string | boolean | undefined>> = parsed.values
    if (values['help'] === true) {
      process.stdout.write(`Usage: npm run bench:${name} -- [options]\n\n${help}${COMMON_HELP}`)
      return
    }
    const texts = Object.fromEntries(Object.keys(flags).map(flag => [flag, String(values[flag])]))
    const options = programme.optionsOf(texts)
    const given = Object.keys(flags).filter(flag => texts[flag] !== flags[flag])
    const told = given.length > 0 ? ` -- ${given.map(flag => `--${flag} ${texts[flag]}`).join(' ')}` : ''
    const directory = String(values['directory'])
    const report = await withRunScratch(directory, `${name}-data-`, scratch => measure(programme, options, scratch, told))
    print(programme.title, report)
    if (values['json'] !== undefined) await save(String(values['json']), `${JSON.stringify(report, null, 2)}\n`)
    if (values['docs'] !== undefined)
      await updateDocs(String(values['docs']), [{ name, text: markdownOf(programme.title, report) }])
  } catch (error) {
    console.error(`bench:${name}: ${error instanceof Error ? error.message : String(error)}`)
    process.exitCode = error instanceof UsageError ? 2 : 1
  }
}

/** A table of a contest. */
export function contestTable(result: ContestResult): Table {
  return { title: result.shape, head: tableHead(result), rows: tableRows(result), notes: notesOf(result) }
}

async function measure<Options>(
  programme: Programme<Options>,
  options: Options,
  directory: string,
  told: string,
): Promise<Report> {
  const startedAt = new Date().toISOString()
  const machine = lookAtMachine(directory)
  const tables = await programme.run(options, directory, line => console.error(line))
  return { programme: programme.name, command: `npm run bench:${programme.name}${told}`, startedAt, machine, tables }
}

function noteOf({ machine, startedAt, command }: Report): string {
  return `${describeMachine(machine)} · ${startedAt.slice(0, 10)} · ${command}`
}

function print(title: string, report: Report): void {
  console.log(`${title}\n${noteOf(report)}`)
  for (const { title, head, rows, notes } of report.tables) {
    console.log(`\n${title}\n${layOut(head, rows)}`)
    for (const note of notes) console.log(note)
  }
}

function markdownOf(title: string, report: Report): string {
  const tables = report.tables.map(table =>
    [`### ${table.title}`, markdownTable(table.head, table.rows), ...table.notes.map(note => `- ${note}`)].join('\n\n'),
  )
  return [`## ${title}`, `> ${noteOf(report)}`, ...tables].join('\n\n')
}

async function save(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, text)
  console.error(`Wrote ${file}`)
}
