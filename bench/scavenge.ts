/** Scavenging and backups while the store is in use. `npm run bench:scavenge -- --help`. */
import { join } from 'node:path'
import type { Figures } from './support/figures.ts'
import { secondsOf, whole } from './support/options.ts'
import { type Outcome, outcomeTable } from './support/outcomes.ts'
import { runProgramme, type Table } from './support/programme.ts'
import { runTask } from './support/run-task.ts'
import { figure } from './support/table.ts'

interface Options {
  readonly streams: number
  readonly eventsPerStream: number
  readonly seconds: number
  readonly backups: number
  readonly seed: number
}

const HELP = `Scavenges a log of which 90% is dead (by the maxCount of its streams) under appends and reads, and checks afterwards, and
again in a reopened store, that every stream has all that it should, byte for byte. Then takes backups at random moments under
appends; each is opened, and must be a prefix of the log that holds all that was acked when it began. Durability: fsync.

  --events N        dead and alive (4000000)
  --streams N       (2000)
  --seconds S       of the same load without a scavenge, to compare with (5)
  --backups N       (100)
  --seed N          of the random moments (1)
`

const PAYLOAD = 256
const APPENDS_IN_FLIGHT = 64
const READERS = 2
const HELD_MS = 20
const MIB = 2 ** 20

async function run(options: Options, directory: string, say: (line: string) => void): Promise<Table[]> {
  const { streams, eventsPerStream, seconds, backups, seed } = options
  const handling = { timeoutSeconds: 3600, onProgress: say }
  const scavenged = await runTask(
    {
      kind: 'scavenge',
      directory: join(directory, 'scavenge'),
      ...{ streams, eventsPerStream, payloadBytes: PAYLOAD, keptShare: 0.1, secondsBefore: seconds, seed },
      ...{ appendsInFlight: APPENDS_IN_FLIGHT, readers: READERS },
    },
    handling,
  )
  const shape = `${figure(streams * eventsPerStream)} events of ${PAYLOAD} B, 90% dead; ${APPENDS_IN_FLIGHT} appends in flight, ${READERS} readers`
  const table = outcomeTable(shape, 'fsync', scavengeOutcomes(scavenged), [
    'Before and behind a reopen, every stream was read whole and each event held against what was given. Nothing was lost.',
  ])
  if (backups === 0) return [table]
  const backedUp = await runTask(
    {
      kind: 'backups',
      directory: join(directory, 'backups'),
      ...{ backups, clients: 64, payloadBytes: PAYLOAD, chunkSizeBytes: 4 * MIB, seed },
    },
    handling,
  )
  return [
    table,
    outcomeTable(`${backups} backups at random moments under 64 clients (seed ${seed})`, 'fsync', backupOutcomes(backedUp)),
  ]
}

function scavengeOutcomes(figures: Figures): Outcome[] {
  const of = (name: string) => figures[name]!
  const ms = (what: string, name: string): Outcome[] => [
    { what: `${what}, without`, value: of(`before.${name}`) / 1000, unit: 'ms', digits: 2 },
    { what: `${what}, during it`, value: of(`during.${name}`) / 1000, unit: 'ms', digits: 2 },
  ]
  return [
    { what: 'log before', value: of('bytesBefore') / MIB, unit: 'MiB' },
    { what: 'freed', value: of('bytesFreed') / MIB, unit: 'MiB' },
    { what: 'events dropped', value: of('eventsDropped'), unit: '' },
    { what: 'it took', value: of('seconds'), unit: 's', digits: 1 },
    ...ms('append p50', 'appendP50Us'),
    ...ms('append p99', 'appendP99Us'),
    { what: 'appends, without', value: of('before.appendsPerSecond'), unit: '/s' },
    { what: 'appends, during it', value: of('during.appendsPerSecond'), unit: '/s' },
    { what: 'stream reads, without', value: of('before.readsPerSecond'), unit: '/s' },
    { what: 'stream reads, during it', value: of('during.readsPerSecond'), unit: '/s' },
    { what: 'event-loop delay p99, without', value: of('before.delayP99Ms'), unit: 'ms', digits: 1 },
    { what: 'event-loop delay p99, during it', value: of('during.delayP99Ms'), unit: 'ms', digits: 1 },
    { what: 'event-loop delay at most, without', value: of('before.delayMaxMs'), unit: 'ms', digits: 1 },
    { what: 'event-loop delay at most, during it', value: of('during.delayMaxMs'), unit: 'ms', digits: 1, atMost: HELD_MS },
  ]
}

function backupOutcomes(figures: Figures): Outcome[] {
  return [
    { what: 'restored, and holding all that was acked', value: figures['backups']!, unit: 'backups' },
    { what: 'events held against what was given', value: figures['checkedEvents']!, unit: '' },
    { what: 'a backup takes, p50', value: figures['backupP50Us']! / 1000, unit: 'ms', digits: 1 },
    { what: 'a backup takes, at most', value: figures['backupMaxUs']! / 1000, unit: 'ms', digits: 1 },
    { what: 'append p99 meanwhile', value: figures['appendP99Us']! / 1000, unit: 'ms', digits: 2 },
  ]
}

await runProgramme<Options>({
  name: 'scavenge',
  title: 'Scavenging and backups while the store is in use',
  help: HELP,
  flags: { events: '4000000', streams: '2000', seconds: '5', backups: '100', seed: '1' },
  optionsOf: values => {
    const streams = whole(values['streams']!, '--streams', 1e6)
    return {
      streams,
      eventsPerStream: Math.max(10, Math.round(whole(values['events']!, '--events', 1e9) / streams)),
      seconds: secondsOf(values['seconds']!),
      backups: values['backups'] === '0' ? 0 : whole(values['backups']!, '--backups', 10_000),
      seed: whole(values['seed']!, '--seed', 2 ** 31),
    }
  },
  run,
})
