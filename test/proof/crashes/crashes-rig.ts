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
const SEQUENCES_OF_A_JOB = 6
const RUNS_OF_A_JOB = 4

export const crashesRig: Rig = {
  name: 'crashes',
  about:
    'Crash exploration on a simulated disk: each state that a power cut could leave, with unsynced writes lost, kept and torn in any combination, opened by the real engine and compared with what had been acknowledged. Crashes of the recovery, too, two deep.',
  unavailable: async () => null,

  async run({ isQuick, seed }, progress): Promise<RigReport> {
    const wanted = isQuick ? QUICK_STATES : FULL_STATES
    const counts: CrashCounts[] = []
    let distinct = 0
    const startedMs = performance.now()
    let saidMs = startedMs
    for (const jobs of rounds(isQuick, String(seed))) {
      await workThrough<CrashJob, CrashCounts>(WORK, jobs, {
        done(result) {
          counts.push(result)
          distinct += result.distinct
          const nowMs = performance.now()
          if (nowMs - saidMs < 5000) return
          saidMs = nowMs
          const rate = Math.round(distinct / ((nowMs - startedMs) / 1000))
          progress(`${distinct.toLocaleString('en')} distinct states, ${rate.toLocaleString('en')} a second: ${result.name}`)
        },
      })
      const isBroken = counts.some(({ failures }) => failures.length > 0)
      if (isBroken || distinct >= wanted) break
    }
    return reportOf(counts, (performance.now() - startedMs) / 1000)
  },
}

/** What must be run, then more and more of what is random. */
function* rounds(isQuick: boolean, seed: string): Generator<CrashJob[]> {
  const exhaustive = isQuick ? [0, 1, 2] : [0, 1, 2, 3, 4]
  yield exhaustive.flatMap(length => sequenceJobs(sequencesOf(length), seed, length % 2 === 0 ? 512 : 4096, true))
  const names = Object.keys(scenes)
  for (let round = 0; ; round++) {
    const random = new Random(`${seed}/round/${round}`)
    const longer = new Set<string>()
    while (longer.size < (isQuick ? 48 : 480)) {
      longer.add(Array.from({ length: 5 + random.int(4) }, () => random.pick(LETTERS)).join(''))
    }
    const scenesOfRound = names.map(scene => ({ scene, seed, firstRun: round * RUNS_OF_A_JOB, runCount: RUNS_OF_A_JOB }))
    yield [...scenesOfRound, ...sequenceJobs([...longer], `${seed}/${round}`, random.pick([512, 512, 4096]), false)]
  }
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
        head: ['letter', 'operation'],
        rows: Object.entries(OPERATIONS),
      },
    ],
  }
}
