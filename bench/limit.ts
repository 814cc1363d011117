/** What this machine can do at all: `npm run bench:limit -- --help`. Every bench run measures the same, once in each round. */
import { parseArgs } from 'node:util'
import { medians } from './support/contest-result.ts'
import type { Figures } from './support/figures.ts'
import { describeMachine, lookAtMachine } from './support/machine.ts'
import { secondsOf, UsageError, usage, whole } from './support/options.ts'
import { runTask } from './support/run-task.ts'
import { withScratch } from './support/scratch.ts'
import { figure, layOut } from './support/table.ts'

const HELP = `Usage: npm run bench:limit -- [options]

Measures what an engine on this machine can't go beyond: a small write and its fdatasync, to a file that grows and over
blocks that exist; sequential writing; reading from the page cache, with a checksum and without; promises.

  --seconds S      for each of them (1)
  --rounds N       medians are shown (3)
  --directory DIR  a real disk (bench/out)
  --json           figures as JSON on stdout
  --help
`

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  seconds: { type: 'string', default: '1' },
  rounds: { type: 'string', default: '3' },
  directory: { type: 'string', default: 'bench/out' },
  json: { type: 'boolean' },
} as const

const FILE_BYTES = 512 * 2 ** 20

const MEANING: readonly (readonly [name: string, words: string, unit: string])[] = [
  ['growingSyncP50Us', 'write of 300 B + fdatasync, the file grows, p50', 'µs'],
  ['growingSyncP99Us', 'write of 300 B + fdatasync, the file grows, p99', 'µs'],
  ['prefilledSyncP50Us', 'write of 300 B + fdatasync, existing blocks, p50', 'µs'],
  ['prefilledSyncP99Us', 'write of 300 B + fdatasync, existing blocks, p99', 'µs'],
  ['writeMibPerSecond', 'sequential write of new blocks, one sync', 'MiB/s'],
  ['readMibPerSecond', 'read from the page cache, 1 MiB a call', 'MiB/s'],
  ['checkedReadMibPerSecond', 'the same with CRC-32', 'MiB/s'],
  ['promisesPerSecond', 'promises made, resolved and awaited, 4,096 at once', '/s'],
]

async function measure(directory: string, rounds: number, seconds: number): Promise<Figures> {
  const measured: Figures[] = []
  for (let round = 0; round < rounds; round++) {
    const measureOnce = (scratch: string) => runTask({ kind: 'limits', directory: scratch, seconds, fileBytes: FILE_BYTES })
    measured.push(await withScratch(directory, 'limit-', measureOnce))
    console.error(`[${round + 1}/${rounds}]`)
  }
  return medians(measured)
}

try {
  const { values } = usage(() => parseArgs({ args: process.argv.slice(2), options: FLAGS, strict: true }))
  if (values.help) {
    process.stdout.write(HELP)
  } else {
    const figures = await measure(values.directory, whole(values.rounds, '--rounds', 100), secondsOf(values.seconds))
    const machine = lookAtMachine(values.directory)
    if (values.json) console.log(JSON.stringify({ machine, figures }, null, 2))
    else {
      console.log(`Limits · ${describeMachine(machine)}\n`)
      console.log(
        layOut(
          ['limit', 'median', 'unit'],
          MEANING.map(([name, words, unit]) => [words, figure(figures[name]!), unit]),
        ),
      )
    }
  }
} catch (error) {
  console.error(`bench:limit: ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = error instanceof UsageError ? 2 : 1
}
