import type { Durability } from './cells.ts'
import type { ProfileLine } from './cpu-profile.ts'
import type { Figures } from './figures.ts'
import type { TaskHandling } from './run-task.ts'

/** Several do the same in turn: one table of the report. */
export interface Contest {
  /** One of W1 to W7, or the programme of a seed: a section of the report. */
  readonly workload: string
  /** What is done, in words, such as '100 B, 4,096 in flight'. */
  readonly shape: string
  readonly main: MainFigure
  readonly entrants: readonly Entrant[]
  readonly targets: readonly Target[]
  /** The machine's own limit for the main figure, made of the limits that were measured in the same run. */
  readonly limit?: (limits: Figures) => Limit
  /** What else must stand beside the table. */
  readonly note?: string
}

export interface MainFigure {
  readonly name: string
  readonly unit: string
  readonly digits: number
  readonly isMoreBetter: boolean
}

export interface Limit {
  readonly value: number
  readonly of: string
}

/** What a measurement hands on to its task. */
export type Handling = Pick<TaskHandling, 'onProfile'>

export interface Entrant {
  readonly name: string
  readonly durability: Durability
  /** Measures once, in a process of its own. @param round from 0 */
  readonly measure: (round: number, handling: Handling) => Promise<Figures>
}

/** What the first entrant, Tailrace, is to reach. */
export type Target =
  /** Its figure to that of others, the best of them: throughput of 1.2 times, latency of 1.1 times. */
  | {
      readonly kind: 'ratio'
      readonly to: readonly string[]
      readonly words: string
      readonly atLeast?: number
      readonly atMost?: number
      readonly figure?: string
    }
  /** Its figure alone, or that of the entrant named in `of`. */
  | {
      readonly kind: 'value'
      readonly figure: string
      readonly words: string
      readonly of?: string
      readonly atLeast?: number
      readonly atMost?: number
    }

/** What the rounds of a contest came to. */
export interface ContestResult {
  readonly workload: string
  readonly shape: string
  readonly main: MainFigure
  readonly lines: readonly Line[]
  readonly verdicts: readonly Verdict[]
  readonly limit: Limit | null
  readonly note: string | null
  /** Where the time of the main thread goes, of those of Tailrace that were looked into: with a missed target, all. */
  readonly profiles: readonly Profile[]
}

export interface Profile {
  readonly name: string
  readonly lines: readonly ProfileLine[]
}

export interface Line {
  readonly name: string
  readonly durability: Durability
  /** Medians of the rounds. */
  readonly figures: Figures
  readonly rounds: readonly Figures[]
  /** Tailrace's main figure to this one: the median of the rounds' own ratios; null for Tailrace itself. */
  readonly ratio: number | null
  /** Of the limit; 1 is the limit itself. Null without a limit. */
  readonly shareOfLimit: number | null
}

export interface Verdict {
  readonly words: string
  /** Null when those to compare with were not measured. */
  readonly measured: number | null
  readonly isMet: boolean | null
}
