import { scenes } from '../../crash/scenes.ts'
import { LETTERS, OPERATIONS, sequencesOf } from '../../crash/sequence.ts'
import { Random } from '../../support/random.ts'
import type { Rig, RigReport } from '../rig.ts'
import { workThrough } from '../workers.ts'
import type { CrashCounts, CrashJob } from './crashes-work.ts'
import { DENSE } from './dense.ts'

const WORK = new URL('crashes-work.ts', import.meta.url).href

/** Distinct states that are wanted. */
const QUICK_STATES = 500_000
const FULL_STATES = 20_000_000
const SEQUENCES_OF_A_JOB = 4

export const crashesRig: Rig = {
  name: 'crashes',
  about:
    'Crash exploration on a simulated disk: each state that a power cut could leave, with unsynced writes lost, kept and torn in any combination, opened by the real engine and compared with what had been acknowledged. Crashes of the recovery, too, two deep.',
  unavailable: async () => null,

  async run({ isQuick, seed }, progress): Promise<RigReport> {
    const wanted = isQuick ? QUICK_STATES : FULL_STATES
    let distinct = 0
    let isBroken = false
    const startedMs = performance.now()
    let saidMs = startedMs
    const jobs = jobsFor(isQuick, String(seed), () => isBroken || distinct >= wanted)
    const counts = await workThrough<CrashJob, CrashCounts>(WORK, jobs, {
      done(result) {
        distinct += result.distinct
        isBroken ||= result.failures.length > 0
        const nowMs = performance.now()
        if (nowMs - saidMs < (isQuick ? 5000 : 30_000)) return
        saidMs = nowMs
        const rate = Math.round(distinct / ((nowMs - startedMs) / 1000))
        const states = `${distinct.toLocaleString('en')} distinct states, ${rate.toLocaleString('en')} a second`
        progress(`${states}: ${result.name}`, distinct / wanted)
      },
    })
    return reportOf(counts, (performance.now() - startedMs) / 1000)
  },
}

/** What must be run, and then what is random, until there are enough states. */
function* jobsFor(isQuick: boolean, seed: string, isEnough: () => boolean): Generator<CrashJob> {
  for (const length of isQuick ? [0, 1, 2] : [0, 1, 2, 3, 4]) {
    yield* sequenceJobs(sequencesOf(length), seed, sectorSizeFor(length), true)
  }
  for (let round = 0; !isEnough(); round++) {
    const random = new Random(`${seed}/round/${round}`)
    const jobs = [
      ...Object.keys(scenes).map(scene => ({ scene, seed, firstRun: round, runCount: 1 })),
      ...sequenceJobs(
        randomSequences(isQuick ? 12 : 60, [5, 6, 7, 8], random),
        `${seed}/${round}`,
        random.pick([512, 512, 4096]),
        false,
      ),
    ]
    // A full run has had all of these.
    if (isQuick) {
      for (const length of [3, 4]) {
        jobs.push(...sequenceJobs(randomSequences(100, [length], random), `${seed}/${round}`, sectorSizeFor(length), true))
      }
    }
    for (const job of random.shuffle(jobs)) {
      if (isEnough()) return
      yield job
    }
  }
}

function sectorSizeFor(length: number): 512 | 4096 {
  return length % 2 === 0 ? 512 : 4096
}

function randomSequences(count: number, lengths: readonly number[], random: Random): string[] {
  const sequences = new Set<string>()
  while (sequences.size < count) {
    sequences.add(Array.from({ length: random.pick(lengths) }, () => random.pick(LETTERS)).join(''))
  }
  return [...sequences]
}

function sequenceJobs(sequences: readonly string[], seed: string, sectorSize: 512 | 4096, isLastOnly: boolean): CrashJob[] {
  const jobs: CrashJob[] = []
  for (const same of groupByLength(sequences).values()) {
    for (let at = 0; at < same.length; at += SEQUENCES_OF_A_JOB) {
      jobs.push({ sequences: same.slice(at, at + SEQUENCES_OF_A_JOB), seed, sectorSize, crash: DENSE, isLastOnly })
    }
  }
  return jobs
}

function groupByLength(sequences: readonly string[]): Map<number, string[]> {
  const groups = new Map<number, string[]>()
  for (const sequence of sequences) groups.set(sequence.length, [...(groups.get(sequence.length) ?? []), sequence])
  return groups
}

function reportOf(counts: readonly CrashCounts[], seconds: number): RigReport {
  const total = (of: (count: CrashCounts) => number) => counts.reduce((sum, count) => sum + of(count), 0)
  const rows = new Map<string, [workloads: number, states: number, distinct: number, recoveryStates: number]>()
  for (const { name, workloads, states, distinct, recoveryStates } of counts) {
    const row = rows.get(name) ?? [0, 0, 0, 0]
    rows.set(name, [row[0] + workloads, row[1] + states, row[2] + distinct, row[3] + recoveryStates])
  }
  const failures = counts.flatMap(count => count.failures)
  const distinct = total(count => count.distinct)
  return {
    figures: {
      'distinct crash states': distinct,
      'states opened and checked': total(count => count.states),
      'of them, crashes of a recovery': total(count => count.recoveryStates),
      workloads: total(count => count.workloads),
      'distinct states a second': Math.round(distinct / seconds),
      'lost, half visible, out of order, or back again': failures.length,
    },
    failures,
    tables: [
      {
        title: 'Workloads',
        head: ['workload', 'runs', 'states', 'distinct', 'of recoveries'],
        rows: [...rows].map(([name, row]) => [name, ...row.map(figure => figure.toLocaleString('en'))]),
      },
      {
        title: 'Operations of the sequences',
        head: ['letter', 'operation', 'crashes in the midst of it'],
        rows: LETTERS.map(letter => [
          letter,
          OPERATIONS[letter],
          total(({ cutOff }) => cutOff[letter] ?? 0).toLocaleString('en'),
        ]),
      },
    ],
  }
}
