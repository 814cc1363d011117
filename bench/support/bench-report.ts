import type { ContestResult, Line, Verdict } from './contest.ts'
import type { Figures } from './figures.ts'
import { describeMachine, type Machine } from './machine.ts'
import { subjectNamed } from './subjects.ts'
import { figure } from './table.ts'

/** All that a run found: what the JSON holds, and what table, page and docs are made of. */
export interface BenchReport {
  readonly benchmark: 'bench' | 'seeds'
  readonly command: string
  readonly startedAt: string
  readonly seconds: number
  readonly machine: Machine
  readonly rounds: number
  readonly limits: Figures | null
  readonly contests: readonly ContestResult[]
  /** Peers that were asked for and are not here, in a line each. */
  readonly absent: readonly string[]
}

/** Figures that may stand behind the main one, with their head. */
const FURTHER: readonly (readonly [name: string, head: string, digits: number])[] = [
  ['p50Us', 'p50 µs', 0],
  ['p99Us', 'p99 µs', 0],
  ['openMs', 'open ms', 1],
  ['cpuPerMillion', 'CPU s/M', 2],
  ['memoryMiB', 'memory MiB', 0],
  ['appendsPerFlush', 'per flush', 1],
]

export function tableHead({ main, lines, limit }: ContestResult): string[] {
  return [
    'who',
    'durability',
    main.unit,
    ...furtherOf(main.name, lines).map(([, head]) => head),
    'Tailrace to it',
    ...(limit === null ? [] : ['of the limit']),
  ]
}

export function tableRows(result: ContestResult): string[][] {
  const { main, lines, limit } = result
  return lines.map(({ name, durability, figures, ratio, shareOfLimit }) => [
    name,
    durability,
    figure(figures[main.name]!, main.digits),
    ...furtherOf(main.name, lines).map(([key, , digits]) => figure(figures[key] ?? null, digits)),
    ratio === null ? '-' : `${figure(ratio, 2)}x`,
    ...(limit === null ? [] : [shareOfLimit === null ? '-' : `${figure(shareOfLimit * 100)}%`]),
  ])
}

/** A line for each target, and what the limit is. */
export function notesOf({ verdicts, limit, main, note }: ContestResult): string[] {
  const limitNote = limit === null ? [] : [`Limit: ${figure(limit.value, main.digits)} ${main.unit}: ${limit.of}.`]
  return [...verdicts.map(verdictText), ...limitNote, ...(note === null ? [] : [note])]
}

export function verdictText({ words, measured, isMet }: Verdict): string {
  if (measured === null) return `Target: ${words}: those to compare with were not in this run.`
  return `Target: ${words}: ${figure(measured, 2)}, ${isMet ? 'met' : 'MISSED'}.`
}

/** A row for each target: workload and shape, what it asks for, what was measured, how it ended. */
export function targetRows({ contests }: BenchReport): string[][] {
  return contests.flatMap(({ workload, shape, verdicts }) =>
    verdicts.map(({ words, measured, isMet }) => [
      `${workload}: ${shape}`,
      words,
      figure(measured, 2),
      isMet === null ? 'not compared' : isMet ? 'met' : 'MISSED',
    ]),
  )
}

/** A table for each of Tailrace that was looked into. */
export function profileTables({ profiles }: ContestResult): { title: string; head: string[]; rows: string[][] }[] {
  const percent = (share: number) => `${figure(share * 100, 1)}%`
  return profiles.map(({ name, lines }) => ({
    title: `Where the time of the main thread goes: ${name}, one more round under V8's sampling profiler`,
    head: ['place', 'of the time', 'most of it in'],
    rows: lines.map(({ place, share, most }) => [
      place,
      percent(share),
      most.map(part => `${part.name} ${percent(part.share)}`).join(', ') || '-',
    ]),
  }))
}

/** What must stand beside the numbers for them to mean something. */
export function runNotes(report: BenchReport): string[] {
  const { machine, startedAt, rounds, command, limits, absent } = report
  return [
    `${describeMachine(machine)} · ${startedAt.slice(0, 10)} · ${command}`,
    `Medians of ${rounds} round${rounds === 1 ? '' : 's'}; the ones compared take turns, each measurement in a fresh process, files on a real disk. ` +
      "'Tailrace to it' is the median of the rounds' own ratios. Differences below 20% mean little on a shared machine.",
    ...(limits === null ? [] : [limitsNote(limits)]),
    ...absent,
  ]
}

/** Everyone that takes part, with what an ack of theirs promises. */
export function guarantees(report: BenchReport): (readonly [title: string, guarantee: string])[] {
  const names = new Set(report.contests.flatMap(contest => contest.lines.map((line: Line) => line.name)))
  return [...names].flatMap(name => {
    // A variant of Tailrace is told by its line alone.
    if (name.includes(',')) return []
    const { title, guarantee } = subjectNamed(name)
    return [[`${name}: ${title}`, guarantee] as const]
  })
}

function limitsNote(limits: Figures): string {
  const of = (name: string, digits = 0) => figure(limits[name] ?? null, digits)
  return (
    `Limits of this machine in the same run: write of 300 B and fdatasync p50 ${of('growingSyncP50Us')} µs to a growing file, ` +
    `${of('prefilledSyncP50Us')} µs over existing blocks; sequential writing ${of('writeMibPerSecond')} MiB/s; reading from the page cache ` +
    `${of('readMibPerSecond')} MiB/s, with CRC-32 ${of('checkedReadMibPerSecond')} MiB/s; promises ${figure((limits['promisesPerSecond'] ?? 0) / 1e6, 1)} M/s.`
  )
}

function furtherOf(main: string, lines: readonly Line[]) {
  return FURTHER.filter(([name]) => name !== main && lines.some(line => line.figures[name] !== undefined))
}
