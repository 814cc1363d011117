import { parseArgs } from 'node:util'
import { crossLoads, DURABILITIES, type Durability, type Load } from './cells.ts'

/** A mistake of whoever typed the command: one line, exit code 2. */
export class UsageError extends Error {}

export interface FlushLatencyOptions {
  readonly help: boolean
  readonly quick: boolean
  readonly loads: readonly Load[]
  readonly rounds: number
  readonly seconds: number
  readonly warmupSeconds: number
  readonly directory: string
  readonly json: string
  readonly html: string
}

export const IN_FLIGHT = [1, 4, 16, 64, 256, 1024, 4096] as const
export const PAYLOAD_BYTES = [100, 1024, 16 * 1024] as const

/** The cells that `--quick` is content with: the promise that is called durable from end to end, a glance at the others. */
export const QUICK_LOADS: readonly Load[] = [
  ...crossLoads(['fsync'], [1, 64, 1024, 4096], [100]),
  ...crossLoads(['os', 'memory'], [64], [100]),
]

const FULL = { seconds: 1, rounds: 3 }
/** With these the 13 processes of a quick run take some 20 s, start-up included. */
const QUICK = { seconds: 0.7, rounds: 1 }

const FLAGS = {
  help: { type: 'boolean', short: 'h' },
  quick: { type: 'boolean' },
  only: { type: 'string' },
  'in-flight': { type: 'string' },
  payload: { type: 'string' },
  seconds: { type: 'string' },
  rounds: { type: 'string' },
  directory: { type: 'string' },
  json: { type: 'string' },
  html: { type: 'string' },
} as const

export const FLUSH_LATENCY_HELP = `Usage: npm run bench:flush -- [options]

Measures how long an append waits for its ack and how many are acked, in the three durability modes, against how
many are in flight and how large they are, beside two floors measured in the same run:
  (a) writeSync of 300 bytes over prefilled space + awaited fdatasync, one at a time
  (b) a one-file group-commit appender (bench/support/group-commit-floor.ts) under the same load

  --quick            a few cells, done within 30 s; without it a run takes about a quarter of an hour
  --only MODES       of ${DURABILITIES.join(',')}
  --in-flight LIST   appends in flight (${IN_FLIGHT.join(',')})
  --payload LIST     bytes of payload (${PAYLOAD_BYTES.join(',')})
  --seconds S        measured in each cell, after a warm-up of half of it (${FULL.seconds}; quick ${QUICK.seconds})
  --rounds N         each cell is measured N times, in turn with its floor; medians are shown (${FULL.rounds}; quick ${QUICK.rounds})
  --directory DIR    where the data is written and removed again: a real disk (bench/out)
  --json FILE        results (bench/out/flush-latency.json)
  --html FILE        results with plots (bench/out/flush-latency.html)
  --help
`

/** @throws UsageError */
export function parseFlushLatencyOptions(args: readonly string[]): FlushLatencyOptions {
  const values = parseFlags(args)
  const quick = values.quick ?? false
  const durabilities = listOf(values.only, '--only', durability)
  const inFlights = listOf(values['in-flight'], '--in-flight', text => whole(text, '--in-flight', 65_536))
  const payloads = listOf(values.payload, '--payload', text => whole(text, '--payload', 8 * 1024 * 1024))
  const seconds = values.seconds === undefined ? (quick ? QUICK : FULL).seconds : secondsOf(values.seconds)
  const loads = quick
    ? QUICK_LOADS.filter(
        load =>
          (durabilities?.includes(load.durability) ?? true) &&
          (inFlights?.includes(load.inFlight) ?? true) &&
          (payloads?.includes(load.payloadBytes) ?? true),
      )
    : crossLoads(durabilities ?? DURABILITIES, inFlights ?? IN_FLIGHT, payloads ?? PAYLOAD_BYTES)
  if (loads.length === 0) throw new UsageError('no cell of --quick is left by the other options')
  return {
    help: values.help ?? false,
    quick,
    loads,
    rounds: values.rounds === undefined ? (quick ? QUICK : FULL).rounds : whole(values.rounds, '--rounds', 100),
    seconds,
    warmupSeconds: Math.min(Math.max(seconds / 2, 0.05), 1),
    directory: values.directory ?? 'bench/out',
    json: values.json ?? 'bench/out/flush-latency.json',
    html: values.html ?? 'bench/out/flush-latency.html',
  }
}

/** @throws UsageError */
export function secondsOf(text: string): number {
  const seconds = Number(text)
  if (!(seconds >= 0.05 && seconds <= 600)) throw new UsageError(`--seconds must be from 0.05 to 600, not '${text}'`)
  return seconds
}

/** @throws UsageError */
export function whole(text: string, flag: string, max: number): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0
  if (value < 1 || value > max) throw new UsageError(`${flag} takes whole numbers from 1 to ${max}, not '${text}'`)
  return value
}

/** @throws UsageError */
export function durability(text: string): Durability {
  const found = DURABILITIES.find(known => known === text)
  if (!found) throw new UsageError(`no durability mode '${text}': there are ${DURABILITIES.join(', ')}`)
  return found
}

/** What parseArgs throws is a mistake in the arguments, told in its first sentence. */
export function usage<Result>(parse: () => Result): Result {
  try {
    return parse()
  } catch (error) {
    if (error instanceof Error && !(error instanceof UsageError)) throw new UsageError(error.message.split('. ')[0])
    throw error
  }
}

function parseFlags(args: readonly string[]) {
  return usage(() => parseArgs({ args: [...args], options: FLAGS, strict: true, allowPositionals: false }).values)
}

function listOf<Item>(text: string | undefined, flag: string, itemOf: (text: string) => Item): Item[] | undefined {
  if (text === undefined) return undefined
  if (text.trim() === '') throw new UsageError(`${flag} takes a list such as a,b`)
  return [...new Set(text.split(',').map(item => itemOf(item.trim())))]
}
