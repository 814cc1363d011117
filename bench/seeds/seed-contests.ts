import type { Contest, Entrant, MainFigure } from '../support/contest.ts'
import type { Figures } from '../support/figures.ts'
import { runTask } from '../support/run-task.ts'
import type { Task } from '../support/task.ts'

export interface SeedPlan {
  /** Of the sizes that the programmes had; 1 is all of it. */
  readonly scale: number
  readonly seconds: number
  readonly inScratch: (measure: (directory: string) => Promise<Figures>) => Promise<Figures>
  readonly say: (line: string) => void
}

type Durability = 'fsync' | 'os'

/** Without the directory: that is made for each measurement. */
type Bare<Kind extends Task> = Kind extends Task ? Omit<Kind, 'directory' | 'durability'> : never

const FLUSH_CONCURRENCY = [1, 10, 100, 1000]

/**
 * What the projects measured that Tailrace takes after, with the durable twin that they left out. Their published figures are
 * from other machines, and mostly of something else than their titles say; so they are told, not compared with.
 */
export function planSeeds(plan: SeedPlan): Contest[] {
  // Fewer than ten of anything say nothing.
  const sized = (count: number) => Math.max(10, Math.round(count * plan.scale))
  return [
    ...[
      { journals: 6000, eventsPerJournal: 120 },
      { journals: 100, eventsPerJournal: 12_000 },
    ].map(({ journals, eventsPerJournal }) =>
      contest(plan, {
        workload: 'everstore',
        shape: `${journals} journals of ${eventsPerJournal} events: events --> ms of a pass of reads through transactions`,
        main: { name: 'readMs', unit: 'ms', digits: 0, isMoreBetter: false },
        task: { kind: 'everstore', journals: sized(journals), eventsPerJournal: sized(eventsPerJournal), runs: sized(20) },
        note: 'Published: 720,000 --> about 1,000 ms and 1,200,000 --> about 1,300 ms; reads over a loopback connection, no write.',
      }),
    ),
    ...[1, 5].map(gigabytes =>
      contest(plan, {
        workload: 'voik',
        shape: `${gigabytes} GB in records of 1,000 B: written, then read and verified cold and warm`,
        main: { name: 'writeMbPerSecond', unit: 'MB/s written', digits: 0, isMoreBetter: true },
        task: { kind: 'voik', records: sized(gigabytes * 1e6) },
        note: 'Published: 5 GB written in 27 to 38 s without waiting for the disk; its reads look up records and look at no byte.',
      }),
    ),
    contest(plan, {
      workload: 'exdaas',
      shape: '20,001 documents fetched one after the other, a stream each, cold and then warm',
      main: { name: 'coldMs', unit: 'ms cold', digits: 0, isMoreBetter: false },
      task: { kind: 'exdaas', documents: sized(20_001) },
      note: 'Cold, each fetch waits for its own write. Its store wrote to memory and to a table that is saved later.',
    }),
    contest(plan, {
      workload: 'memstate',
      shape: '10 times 10,000 concurrent appends, awaited together',
      main: { name: 'commandsPerSecond', unit: 'appends/s', digits: 0, isMoreBetter: true },
      task: { kind: 'memstate', runs: 10, commands: sized(10_000) },
      note: 'Its goal: 100,000 writes a second.',
    }),
    ...FLUSH_CONCURRENCY.map(inFlight => planFlushes(plan, inFlight)),
  ]
}

interface Programme {
  readonly workload: string
  readonly shape: string
  readonly main: MainFigure
  readonly task: Bare<Extract<Task, { kind: 'everstore' | 'voik' | 'exdaas' | 'memstate' }>>
  readonly note: string
}

function contest(plan: SeedPlan, { task, ...rest }: Programme): Contest {
  return { ...rest, entrants: bothModes(plan, durability => ({ ...task, durability })), targets: [] }
}

function planFlushes(plan: SeedPlan, inFlight: number): Contest {
  return {
    workload: 'flushes',
    shape: `${inFlight} in flight, 256 B: appends that share a flush`,
    main: { name: 'appendsPerFlush', unit: 'appends per flush', digits: 1, isMoreBetter: true },
    entrants: [
      entrant(plan, 'fsync', {
        kind: 'append',
        subject: 'tailrace',
        durability: 'fsync',
        ...{ inFlight, payloadBytes: 256, streams: 1000, batchEvents: 1 },
        ...{ seconds: plan.seconds, warmupSeconds: plan.seconds / 2 },
      }),
    ],
    targets: [],
  }
}

function bothModes(plan: SeedPlan, taskOf: (durability: Durability) => object): Entrant[] {
  return (['fsync', 'os'] as const).map(durability => entrant(plan, durability, taskOf(durability)))
}

function entrant({ inScratch, say }: SeedPlan, durability: Durability, task: object): Entrant {
  return {
    name: 'tailrace',
    durability,
    measure: () => inScratch(directory => runTask({ ...task, directory } as Task, { timeoutSeconds: 1200, onProgress: say })),
  }
}
