/**
 * The whole promise in one run: real events go in with acks, a process is killed amid its writing, the store recovers, the
 * rest follows, and everything is read back and compared. `npm run demo -- --help`.
 */
import { rmSync, statfsSync } from 'node:fs'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AppendAck, EventStore, type LogPosition } from 'tailrace'
import { systemClock } from '#engine/core/clock.ts'
import { MIB } from '#engine/core/limits.ts'
import { ChunkNumber } from '#engine/core/positions.ts'
import { chunkFileName } from '#engine/log/chunk-file-names.ts'
import { checkCount, ExitStatus, parseArguments, UsageError, wholeNumber } from './arguments.ts'
import { type Acks, type AppendFigures, appendAll, missingDeliveries } from './demo-appending.ts'
import { runTailrace } from './demo-command.ts'
import { compareAll } from './demo-comparison.ts'
import { type Delivery, makeDeliveries } from './demo-deliveries.ts'
import { appendUntilKilled, killMidWrite } from './demo-killing.ts'
import * as report from './demo-report.ts'

const DEFAULT_EVENTS = 6580
const MIN_EVENTS = 100
const DEFAULT_IN_FLIGHT = 256
/** Beyond, the store would refuse for want of room. */
const MAX_IN_FLIGHT = 4096
/** The child dies when it was acked at least, and about at most, this much of its share. */
const KILL_BETWEEN = [0.1, 0.6] as const
/** Small, so that a short demo fills several. */
const STORE_OPTIONS = { durability: 'fsync', chunkSizeBytes: 16 * MIB } as const
/** Where files are in memory a sync syncs nothing. */
const TMPFS = 0x01021994

const HELP = `Usage: npm run demo -- [options]

Appends GitHub webhook events with durable acks, kills a process with SIGKILL amid its writing, recovers,
goes on where the log ended, reads everything back, compares it, and looks into the chunks.

  --events <n>        so many events (${DEFAULT_EVENTS}; at least ${MIN_EVENTS})
  --in-flight <n>     so many appends wait for their ack at a time (${DEFAULT_IN_FLIGHT})
  --directory <dir>   make the store in a new folder in here (the temp directory of the system)
  --keep              keep the store and say how to look at it
  --json              the result as one JSON object
  --help              this text

Exit status: 0 every ack was kept, 1 something was lost, differs or is damaged, 2 wrong usage.
`

interface Options {
  readonly events: number
  readonly inFlight: number
  readonly directory: string
  readonly keep: boolean
  readonly json: boolean
  readonly help: boolean
  /** For the child: the store to append to until it is killed. */
  readonly doomedStore: string | undefined
}

function parseOptions(args: string[]): Options {
  const text = { type: 'string' } as const
  const flag = { type: 'boolean', default: false } as const
  const options = { events: text, 'in-flight': text, directory: text, keep: flag, json: flag, help: flag, 'doomed-store': text }
  const { values, positionals } = parseArguments(args, options)
  checkCount(positionals, [])
  const inFlight = wholeNumber(values['in-flight'], 'in-flight', DEFAULT_IN_FLIGHT, 1)
  if (inFlight > MAX_IN_FLIGHT) throw new UsageError(`--in-flight must be at most ${MAX_IN_FLIGHT}`)
  return {
    events: wholeNumber(values.events, 'events', DEFAULT_EVENTS, MIN_EVENTS),
    inFlight,
    directory: values.directory ?? tmpdir(),
    keep: values.keep,
    json: values.json,
    help: values.help,
    doomedStore: values['doomed-store'],
  }
}

type Tell = (text: string) => void

/** The demo, act after act. */
async function run(options: Options, directory: string, signal: AbortSignal): Promise<report.DemoReport> {
  const { events, inFlight } = options
  const tell: Tell = options.json ? () => {} : text => console.log(`${text}\n`)
  const startedMs = systemClock.monotonic()
  const deliveries = makeDeliveries(events)
  const { all, byStream, payloadCount } = deliveries
  const acks: Acks = new Map()
  tell(report.introduction(deliveries, directory))
  if (isInMemory(directory)) tell('Note: this directory is in memory, where a sync costs nothing; see --directory.')

  const first = all.slice(0, Math.floor(events / 3))
  const firstRun = await appendFirst(directory, first, inFlight, acks, tell)

  const child = ['--events', String(events), '--in-flight', String(inFlight), '--doomed-store', directory]
  const share = events - first.length
  const [minAcks, maxAcks] = [Math.floor(share * KILL_BETWEEN[0]), Math.floor(share * KILL_BETWEEN[1])]
  const killing = await killMidWrite([...process.execArgv, process.argv[1]!, ...child], [minAcks, maxAcks], signal)
  for (const [number, ack] of killing.acks) acks.set(number, ack)

  const store = await EventStore.open(directory, STORE_OPTIONS)
  try {
    const { recovery, lastPosition } = store
    const survived = await compareAll(store, deliveries, acks)
    const missing = await missingDeliveries(store, all)
    const found = recovery.events - first.length
    const { pid, ms } = killing
    const kill = { pid, ms, acksSeen: killing.acks.size, found, lost: survived.lost, missing: missing.length, recovery }
    tell(report.killText(kill))
    tell(report.recoveryText(kill))

    const secondRun = await appendAll(store, missing, inFlight, rememberIn(acks))
    tell(report.appendText('The rest follows', secondRun, inFlight))

    const comparison = await compareAll(store, deliveries, acks)
    tell(report.comparisonText(comparison, events))
    await store.close()
    const verifyStatus = await lookInside(directory, lastPosition, tell)

    const lost = Math.max(survived.lost, comparison.lost)
    const different = survived.different + comparison.different
    const isWhole = survived.equal === recovery.events && comparison.equal === events
    const result: report.DemoReport = {
      ok: lost === 0 && different === 0 && isWhole && (verifyStatus ?? ExitStatus.fine) === ExitStatus.fine,
      directory: options.keep ? directory : null,
      appended: events,
      compared: comparison.equal,
      lost,
      different,
      streams: byStream.size,
      payloads: payloadCount,
      firstRun,
      kill,
      secondRun,
      comparison,
      verifyStatus,
      seconds: (systemClock.monotonic() - startedMs) / 1000,
    }
    tell(report.conclusion(result))
    return result
  } finally {
    await store.close()
  }
}

/** One append by itself, to see what it goes through, then many in flight. */
async function appendFirst(
  directory: string,
  deliveries: readonly Delivery[],
  inFlight: number,
  acks: Acks,
  tell: Tell,
): Promise<AppendFigures> {
  const store = await EventStore.open(directory, STORE_OPTIONS)
  try {
    const one = deliveries.slice(0, 1)
    const { p50Ms: ackMs } = await appendAll(store, one, 1, rememberIn(acks))
    tell(report.oneAppendText(one[0]!, acks.get(0)!.position, ackMs, store.stats().flush.maxMs))
    const figures = await appendAll(store, deliveries.slice(1), inFlight, rememberIn(acks))
    tell(report.appendText('Many appends', figures, inFlight))
    return figures
  } finally {
    await store.close()
  }
}

function rememberIn(acks: Acks): (delivery: Delivery, ack: AppendAck) => void {
  return ({ number }, { lastRevision, position }) => {
    acks.set(number, { revision: lastRevision!, position })
  }
}

/**
 * Shows the place where the process died, and has every byte of the store checked.
 * @returns the exit status of the check; null while the command is not built.
 */
async function lookInside(directory: string, diedAt: LogPosition, tell: Tell): Promise<number | null> {
  const chunk = chunkFileName(ChunkNumber.of(Math.floor(diedAt / STORE_OPTIONS.chunkSizeBytes)))
  const inspected = await runTailrace(['inspect', join(directory, chunk), '--from', String(diedAt), '--limit', '6'])
  if (inspected === null) return null
  tell(report.commandText(`Where it died: tailrace inspect ${chunk} --from ${diedAt} --limit 6`, inspected))
  const verified = await runTailrace(['verify', directory])
  if (verified === null) return null
  tell(report.commandText('Every byte checked: tailrace verify', verified))
  return verified.status
}

function isInMemory(directory: string): boolean {
  return process.platform === 'linux' && statfsSync(directory).type === TMPFS
}

/** Runs the demo in a folder of its own. @returns the exit status. */
async function runIn(options: Options): Promise<number> {
  await mkdir(options.directory, { recursive: true })
  const directory = await mkdtemp(join(options.directory, 'tailrace-demo-'))
  // Who reads no further, as in `| head`, must not keep the demo from tidying up.
  process.stdout.on('error', () => {})
  const interruption = new AbortController()
  for (const [signal, status] of [
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const) {
    process.once(signal, () => {
      // This kills the child, too.
      interruption.abort()
      if (!options.keep) rmSync(directory, { recursive: true, force: true })
      process.exit(status)
    })
  }
  try {
    const result = await run(options, directory, interruption.signal)
    if (options.json) console.log(JSON.stringify(result, rounded, 2))
    else if (options.keep) console.log(`The store is kept: npx tailrace inspect ${directory}`)
    return result.ok ? ExitStatus.fine : ExitStatus.damage
  } finally {
    if (!options.keep) await rm(directory, { recursive: true, force: true })
  }
}

/** Nobody reads more than three digits. */
function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' ? Math.round(value * 1000) / 1000 : value
}

try {
  const options = parseOptions(process.argv.slice(2))
  if (options.help) process.stdout.write(HELP)
  else if (options.doomedStore === undefined) process.exitCode = await runIn(options)
  else await appendUntilKilled(options.doomedStore, STORE_OPTIONS, makeDeliveries(options.events).all, options.inFlight)
} catch (error) {
  process.exitCode = error instanceof UsageError ? ExitStatus.usage : ExitStatus.damage
  console.error(error instanceof UsageError ? `demo: ${error.message}; see npm run demo -- --help` : error)
}
