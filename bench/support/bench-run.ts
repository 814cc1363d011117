import { join } from 'node:path'
import { type Plan, planContests, readersOf } from './bench-plan.ts'
import type { Contest, ContestResult, Profile } from './contest.ts'
import { medians, resultOf } from './contest-result.ts'
import type { DataSet } from './data-set.ts'
import type { Figures } from './figures.ts'
import { runTask } from './run-task.ts'
import { withScratch } from './scratch.ts'
import type { SubjectDescription } from './subject.ts'
import { figure } from './table.ts'

/** What every run needs. */
export interface ContestRun {
  readonly rounds: number
  /** Measured in each cell, where that is not told by the amount of work. */
  readonly seconds: number
  /** Empty, on the disk that is measured. */
  readonly directory: string
  readonly say: (line: string) => void
}

export interface RunOptions extends ContestRun, Pick<Plan, 'workloads' | 'peers' | 'dataSet' | 'isQuick'> {}

export interface RunResult {
  readonly contests: readonly ContestResult[]
  readonly limits: Figures
}

type InScratch = Plan['inScratch']

const LOAD_IN_FLIGHT = 4096

/** W1 to W6: loads what is to be read, then goes through all contests. */
export async function runBench(options: RunOptions): Promise<RunResult> {
  const dataDirectory = (subject: SubjectDescription) => join(options.directory, `data-${subject.name}`)
  for (const subject of readersOf(options)) {
    await loadInto(dataDirectory(subject), subject, options.dataSet, options.say)
  }
  return runContests(options, inScratch => planContests({ ...options, dataDirectory, inScratch }))
}

/** Goes through the contests, round after round; the limits of the machine are measured at the beginning of each. */
export async function runContests(run: ContestRun, planWith: (inScratch: InScratch) => Contest[]): Promise<RunResult> {
  const inScratch: InScratch = measure => withScratch(run.directory, 'cell-', measure)
  const contests = planWith(inScratch)
  const rounds = contests.map(contest => contest.entrants.map((): Figures[] => []))
  const limits: Figures[] = []
  const progress = new Steps(run.rounds * (1 + contests.reduce((sum, contest) => sum + contest.entrants.length, 0)), run.say)
  for (let round = 0; round < run.rounds; round++) {
    limits.push(await inScratch(directory => runTask({ kind: 'limits', directory, ...limitSizes(run.seconds) })))
    progress.done('limits of the machine')
    for (const [index, contest] of contests.entries()) await runRound(contest, round, rounds[index]!, progress)
  }
  const limit = medians(limits)
  const results: ContestResult[] = []
  for (const [index, contest] of contests.entries()) {
    const result = resultOf(contest, rounds[index]!, limit)
    const isMissed = result.verdicts.some(({ isMet }) => isMet === false)
    results.push(isMissed ? { ...result, profiles: await profileOwn(contest, run) } : result)
  }
  return { contests: results, limits: limit }
}

/** One more round of Tailrace alone, whose figures don't count: to be watched costs something. */
async function profileOwn({ entrants, workload, shape }: Contest, { rounds, say }: ContestRun): Promise<Profile[]> {
  const profiles: Profile[] = []
  for (const { name, measure } of entrants.filter(entrant => entrant.name.startsWith('tailrace'))) {
    say(`looking where the time goes: ${workload} ${shape}: ${name}`)
    await measure(rounds, { onProfile: lines => profiles.push({ name, lines }) })
  }
  return profiles
}

/** Who goes first changes from round to round: going second may be worth something. */
async function runRound(contest: Contest, round: number, rounds: Figures[][], progress: Steps): Promise<void> {
  const { entrants, main, workload, shape } = contest
  for (let turn = 0; turn < entrants.length; turn++) {
    const index = (turn + round) % entrants.length
    const { name, durability, measure } = entrants[index]!
    const figures = await measure(round, {}).catch(error => {
      throw new Error(`${workload} (${shape}), ${name}: ${error instanceof Error ? error.message : String(error)}`)
    })
    rounds[index]!.push(figures)
    progress.done(`${workload} ${shape}: ${name}, ${durability}: ${figure(figures[main.name]!, main.digits)} ${main.unit}`)
  }
}

export async function loadInto(
  directory: string,
  subject: SubjectDescription,
  dataSet: DataSet,
  say: (line: string) => void,
): Promise<void> {
  const { payloadBytes } = dataSet
  const figures = await runTask(
    { kind: 'load', subject: subject.name, directory, durability: 'fsync', inFlight: LOAD_IN_FLIGHT, payloadBytes, dataSet },
    { timeoutSeconds: 3600, onProgress: text => say(`loading ${subject.name}: ${text}`) },
  )
  say(`loaded ${subject.name}: ${figure(figures['events']!)} events in ${figure(figures['seconds']!, 1)} s`)
}

function limitSizes(seconds: number) {
  return { seconds: seconds / 2, fileBytes: (seconds < 0.5 ? 64 : 256) * 2 ** 20 }
}

/** Says after each step how far it is, and how long it will take. */
class Steps {
  readonly #total: number
  readonly #say: (line: string) => void
  readonly #startedAt = performance.now()
  #done = 0

  constructor(total: number, say: (line: string) => void) {
    this.#total = total
    this.#say = say
  }

  done(what: string): void {
    this.#done++
    const left = ((performance.now() - this.#startedAt) / 1000 / this.#done) * (this.#total - this.#done)
    this.#say(`[${this.#done}/${this.#total}] ${what} (${figure(left)} s left)`)
  }
}
