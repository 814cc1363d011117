/**
 * How long after its ack an event is printed by `tailrace tail` in another process: acceptance 6 of the subscriptions, at most
 * 50 ms. Three processes: one appends and notes when each ack came, one is `tailrace tail`, and this one notes when each line came.
 * All three read the same monotonic clock of the machine.
 */
import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { EventStore } from 'tailrace'
import { LatencyRecorder } from './support/histogram.ts'

const BIN = fileURLToPath(new URL('../dist/tools/tailrace.js', import.meta.url))
const TARGET_MS = 50
/** Appended first: when tail has printed it, it follows. */
const READY = -1
const TIMED_STREAM = 'timed'

const HELP = `Usage: node --import tsx bench/tail-delay.ts [options]     (after npm run build)

From the ack of an event to its line in the output of tailrace tail in another process, alone and beside a load.

  --events N       events that are timed, of each (500)
  --gap-ms MS      between two of them (10)
  --in-flight N    appends in flight of the load beside them (64)
  --directory DIR  where the store is written and removed again: a real disk (bench/out)
  --json           one JSON object a line
  --help
`

interface WriterOptions {
  readonly directory: string
  readonly events: number
  readonly gapMs: number
  /** 0: nothing beside the timed events. */
  readonly inFlight: number
}

export interface TailDelay {
  readonly beside: string
  readonly events: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
}

function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** In a process of its own: appends when it is told to, and sends when each ack came. */
async function write({ directory, events, gapMs, inFlight }: WriterOptions): Promise<void> {
  const store = await EventStore.open(directory)
  await store.append(TIMED_STREAM, { type: 'Timed', data: READY })
  process.send!('ready')
  await once(process, 'message')
  let isDone = false
  const load = Array.from({ length: inFlight }, async (_, i) => {
    for (let n = 0; !isDone; n++) await store.append(`load-${i}`, { type: 'Load', data: { n, text: 'x'.repeat(80) } })
  })
  const ackedMs: number[] = []
  for (let i = 0; i < events; i++) {
    await store.append(TIMED_STREAM, { type: 'Timed', data: i })
    ackedMs.push(nowMs())
    await new Promise(resolve => setTimeout(resolve, gapMs))
  }
  isDone = true
  await Promise.all(load)
  await store.close()
  process.send!(ackedMs)
  process.disconnect()
}

async function measure(options: WriterOptions): Promise<TailDelay> {
  const writer = fork(fileURLToPath(import.meta.url), ['--writer', JSON.stringify(options)], { execArgv: ['--import', 'tsx'] })
  const tail = spawn(process.execPath, [BIN, 'tail', options.directory, '--stream', TIMED_STREAM, '--from', 'start', '--json'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  try {
    await once(writer, 'message')
    const lines = createInterface({ input: tail.stdout })
    const printedMs: number[] = []
    let isReady = false
    const seen = new Promise<void>((resolve, reject) => {
      lines.on('line', line => {
        const atMs = nowMs()
        const { data } = JSON.parse(line) as { data: number }
        if (data === READY) {
          isReady = true
          writer.send('go')
        } else if (data !== printedMs.length) reject(new Error(`event ${data} was printed as number ${printedMs.length}`))
        else if (printedMs.push(atMs) === options.events) resolve()
      })
      lines.on('close', () => reject(new Error(isReady ? 'tail ended too early' : 'tail did not begin')))
    })
    const [ackedMs] = (await Promise.all([once(writer, 'message'), seen]))[0] as [number[]]
    const delays = new LatencyRecorder()
    // A line may come before the writer has had its turn to note the ack.
    for (const [i, atMs] of printedMs.entries()) delays.record(Math.max(0, atMs - ackedMs[i]!))
    const { p50Us, p99Us, maxUs } = delays.summary()
    const beside = options.inFlight === 0 ? 'nothing' : `${options.inFlight} appends in flight`
    return { beside, events: options.events, p50Ms: p50Us / 1000, p99Ms: p99Us / 1000, maxMs: maxUs / 1000 }
  } finally {
    await Promise.all([ended(writer), ended(tail)])
  }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  child.kill('SIGTERM')
  await once(child, 'exit')
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      events: { type: 'string', default: '500' },
      'gap-ms': { type: 'string', default: '10' },
      'in-flight': { type: 'string', default: '64' },
      directory: { type: 'string', default: 'bench/out' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
      writer: { type: 'string' },
    },
  })
  if (values.writer !== undefined) return write(JSON.parse(values.writer) as WriterOptions)
  if (values.help) return void process.stdout.write(HELP)
  await mkdir(values.directory, { recursive: true })
  for (const inFlight of [0, Number(values['in-flight'])]) {
    const parent = await mkdtemp(join(values.directory, 'tail-delay-'))
    try {
      const directory = join(parent, 'store')
      await (await EventStore.open(directory)).close()
      const delay = await measure({ directory, events: Number(values.events), gapMs: Number(values['gap-ms']), inFlight })
      process.stdout.write(values.json ? `${JSON.stringify(delay)}\n` : `${textOf(delay)}\n`)
    } finally {
      await rm(parent, { recursive: true, force: true })
    }
  }
}

function textOf({ beside, events, p50Ms, p99Ms, maxMs }: TailDelay): string {
  const figures = `p50 ${p50Ms.toFixed(1)} ms, p99 ${p99Ms.toFixed(1)} ms, max ${maxMs.toFixed(1)} ms`
  return `ack to printed line, ${events} events beside ${beside}: ${figures}; the target is ${TARGET_MS} ms`
}

await main()
