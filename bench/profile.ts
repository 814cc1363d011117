/**
 * Looks into one cell of bench/flush-latency.ts with clinic: `npm run profile -- --help`.
 *
 * The cell is the same program that the bench forks, so what shows here is what was measured there.
 */
import { spawn } from 'node:child_process'
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { CellMessage } from './support/cell.ts'
import type { CellSpec } from './support/cells.ts'
import { durability, secondsOf, UsageError, usage, whole } from './support/options.ts'
import { CELL_PROGRAM, describeCell } from './support/run-cell.ts'
import { figure } from './support/table.ts'

const require = createRequire(import.meta.url)

const TOOLS = ['doctor', 'flame', 'bubbleprof'] as const
type Tool = (typeof TOOLS)[number]

interface ProfileOptions {
  readonly help: boolean
  readonly tool: Tool
  readonly out: string
  readonly cell: Omit<CellSpec, 'directory'>
}

const HELP = `Usage: npm run profile -- [doctor|flame|bubbleprof] [options]

Runs one cell of the flush-latency benchmark under clinic and writes a page to look at: doctor (the default) shows
event loop, processor, memory and garbage collection over time, flame shows where the time goes, bubbleprof what waits
for what.

  --durability MODE  fsync, os or memory (fsync)
  --in-flight N      appends in flight (4096)
  --payload BYTES    bytes of payload (100)
  --seconds S        measured, after 1 s of warm-up (5)
  --floor            profile floor (b) instead of the engine, to compare
  --out DIR          where the pages go (bench/out)
  --help
`

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  durability: { type: 'string', default: 'fsync' },
  'in-flight': { type: 'string', default: '4096' },
  payload: { type: 'string', default: '100' },
  seconds: { type: 'string', default: '5' },
  floor: { type: 'boolean', default: false },
  out: { type: 'string', default: 'bench/out' },
} as const

function parseOptions(args: readonly string[]): ProfileOptions {
  const { values, positionals } = usage(() =>
    parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: true }),
  )
  const [name = 'doctor', ...more] = positionals
  const tool = TOOLS.find(known => known === name)
  if (!tool || more.length > 0) throw new UsageError(`one of ${TOOLS.join(', ')} is run, not '${positionals.join(' ')}'`)
  return {
    help: values.help ?? false,
    tool,
    out: values.out,
    cell: {
      subject: values.floor ? 'group-commit' : 'tailrace',
      durability: durability(values.durability),
      inFlight: whole(values['in-flight'], '--in-flight', 65_536),
      payloadBytes: whole(values.payload, '--payload', 8 * 1024 * 1024),
      warmupSeconds: 1,
      seconds: secondsOf(values.seconds),
    },
  }
}

/** Returns the page that clinic wrote. */
async function profile({ tool, out, cell }: ProfileOptions): Promise<string> {
  await mkdir(out, { recursive: true })
  const scratch = await makeScratch()
  const before = new Set(await readdir(out))
  try {
    const program = await compileCell(join(scratch, 'program'))
    await runClinic(tool, out, program, { ...cell, directory: join(scratch, 'data') })
  } finally {
    await rm(scratch, { recursive: true, force: true })
  }
  // clinic may end with 0 and nothing to show, so only the page itself counts.
  const page = (await readdir(out)).find(name => name.endsWith(`clinic-${tool}.html`) && !before.has(name))
  if (!page) throw new Error(`clinic ${tool} left no page in ${out}`)
  return join(out, page)
}

/** Within the package whatever `--out` says: the compiled cell imports 'tailrace', and the data wants a real disk. */
async function makeScratch(): Promise<string> {
  const parent = fileURLToPath(new URL('./out', import.meta.url))
  await mkdir(parent, { recursive: true })
  return mkdtemp(join(parent, 'profile-'))
}

/**
 * Makes JavaScript of the cell. Under `--import tsx` there is a second isolate, tsx's loader, and clinic flame draws that
 * one instead of the program.
 */
async function compileCell(directory: string): Promise<string> {
  const tsc = join(dirname(require.resolve('typescript/package.json')), 'bin', 'tsc')
  const emit = [
    '--noCheck',
    '--target',
    'es2022',
    '--module',
    'nodenext',
    '--rewriteRelativeImportExtensions',
    '--outDir',
    directory,
  ]
  await runNode('tsc', [tsc, '--ignoreConfig', ...emit, '--rootDir', dirname(CELL_PROGRAM), CELL_PROGRAM])
  return join(directory, 'cell.js')
}

async function runClinic(tool: Tool, out: string, program: string, spec: CellSpec): Promise<void> {
  const args = [require.resolve('clinic/bin.js'), tool, '--open=false', '--dest', out]
  // Without these, clinic asks for leave to report its use, and looks for a newer version: both want a network or an answer.
  const env = { NO_INSIGHT: '1', NO_UPDATE_NOTIFIER: '1' }
  const output = await runNode(`clinic ${tool}`, [...args, '--', 'node', program, JSON.stringify(spec)], env)
  // clinic is content with a program that failed, and draws that.
  const said = output.split('\n').find(line => line.startsWith('{'))
  const message: CellMessage = said ? JSON.parse(said) : { error: 'the cell ended before it had a result' }
  if ('error' in message) throw new Error(message.error)
  console.error(`${describeCell(spec)}, under clinic: ${figure(message.result.acksPerSecond)} acks/s`)
}

/** Returns what the program said on stdout. */
function runNode(name: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 2], env: { ...process.env, ...env } })
    let output = ''
    child.stdout?.on('data', (text: Buffer) => {
      output += text
    })
    child.on('error', reject)
    child.on('close', (code, signal) => {
      if (code === 0) resolve(output)
      else reject(new Error(`${name} ended with ${signal ?? code}: ${output.trim()}`))
    })
  })
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(HELP)
  else console.log(await profile(options))
} catch (error) {
  console.error(`profile: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
