import type { BenchReport } from './bench-report.ts'

/** Why the targets of a workload are missed. It stands in the page and in the docs beside what a run measured, if one was missed. */
export interface Shortfall {
  /** Where the time goes. */
  readonly profile: string
  readonly tried: string
  /** What would be needed. */
  readonly needed: string
}

const SHORTFALLS: Readonly<Record<string, Shortfall>> = {}

/** Of the workload, if this run missed a target of it; null when there is nothing to explain. */
export function shortfallOf(report: BenchReport, workload: string): Shortfall | null {
  const isMissed = report.contests.some(
    contest => contest.workload === workload && contest.verdicts.some(({ isMet }) => isMet === false),
  )
  return (isMissed && SHORTFALLS[workload]) || null
}

/** What to print of it, a line each. */
export function shortfallLines({ profile, tried, needed }: Shortfall): (readonly [what: string, text: string])[] {
  return [
    ['Why a target is missed', profile],
    ['What was tried', tried],
    ['What would be needed', needed],
  ]
}
