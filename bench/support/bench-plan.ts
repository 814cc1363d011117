import type { Contest, Entrant, Handling, Limit, MainFigure, Target } from './contest.ts'
import { type DataSet, eventCount } from './data-set.ts'
import type { Figures } from './figures.ts'
import { runAndKill, runTask } from './run-task.ts'
import type { SubjectDescription, Workload } from './subject.ts'
import { FLOOR_A, FLOOR_B, FLOOR_B_READ, TAILRACE } from './subjects.ts'
import { bytes, figure } from './table.ts'

/** What the contests are planned with. */
export interface Plan {
  readonly workloads: readonly Workload[]
  /** Tailrace is always there; these are beside it and the floors. */
  readonly peers: readonly SubjectDescription[]
  readonly seconds: number
  /** Fewer shapes of W2. */
  readonly isQuick: boolean
  readonly dataSet: DataSet
  /** Where the data set of a subject lies; the run loads it before the first round. */
  readonly dataDirectory: (subject: SubjectDescription) => string
  /** An empty directory for one measurement, removed behind it. */
  readonly inScratch: (measure: (directory: string) => Promise<Figures>) => Promise<Figures>
}

const QUICK_W2_LOADS = [
  { payloadBytes: 100, inFlight: 64 },
  { payloadBytes: 100, inFlight: 4096 },
  { payloadBytes: 1024, inFlight: 1024 },
]
const W2_LOADS = [100, 1024].flatMap(payloadBytes => [64, 1024, 4096].map(inFlight => ({ payloadBytes, inFlight })))
/** By payload and how many are in flight. */
const LEAST_OF_FLOOR_B: Readonly<Record<string, number>> = { '100/64': 1.3, '100/4096': 1.15, '1024/1024': 1.2, '1024/4096': 1.5 }
const PAYLOAD = 256
const BATCH_EVENTS = 100
/** Reads are measured for so long at least: in less, a cache of 512 MiB is still being filled. */
const READ_SECONDS = 2.5
const ROOMY = 'tailrace, cache of 512 MiB'
const CACHE_512 = 512 * 1024 * 1024
const STREAM_STORES = ['sqlite', 'sqlite-group', 'lmdb', 'level', 'level-group', 'redis', 'postgres-group']

export const RATE: MainFigure = { name: 'eventsPerSecond', unit: 'events/s', digits: 0, isMoreBetter: true }
const LATENCY: MainFigure = { name: 'p50Us', unit: 'µs (p50)', digits: 0, isMoreBetter: false }
export const READS: MainFigure = { name: 'streamsPerSecond', unit: 'streams/s', digits: 0, isMoreBetter: true }
const OPENING: MainFigure = { name: 'firstAckMs', unit: 'ms to the first ack', digits: 1, isMoreBetter: false }

/** The contests of W1 to W6, in order. */
export function planContests(plan: Plan): Contest[] {
  const planned: Partial<Record<Workload, () => Contest[]>> = {
    W1: () => [planLatency(plan)],
    W2: () => (plan.isQuick ? QUICK_W2_LOADS : W2_LOADS).map(load => planThroughput(plan, load.payloadBytes, load.inFlight)),
    W3: () => [planBatches(plan)],
    W4: () => [planScan(plan)],
    W5: () => [planReads(plan, false, 1), planReads(plan, false, 16), planReads(plan, true, 1)],
    W6: () => [planOpening(plan, false), planOpening(plan, true)],
  }
  return plan.workloads.flatMap(workload => planned[workload]?.() ?? [])
}

/** Those that read what was loaded before. */
export function readersOf({ workloads, peers }: Pick<Plan, 'workloads' | 'peers'>): SubjectDescription[] {
  const reading = workloads.filter(workload => workload === 'W4' || workload === 'W5' || workload === 'W6')
  return reading.length === 0 ? [] : taking(reading[0]!, [TAILRACE, FLOOR_B_READ, ...peers])
}

function taking(workload: Workload, subjects: readonly SubjectDescription[]): SubjectDescription[] {
  return subjects.filter(subject => subject.workloads.includes(workload))
}

function entrant(subject: SubjectDescription, measure: Entrant['measure'], name: string = subject.name): Entrant {
  return { name, durability: subject.isDurable ? 'fsync' : 'os', measure }
}

function planLatency(plan: Plan): Contest {
  return {
    workload: 'W1',
    shape: `one in flight, ${PAYLOAD} B, one stream`,
    main: LATENCY,
    entrants: taking('W1', [TAILRACE, FLOOR_A, FLOOR_B, ...plan.peers]).map(subject =>
      // Floor (a) has one shape only.
      appendEntrant(plan, subject, {
        inFlight: 1,
        payloadBytes: subject === FLOOR_A ? 300 : PAYLOAD,
        streams: 1,
        batchEvents: 1,
      }),
    ),
    targets: [{ kind: 'ratio', to: [FLOOR_A.name], atMost: 1.1, words: 'p50 at most 1.1 of floor (a)' }],
    limit: limits => ({ value: limits['prefilledSyncP50Us']!, of: 'a write and fdatasync over existing blocks, blocking' }),
  }
}

function planThroughput(plan: Plan, payloadBytes: number, inFlight: number): Contest {
  const least = LEAST_OF_FLOOR_B[`${payloadBytes}/${inFlight}`]
  const targets: Target[] = []
  if (least !== undefined) {
    targets.push({ kind: 'ratio', to: [FLOOR_B.name], atLeast: least, words: `at least ${least} of floor (b)` })
  }
  if (payloadBytes === 100 && inFlight === 4096) {
    targets.push(
      { kind: 'ratio', to: STREAM_STORES, atLeast: 3, words: 'at least 3 times the best durable stream store' },
      {
        kind: 'ratio',
        to: [FLOOR_B.name],
        figure: 'cpuPerMillion',
        atMost: 1,
        words: 'CPU a million appends at most 1.0 of floor (b)',
      },
    )
  }
  targets.push({ kind: 'value', figure: 'memoryMiB', atMost: 100, words: 'at most 100 MiB above the imported package' })
  return {
    workload: 'W2',
    shape: `${figure(inFlight)} in flight, ${bytes(payloadBytes)}, 1,000 streams`,
    main: RATE,
    entrants: taking('W2', [TAILRACE, FLOOR_B, ...plan.peers]).map(subject =>
      appendEntrant(plan, subject, { inFlight, payloadBytes, streams: 1000, batchEvents: 1 }),
    ),
    targets,
    limit: limits => appendLimit(limits, payloadBytes, 1),
  }
}

function planBatches(plan: Plan): Contest {
  return {
    workload: 'W3',
    shape: `batches of ${BATCH_EVENTS} events of ${PAYLOAD} B, 16 in flight, 1,000 streams`,
    main: RATE,
    entrants: taking('W3', [TAILRACE, FLOOR_B, ...plan.peers]).map(subject =>
      appendEntrant(plan, subject, { inFlight: 16, payloadBytes: PAYLOAD, streams: 1000, batchEvents: BATCH_EVENTS }),
    ),
    targets: [
      { kind: 'ratio', to: [FLOOR_B.name], atLeast: 1.2, words: 'at least 1.2 of floor (b)' },
      { kind: 'ratio', to: STREAM_STORES, atLeast: 2, words: 'at least twice the best peer' },
    ],
    limit: limits => appendLimit(limits, PAYLOAD, BATCH_EVENTS),
  }
}

function appendEntrant(
  { seconds, inScratch }: Plan,
  subject: SubjectDescription,
  load: { inFlight: number; payloadBytes: number; streams: number; batchEvents: number },
): Entrant {
  return entrant(subject, (_, handling) =>
    inScratch(directory =>
      runTask(
        {
          kind: 'append',
          subject: subject.name,
          directory,
          durability: 'fsync',
          ...load,
          seconds,
          warmupSeconds: Math.min(seconds / 2, 1),
        },
        handling,
      ),
    ),
  )
}

/** The bytes must go to the disk, the promises through the event loop: the nearer limit counts. */
function appendLimit(limits: Figures, payloadBytes: number, eventsPerPromise: number): Limit {
  const disk = (limits['writeMibPerSecond']! * 2 ** 20) / payloadBytes
  const promises = limits['promisesPerSecond']! * eventsPerPromise
  return disk < promises
    ? { value: disk, of: 'sequential writing, the payload alone' }
    : { value: promises, of: 'making and resolving a promise per append' }
}

function planScan(plan: Plan): Contest {
  const limit = eventCount(plan.dataSet)
  return {
    workload: 'W4',
    shape: `${figure(limit)} events of ${PAYLOAD} B with payload, stream, revision`,
    main: RATE,
    entrants: taking('W4', [TAILRACE, FLOOR_B_READ, ...plan.peers]).map(subject =>
      entrant(subject, (_, handling) => runTask({ kind: 'scan', limit, ...dataOf(plan, subject) }, handling)),
    ),
    targets: [{ kind: 'ratio', to: [FLOOR_B_READ.name], atLeast: 1.4, words: 'at least 1.4 of the hand-written scan' }],
    limit: readLimit(PAYLOAD),
  }
}

function planReads(plan: Plan, isLong: boolean, readers: number): Contest {
  const { dataSet } = plan
  const seconds = plan.isQuick ? plan.seconds : Math.max(plan.seconds, READ_SECONDS)
  const [streams, events] = isLong
    ? [dataSet.longStreams, dataSet.eventsPerLongStream]
    : [dataSet.streams, dataSet.eventsPerStream]
  const reading = (subject: SubjectDescription, cacheBytes?: number) => (round: number, handling: Handling) =>
    runTask(
      {
        kind: 'read-streams',
        ...dataOf(plan, subject),
        ...{ streams, isLong, events, readers, seconds, seed: round + 1 },
        ...(cacheBytes === undefined ? {} : { cacheBytes }),
      },
      handling,
    )
  const roomy = entrant(TAILRACE, reading(TAILRACE, CACHE_512), ROOMY)
  const [own, ...others] = taking('W5', [TAILRACE, FLOOR_B_READ, ...plan.peers]).map(subject =>
    entrant(subject, reading(subject)),
  )
  return {
    workload: 'W5',
    shape: `streams of ${figure(events)} events at random, ${figure(streams)} of them, ${readers === 1 ? 'one reader' : `${readers} readers`}`,
    main: READS,
    entrants: [own!, roomy, ...others],
    targets: isLong ? [] : readTargets(readers),
    limit: readLimit(PAYLOAD * events),
  }
}

function readTargets(readers: number): Target[] {
  const atLeast = readers === 1 ? 10_000 : 12_000
  return [
    { kind: 'ratio', to: ['sqlite-group'], atLeast: 1.2, words: 'at least 1.2 of SQLite, with the default cache' },
    { kind: 'value', figure: READS.name, of: ROOMY, atLeast, words: `${figure(atLeast)} a second with a cache of 512 MiB` },
  ]
}

function planOpening(plan: Plan, isKilled: boolean): Contest {
  const opening = (subject: SubjectDescription, round: number) => ({
    ...dataOf(plan, subject),
    stream: `opened-${isKilled ? 'killed' : 'clean'}-${round}`,
  })
  return {
    workload: 'W6',
    shape: `${figure(eventCount(plan.dataSet))} events, ${isKilled ? 'after kill -9 with a full active chunk' : 'after a clean close'}`,
    main: OPENING,
    entrants: taking('W6', [TAILRACE, FLOOR_B_READ, ...plan.peers]).map(subject =>
      entrant(subject, async (round, handling) => {
        if (isKilled) await runAndKill({ kind: 'append-until-killed', ...opening(subject, round), inFlight: 1024 })
        return runTask({ kind: 'open', ...opening(subject, round) }, handling)
      }),
    ),
    targets: [
      isKilled
        ? { kind: 'value', figure: 'openMs', atMost: 250, words: 'open within 250 ms' }
        : { kind: 'value', figure: 'openMs', atMost: 10, words: 'open within 10 ms' },
    ],
  }
}

function dataOf({ dataDirectory }: Plan, subject: SubjectDescription) {
  return {
    subject: subject.name,
    directory: dataDirectory(subject),
    durability: 'fsync',
    inFlight: 1,
    payloadBytes: PAYLOAD,
  } as const
}

export function readLimit(payloadBytes: number) {
  return (limits: Figures): Limit => ({
    value: (limits['checkedReadMibPerSecond']! * 2 ** 20) / payloadBytes,
    of: 'reading the payload from the page cache with a checksum',
  })
}
