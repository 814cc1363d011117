import type { Contest, ContestResult, Line, Target, Verdict } from './contest.ts'
import type { Figures } from './figures.ts'
import { median } from './summary.ts'

/** Rounds of each entrant, in the order of the contest's entrants. */
export type Rounds = readonly (readonly Figures[])[]

/**
 * Medians over the rounds. A ratio is the median of the rounds' own ratios: the two sides of each were measured next to each
 * other, so what the machine did in that minute hit both.
 */
export function resultOf(contest: Contest, rounds: Rounds, limits: Figures | null): ContestResult {
  const { workload, shape, main, entrants, targets } = contest
  const limit = contest.limit !== undefined && limits !== null ? contest.limit(limits) : null
  const lines = entrants.map(({ name, durability }, index): Line => {
    const own = rounds[index]!
    const figures = medians(own)
    const value = figures[main.name]!
    return {
      name,
      durability,
      figures,
      rounds: own,
      ratio: index === 0 ? null : ratioOf(rounds[0]!, own, main.name),
      shareOfLimit: limit === null ? null : main.isMoreBetter ? value / limit.value : limit.value / value,
    }
  })
  const verdicts = targets.map(target => verdictOf(target, contest, rounds, lines))
  return { workload, shape, main, lines, verdicts, limit, note: contest.note ?? null, profiles: [] }
}

export function medians(rounds: readonly Figures[]): Figures {
  const names = Object.keys(rounds[0] ?? {})
  return Object.fromEntries(names.map(name => [name, median(rounds.flatMap(figures => figures[name] ?? []))]))
}

function verdictOf(target: Target, { main, entrants }: Contest, rounds: Rounds, lines: readonly Line[]): Verdict {
  const { words, atLeast = Number.NEGATIVE_INFINITY, atMost = Number.POSITIVE_INFINITY } = target
  const measured =
    target.kind === 'value'
      ? (lines.find((line, index) => (target.of === undefined ? index === 0 : line.name === target.of))?.figures[target.figure] ??
        null)
      : hardest(
          target.to
            .map(name => entrants.findIndex(entrant => entrant.name === name))
            .filter(index => index > 0)
            .map(index => ratioOf(rounds[0]!, rounds[index]!, target.figure ?? main.name)),
          target.atLeast !== undefined,
        )
  return { words, measured, isMet: measured === null ? null : measured >= atLeast && measured <= atMost }
}

/** Of several to compare with, the one that is hardest to beat. */
function hardest(ratios: readonly number[], isMoreBetter: boolean): number | null {
  if (ratios.length === 0) return null
  return isMoreBetter ? Math.min(...ratios) : Math.max(...ratios)
}

function ratioOf(own: readonly Figures[], others: readonly Figures[], figure: string): number {
  return median(own.map((figures, round) => figures[figure]! / others[round]![figure]!))
}
