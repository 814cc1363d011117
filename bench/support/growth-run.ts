import { join } from 'node:path'
import { RATE, READS } from './bench-plan.ts'
import { type ContestRun, loadInto, type RunResult, runContests } from './bench-run.ts'
import type { Contest, Entrant, Handling, MainFigure, Target } from './contest.ts'
import { eventCount, scaled } from './data-set.ts'
import type { Figures } from './figures.ts'
import { runAndKill, runTask } from './run-task.ts'
import { TAILRACE } from './subjects.ts'
import { bytes, figure } from './table.ts'

export interface GrowthOptions extends ContestRun {
  /** Of 1.01 million events; the others are measured against the first. */
  readonly scales: readonly number[]
}

/** A store that holds so much already. Each measurement of appends makes it a little larger. */
interface Grown {
  readonly name: string
  readonly directory: string
  readonly scale: number
}

const PAYLOAD = 256
const READ_LIMIT = 1_000_000
/** What 50 times the data may cost. */
const TOLERANCE = 0.15

const LATENCY: MainFigure = { name: 'p50Us', unit: 'µs (p50)', digits: 0, isMoreBetter: false }
const OPENING: MainFigure = { name: 'openMs', unit: 'ms to open', digits: 1, isMoreBetter: false }

/** W7: what W1 to W6 come to in stores that hold more and more. The stores take turns, as all do. */
export async function runGrowth(options: GrowthOptions): Promise<RunResult> {
  const stores = options.scales.map(scale => ({
    name: `tailrace, ${figure(scale, scale < 1 ? 2 : 0)}x`,
    directory: join(options.directory, `grown-${scale}`),
    scale,
  }))
  for (const { directory, scale } of stores) await loadInto(directory, TAILRACE, scaled(scale), options.say)
  return runContests(options, () => planGrowth(stores, options.seconds))
}

function planGrowth(stores: readonly Grown[], seconds: number): Contest[] {
  const limit = Math.min(READ_LIMIT, ...stores.map(({ scale }) => eventCount(scaled(scale))))
  const contest = (
    shape: string,
    main: MainFigure,
    measure: (store: Grown, round: number, handling: Handling) => Promise<Figures>,
  ): Contest => ({
    workload: 'W7',
    shape,
    main,
    entrants: stores.map(
      (store): Entrant => ({
        name: store.name,
        durability: 'fsync',
        measure: (round, handling) => measure(store, round, handling),
      }),
    ),
    targets: main === OPENING ? [] : [growthTarget(stores, main)],
  })
  const appending = (inFlight: number, payloadBytes: number, batchEvents = 1) => {
    const load = { inFlight, payloadBytes, batchEvents, streams: inFlight === 1 ? 1 : 1000 }
    return (store: Grown, _round: number, handling: Handling) =>
      runTask({ kind: 'append', ...spec(store), ...load, seconds, warmupSeconds: seconds / 2 }, handling)
  }
  const opening = (store: Grown, round: number) => ({ ...spec(store), stream: `opened-${round}` })
  return [
    contest('W1: one in flight, 256 B', LATENCY, appending(1, PAYLOAD)),
    ...[
      [64, 100],
      [4096, 100],
      [1024, 1024],
    ].map(([inFlight, payload]) =>
      contest(`W2: ${figure(inFlight!)} in flight, ${bytes(payload!)}`, RATE, appending(inFlight!, payload!)),
    ),
    contest('W3: batches of 100 events of 256 B, 16 in flight', RATE, appending(16, PAYLOAD, 100)),
    contest(`W4: the first ${figure(limit)} events`, RATE, (store, _, handling) =>
      runTask({ kind: 'scan', limit, ...spec(store) }, handling),
    ),
    contest('W5: streams of 100 events at random, among all that there are', READS, (store, round, handling) => {
      const { streams, eventsPerStream: events } = scaled(store.scale)
      return runTask(
        {
          kind: 'read-streams',
          ...spec(store),
          streams,
          isLong: false,
          events,
          readers: 1,
          seconds,
          seed: round + 1,
        },
        handling,
      )
    }),
    contest('W6: open after a clean close', OPENING, (store, round) => runTask({ kind: 'open', ...opening(store, round) })),
    contest('W6: open after kill -9 with a full active chunk', OPENING, async (store, round) => {
      await runAndKill({ kind: 'append-until-killed', ...opening(store, round), inFlight: 1024 })
      return runTask({ kind: 'open', ...opening(store, round) })
    }),
  ]
}

function growthTarget(stores: readonly Grown[], main: MainFigure): Target {
  const last = stores.at(-1)!.name
  const words = `at ${last.replace('tailrace, ', '')} within 15%`
  return main.isMoreBetter
    ? { kind: 'ratio', to: [last], words, atMost: 1 + TOLERANCE }
    : { kind: 'ratio', to: [last], words, atLeast: 1 / (1 + TOLERANCE) }
}

function spec({ directory }: Grown) {
  return { subject: TAILRACE.name, directory, durability: 'fsync', inFlight: 1, payloadBytes: PAYLOAD } as const
}
