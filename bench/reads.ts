/** Reads beside SQLite and LMDB on the same data. `npm run bench:reads -- --help`. */
import { join } from 'node:path'
import { RATE, READS, readLimit } from './support/bench-plan.ts'
import { loadInto, runContests } from './support/bench-run.ts'
import type { Contest, Entrant } from './support/contest.ts'
import { type DataSet, eventCount } from './support/data-set.ts'
import type { Figures } from './support/figures.ts'
import { secondsOf, UsageError, whole } from './support/options.ts'
import { contestTable, runProgramme, type Table } from './support/programme.ts'
import { runTask } from './support/run-task.ts'
import type { SubjectDescription } from './support/subject.ts'
import { FLOOR_B_READ, PEERS, TAILRACE } from './support/subjects.ts'
import { figure } from './support/table.ts'

interface Options {
  readonly scale: number
  readonly seconds: number
  readonly rounds: number
}

const HELP = `Streams of 100 events at random among 10,000, streams of 10 among 1,000,000, and a scan of 1,000,000 events of
256 B: Tailrace, a hand-written log, SQLite and LMDB, each with the same data, in turn. Streams are read from the cache
of the system: the files are read once before each measurement. Durability of the data: fsync. At full scale it takes a
quarter of an hour and 12 GB of disk. npm run bench:peers installs SQLite and LMDB.

  --scale X         of the number of streams (1)
  --seconds S       measured for each, after a warm-up of half of it (3)
  --rounds N        medians are shown (3)
`

const PAYLOAD = 256
const LEAST_OF_SQLITE = 1.2
const SCAN_EVENTS = 1_000_000
const ROOMY_BYTES = 512 * 2 ** 20

interface Loaded {
  readonly set: DataSet
  readonly name: string
  readonly readers: readonly number[]
}

async function run(options: Options, directory: string, say: (line: string) => void): Promise<Table[]> {
  const peers = PEERS.filter(({ name }) => name === 'sqlite' || name === 'lmdb').flatMap(peer => peer.variants)
  const subjects = [TAILRACE, FLOOR_B_READ, ...peers].filter(
    subject => subject.workloads.includes('W5') && subject.absent() === null,
  )
  for (const peer of peers) if (peer.absent() !== null) say(`Without ${peer.name}: ${peer.absent()}`)
  const streams = (count: number) => Math.max(10, Math.round(count * options.scale))
  const of100: Loaded = { name: 'of-100', set: dataSet(streams(10_000), 100), readers: [1, 16] }
  const of10: Loaded = { name: 'of-10', set: dataSet(streams(1_000_000), 10), readers: [1, 16] }
  const place = (loaded: Loaded, subject: SubjectDescription) => join(directory, `${loaded.name}-${subject.name}`)
  for (const loaded of [of100, of10]) {
    // An index in memory of ten million events is not what the floor is for.
    const loading = loaded === of10 ? subjects.filter(subject => subject !== FLOOR_B_READ) : subjects
    for (const subject of loading) await loadInto(place(loaded, subject), subject, loaded.set, say)
  }
  const contests = [of100, of10].flatMap(loaded =>
    loaded.readers.map(readers => planReads(loaded, readers, subjects, options.seconds, subject => place(loaded, subject))),
  )
  const scan = planScan(of100, subjects, subject => place(of100, subject))
  const { contests: results } = await runContests({ ...options, directory, say }, () => [...contests, scan])
  return results.map(contestTable)
}

function planReads(
  { name, set }: Loaded,
  readers: number,
  subjects: readonly SubjectDescription[],
  seconds: number,
  place: (subject: SubjectDescription) => string,
): Contest {
  const reading = (subject: SubjectDescription, label = subject.name, cacheBytes?: number): Entrant => ({
    name: label,
    durability: 'fsync',
    measure: (round): Promise<Figures> =>
      runTask({
        kind: 'read-streams',
        ...openSpec(subject, place(subject)),
        ...{ streams: set.streams, isLong: false, events: set.eventsPerStream, readers, seconds, seed: round + 1 },
        ...(cacheBytes === undefined ? {} : { cacheBytes }),
      }),
  })
  const others = subjects.slice(1).filter(subject => name === 'of-100' || subject !== FLOOR_B_READ)
  return {
    workload: 'reads',
    shape: `streams of ${set.eventsPerStream} events at random among ${figure(set.streams)}, ${readers === 1 ? 'one reader' : `${readers} readers`}`,
    main: READS,
    entrants: [
      reading(TAILRACE),
      reading(TAILRACE, 'tailrace, cache of 512 MiB', ROOMY_BYTES),
      ...others.map(subject => reading(subject)),
    ],
    targets: [
      {
        kind: 'ratio',
        to: ['sqlite-group'],
        atLeast: LEAST_OF_SQLITE,
        words: `at least ${LEAST_OF_SQLITE} of SQLite, with the default cache`,
      },
      { kind: 'ratio', to: ['sqlite-group', 'lmdb'], atLeast: 1, words: 'ahead of both' },
    ],
    limit: readLimit(PAYLOAD * set.eventsPerStream),
  }
}

function planScan(
  { set }: Loaded,
  subjects: readonly SubjectDescription[],
  place: (subject: SubjectDescription) => string,
): Contest {
  const limit = Math.min(SCAN_EVENTS, eventCount(set))
  return {
    workload: 'reads',
    shape: `scan of ${figure(limit)} events of ${PAYLOAD} B`,
    main: RATE,
    entrants: subjects.map(subject => ({
      name: subject.name,
      durability: 'fsync',
      measure: () => runTask({ kind: 'scan', limit, ...openSpec(subject, place(subject)) }),
    })),
    targets: [{ kind: 'ratio', to: ['sqlite-group', 'lmdb'], atLeast: 1, words: 'ahead of both' }],
    limit: readLimit(PAYLOAD),
  }
}

function dataSet(streams: number, eventsPerStream: number): DataSet {
  return { streams, eventsPerStream, longStreams: 0, eventsPerLongStream: 0, payloadBytes: PAYLOAD }
}

function openSpec(subject: SubjectDescription, directory: string) {
  return { subject: subject.name, directory, durability: 'fsync', inFlight: 1, payloadBytes: PAYLOAD } as const
}

await runProgramme<Options>({
  name: 'reads',
  title: 'Reads beside SQLite and LMDB',
  help: HELP,
  flags: { scale: '1', seconds: '3', rounds: '3' },
  optionsOf: values => {
    const scale = Number(values['scale'])
    if (!(scale > 0 && scale <= 10)) throw new UsageError(`--scale must be above 0 and up to 10, not '${values['scale']}'`)
    return { scale, seconds: secondsOf(values['seconds']!), rounds: whole(values['rounds']!, '--rounds', 100) }
  },
  run,
})
