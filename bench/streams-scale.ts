/** Very many events in very many streams: opening, memory, making the index again. `npm run bench:streams-scale -- --help`. */
import { execFile } from 'node:child_process'
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { medians } from './support/contest-result.ts'
import type { Figures } from './support/figures.ts'
import { whole } from './support/options.ts'
import { type Outcome, outcomeTable } from './support/outcomes.ts'
import { runProgramme, type Table } from './support/programme.ts'
import { runAndKill, runTask } from './support/run-task.ts'
import { figure } from './support/table.ts'
import type { Task } from './support/task.ts'

interface Options {
  readonly streams: number
  readonly eventsPerStream: number
  readonly payloadBytes: number
}

const CLEAN_OPEN_PROGRAM = fileURLToPath(new URL('./workloads/clean-open.js', import.meta.url))
/** Short as it is, one open alone says more of what else the machine does just then. */
const CLEAN_ROUNDS = 15

const HELP = `Fills a store with many events in many streams, then opens it after a clean close, after kill -9 with a full
active chunk, and with all index files deleted. Each step in a fresh process; times of clean opens are medians of ${CLEAN_ROUNDS}
processes that do nothing else. Durability: fsync. At the default size it takes some minutes and 4 GB of disk.

  --events N        in all, a multiple of the streams (10000000)
  --streams N       (1000000)
  --payload BYTES   (256)
`

const IN_FLIGHT = 4096
const READS = 2000
const TIMEOUT_SECONDS = 3600
const MEMORY_MIB = 200
const KILLED_OPEN_MS = 250
const REBUILD_PER_SECOND = 500_000

async function run(options: Options, directory: string, say: (line: string) => void): Promise<Table[]> {
  const { streams, eventsPerStream, payloadBytes } = options
  const perform = (task: Task) => runTask(task, { timeoutSeconds: TIMEOUT_SECONDS, onProgress: say })
  const open = () => perform({ kind: 'open-store', directory, streams, reads: READS })
  const filled = await perform({ kind: 'fill-store', directory, streams, eventsPerStream, payloadBytes, inFlight: IN_FLIGHT })
  say(`filled: ${figure(filled['eventsPerSecond']!)} events/s`)
  const looked = await open()
  // What was just filled would be written back beside the opens.
  await promisify(execFile)('sync')
  const cleanRounds: Figures[] = []
  for (let round = 1; round <= CLEAN_ROUNDS; round++) {
    cleanRounds.push(await openAlone(directory))
    say(`opened after a clean close, ${round} of ${CLEAN_ROUNDS}: ${figure(cleanRounds.at(-1)!['openMs']!, 1)} ms`)
  }
  const clean = { ...looked, ...medians(cleanRounds) }
  await runAndKill({
    kind: 'append-until-killed',
    ...{ subject: 'tailrace', directory, durability: 'fsync', inFlight: 1024, payloadBytes, stream: 'killed' },
  })
  const killed = await open()
  say(`opened after kill -9: ${figure(killed['openMs']!, 1)} ms`)
  const indexBytes = await deleteIndexFiles(directory)
  const rebuilt = await open()
  say(`opened without index files: ${figure(rebuilt['openMs']!, 1)} ms`)
  const shape = `${figure(streams * eventsPerStream)} events of ${payloadBytes} B in ${figure(streams)} streams`
  return [
    outcomeTable(shape, 'fsync', outcomesOf(filled, clean, killed, rebuilt), [
      `${figure(clean['chunks']!)} chunks; ${figure(indexBytes)} index files were deleted; ${figure(READS)} streams were read behind each open before its memory was looked at.`,
    ]),
  ]
}

function outcomesOf(filled: Figures, clean: Figures, killed: Figures, rebuilt: Figures): Outcome[] {
  const ms = { unit: 'ms', digits: 1 }
  const memory = { unit: 'MiB', atMost: MEMORY_MIB }
  return [
    { what: 'appending', value: filled['eventsPerSecond']!, unit: 'events/s' },
    { what: 'memory growth while appending', value: filled['memoryMiB']!, ...memory },
    { what: 'event loop held while appending, at most', value: filled['delayMaxMs']!, ...ms },
    // 10 ms, and a tenth for each chunk that is complete.
    { what: 'open after a clean close', value: clean['openMs']!, ...ms, atMost: 10 + 0.1 * (clean['chunks']! - 1) },
    { what: 'the same again, in the same process', value: clean['againMs']!, ...ms },
    { what: 'memory growth after open', value: clean['memoryMiB']!, ...memory },
    { what: 'open after kill -9, full active chunk', value: killed['openMs']!, ...ms, atMost: KILLED_OPEN_MS },
    { what: 'of the active chunk read at that open', value: killed['scannedBytes']! / 2 ** 20, unit: 'MiB', digits: 1 },
    { what: 'open without index files', value: rebuilt['openMs']!, ...ms },
    {
      what: 'index made again',
      value: rebuilt['rebuiltEvents']! / (rebuilt['openMs']! / 1000),
      unit: 'events/s',
      atLeast: REBUILD_PER_SECOND,
    },
    { what: 'memory growth behind that', value: rebuilt['memoryMiB']!, ...memory },
  ]
}

/** In a process of its own, see there. */
async function openAlone(directory: string): Promise<Figures> {
  const { stdout } = await promisify(execFile)(process.execPath, [CLEAN_OPEN_PROGRAM, directory])
  return JSON.parse(stdout) as Figures
}

async function deleteIndexFiles(directory: string): Promise<number> {
  const names = (await readdir(directory)).filter(name => name.endsWith('.index'))
  for (const name of names) await rm(join(directory, name))
  return names.length
}

await runProgramme<Options>({
  name: 'streams-scale',
  title: 'Many streams: opening, memory, making the index again',
  help: HELP,
  flags: { events: '10000000', streams: '1000000', payload: '256' },
  optionsOf: values => {
    const streams = whole(values['streams']!, '--streams', 1e8)
    const events = whole(values['events']!, '--events', 1e9)
    return {
      streams,
      eventsPerStream: Math.max(1, Math.round(events / streams)),
      payloadBytes: whole(values['payload']!, '--payload', 65_536),
    }
  },
  run,
})
