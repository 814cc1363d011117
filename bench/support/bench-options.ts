import { resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { secondsOf, UsageError, usage, whole } from './options.ts'
import { WORKLOADS, type Workload } from './subject.ts'
import { PEERS } from './subjects.ts'

export interface BenchOptions {
  readonly help: boolean
  readonly quick: boolean
  readonly isSeeds: boolean
  readonly workloads: readonly Workload[]
  /** Names of peers. */
  readonly against: readonly string[]
  readonly rounds: number
  readonly seconds: number
  /** Of the data set of W4 to W6 to 1.01 million events. */
  readonly scale: number
  /** The same for W7, one after the other. */
  readonly growth: readonly number[]
  readonly directory: string
  readonly json: string
  readonly html: string
  /** Where the page in Markdown goes; null for nowhere. */
  readonly docs: string | null
}

const FULL = { rounds: 5, seconds: 0.7, scale: 1 }
const QUICK = { rounds: 1, seconds: 0.4, scale: 0.1 }
const PEER_NAMES = PEERS.map(peer => peer.name)

export const BENCH_HELP = `Usage: npm run bench -- [options]

Tailrace beside its floors, and beside what else one would pick: each measurement in a fresh process, all of them in
turn, data on a real disk, medians of the rounds, durability mode on every line. Without options: W1 to W6 of Tailrace
and the floors, in less than 10 minutes.

  W1  ack latency, one in flight, 256 B            W4  full scan of 1 M events of 256 B
  W2  throughput at 64, 1,024, 4,096 in flight,    W5  random reads of streams of 100 and 1,000 events
      100 B and 1 KiB, 1,000 streams               W6  open to first ack, after a clean close and after kill -9
  W3  batches of 100 events, 16 in flight          W7  W1 to W6 of Tailrace at 1, 10, 50 times the data

  --quick            fewer rounds, a tenth of the data: less than 2 minutes
  --only LIST        of ${WORKLOADS.join(',')}; W7 runs only when it is named (20 GB of disk, a quarter of an hour)
  --against LIST     of ${PEER_NAMES.join(',')}, or all; npm run bench:peers installs what npm can
  --seeds            instead, the programmes of the projects that Tailrace takes after (12 GB of disk)
  --rounds N         (${FULL.rounds}; quick ${QUICK.rounds})
  --seconds S        measured in each cell of W1, W2, W3, W5, after a warm-up of half of it (${FULL.seconds}, W5 at
                     least 2.5; quick ${QUICK.seconds})
  --scale X          of the data of W4 to W6 and of the seeds (${FULL.scale}; quick ${QUICK.scale}; seeds 1)
  --growth LIST      scales of W7 (1,10,50)
  --directory DIR    where the data is written and removed again: a real disk (bench/out)
  --json FILE        results (bench/out/bench.json)
  --html FILE        one page with plots (bench/out/bench.html)
  --docs FILE        page in Markdown, of which the sections that were measured are written anew; a whole run writes
                     docs/benchmarks.md by itself, others only what is named here; none: nothing
  --help
`

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  quick: { type: 'boolean' },
  seeds: { type: 'boolean' },
  only: { type: 'string' },
  against: { type: 'string' },
  rounds: { type: 'string' },
  seconds: { type: 'string' },
  scale: { type: 'string' },
  growth: { type: 'string' },
  directory: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
  docs: { type: 'string' },
} as const

/** @throws UsageError */
export function parseBenchOptions(args: readonly string[]): BenchOptions {
  const { values } = usage(() => parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: false }))
  const quick = values.quick ?? false
  const isSeeds = values.seeds ?? false
  const defaults = quick ? QUICK : FULL
  if (isSeeds && (values.only !== undefined || values.against !== undefined)) {
    throw new UsageError('--seeds goes with neither --only nor --against')
  }
  const name = isSeeds ? 'seeds' : 'bench'
  const isWhole = ['quick', 'only', 'seeds', 'rounds', 'seconds', 'scale'].every(
    flag => values[flag as keyof typeof values] === undefined,
  )
  const docs = values.docs ?? (isWhole ? 'docs/benchmarks.md' : 'none')
  return {
    help: values.help ?? false,
    quick,
    isSeeds,
    workloads: values.only === undefined ? WORKLOADS.filter(name => name !== 'W7') : listOf(values.only, '--only', WORKLOADS),
    against:
      values.against === undefined ? [] : values.against === 'all' ? PEER_NAMES : listOf(values.against, '--against', PEER_NAMES),
    rounds: values.rounds === undefined ? defaults.rounds : whole(values.rounds, '--rounds', 100),
    seconds: values.seconds === undefined ? defaults.seconds : secondsOf(values.seconds),
    scale: values.scale === undefined ? defaults.scale : scaleOf(values.scale, '--scale'),
    growth: (values.growth ?? '1,10,50').split(',').map(text => scaleOf(text, '--growth')),
    // Servers that run elsewhere are told it, too.
    directory: resolve(values.directory ?? 'bench/out'),
    json: values.json ?? `bench/out/${name}.json`,
    html: values.html ?? `bench/out/${name}.html`,
    docs: docs === 'none' ? null : docs,
  }
}

function listOf<Name extends string>(text: string, flag: string, known: readonly Name[]): Name[] {
  return [...new Set(text.split(','))].map(item => {
    const found = known.find(name => name === item.trim())
    if (found === undefined) throw new UsageError(`${flag} takes a list of ${known.join(', ')}, not '${item}'`)
    return found
  })
}

function scaleOf(text: string, flag: string): number {
  const scale = Number(text)
  if (!(scale >= 0.01 && scale <= 100)) throw new UsageError(`${flag} must be from 0.01 to 100, not '${text}'`)
  return scale
}

/** The command without the places of one machine: what another should type. */
export function commandText(args: readonly string[]): string {
  const isPlace = (index: number) => ['--directory', '--json', '--html', '--docs'].includes(args[index] ?? '')
  const told = args.filter((_, index) => !isPlace(index) && !isPlace(index - 1))
  return ['npm run bench', ...(told.length > 0 ? ['--', ...told] : [])].join(' ')
}
