import { Exploration, type Finding, formatPath } from '../../crash/exploration.ts'
import { scenes } from '../../crash/scenes.ts'
import type { Step } from '../../crash/sequence.ts'
import { SequenceExploration } from '../../crash/sequence-exploration.ts'
import type { CrashOptions } from '../../support/crash-states.ts'
import { seedStoreIds } from '../../support/store-ids.ts'

export interface SequencesJob {
  readonly sequences: readonly string[]
  readonly seed: string
  readonly sectorSize: 512 | 4096
  readonly crash: CrashOptions
  /** Only crashes during the last operation and what follows: those before it are those of a shorter sequence. */
  readonly isLastOnly: boolean
}

export interface SceneJob {
  readonly scene: string
  readonly seed: string
  readonly firstRun: number
  readonly runCount: number
}

/** A scene's seed, or a sequence and its seed, is one workload: no two jobs share any, so what each counts adds up. */
export type CrashJob = SequencesJob | SceneJob

export interface CrashCounts {
  readonly name: string
  readonly workloads: number
  readonly states: number
  readonly distinct: number
  readonly recoveryStates: number
  /** States of sequences by the step that was cut off. */
  readonly cutOff: Partial<Record<Step, number>>
  readonly failures: readonly string[]
}

const MOST_STATES_OF_A_RUN = 20_000

export async function work(job: CrashJob): Promise<CrashCounts> {
  return 'scene' in job ? exploreScene(job) : exploreSequences(job)
}

async function exploreSequences(job: SequencesJob): Promise<CrashCounts> {
  const { sequences, sectorSize } = job
  const exploration = new SequenceExploration(job)
  for (const sequence of sequences) {
    await exploration.run(sequence)
    if (exploration.findings.length > 0) break
  }
  const { states, distinct, recoveryStates, cutOff, findings } = exploration
  const length = sequences[0]!.length
  return {
    name: `${length <= 4 ? 'all sequences' : 'random sequences'} of ${length} operations, sectors of ${sectorSize} bytes`,
    workloads: sequences.length,
    states,
    distinct,
    recoveryStates,
    cutOff,
    failures: findings.map(finding => describe(finding, `--sequence ${finding.seed} --sector ${sectorSize} --seed ${job.seed}`)),
  }
}

async function exploreScene(job: SceneJob): Promise<CrashCounts> {
  const { scene, seed, firstRun, runCount } = job
  const counts = { states: 0, distinct: 0, recoveryStates: 0 }
  const failures: string[] = []
  for (let run = firstRun; run < firstRun + runCount && failures.length === 0; run++) {
    const exploration = new Exploration(scenes[scene]!)
    seedStoreIds(`${seed}-${run}`)
    await exploration.run(`${seed}-${run}`, MOST_STATES_OF_A_RUN)
    counts.states += exploration.states
    counts.recoveryStates += exploration.recoveryStates
    counts.distinct += exploration.distinct.size
    failures.push(...exploration.findings.map(finding => describe(finding, `--scene '${scene}' --seed ${finding.seed}`)))
  }
  return { name: scene, workloads: runCount, ...counts, cutOff: {}, failures }
}

function describe({ path, message }: Finding, which: string): string {
  const what = message.split('\n').slice(0, 3).join(' ')
  return `${what}; replay: node --conditions=tailrace-source --import tsx test/proof/crashes/replay.ts ${which} --path ${formatPath(path)}`
}
