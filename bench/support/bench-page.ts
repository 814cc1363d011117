import { drawBars } from './bar-plot.ts'
import {
  type BenchReport,
  guarantees,
  notesOf,
  profileTables,
  runNotes,
  tableHead,
  tableRows,
  targetRows,
} from './bench-report.ts'
import type { ContestResult } from './contest.ts'
import { renderPage, renderTable } from './html-report.ts'
import { shortfallLines, shortfallOf } from './shortfalls.ts'
import { escapeHtml } from './svg-plot.ts'
import { figure } from './table.ts'

const TITLES: Readonly<Record<string, string>> = {
  W1: 'W1: how long an append waits for its ack',
  W2: 'W2: how many appends are acked',
  W3: 'W3: batches',
  W4: 'W4: reading everything',
  W5: 'W5: reading streams',
  W6: 'W6: from open to the first ack',
  W7: 'W7: the same with more data',
  everstore: "everstore's programme",
  voik: "voik's programme",
  exdaas: "exdaas's console programme",
  memstate: "memstate's write programme",
  flushes: 'Flushes against concurrency',
}

export function sectionTitle(workload: string): string {
  return TITLES[workload] ?? workload
}

/** The report as a page that needs nothing but itself. */
export function renderBenchPage(report: BenchReport): string {
  const workloads = [...new Set(report.contests.map(contest => contest.workload))]
  return renderPage({
    title: 'Tailrace: benchmarks',
    notes: runNotes(report),
    sections: [
      { title: 'Targets', figures: [renderTable(['workload', 'target', 'measured', ''], targetRows(report))] },
      ...workloads.map(workload => ({
        title: sectionTitle(workload),
        figures: [
          ...report.contests.filter(contest => contest.workload === workload).flatMap(figuresOf),
          ...reasonsOf(report, workload),
        ],
      })),
      {
        title: 'What an ack promises',
        figures: [renderTable(['who', 'when the ack has come, the event is'], guarantees(report))],
      },
    ],
  })
}

function reasonsOf(report: BenchReport, workload: string): string[] {
  const shortfall = shortfallOf(report, workload)
  return shortfall === null ? [] : [renderTable(['', ''], shortfallLines(shortfall))]
}

function figuresOf(result: ContestResult): string[] {
  const { main, lines, shape } = result
  const bars = lines.map(({ name, figures }) => ({
    label: name,
    value: figures[main.name]!,
    text: figure(figures[main.name]!, main.digits),
    style: name.startsWith('tailrace')
      ? ('bar-own' as const)
      : name.startsWith('floor')
        ? ('bar-floor' as const)
        : ('bar-peer' as const),
  }))
  const notes = notesOf(result).map(note => `<p>${escapeHtml(note)}</p>`)
  const table = renderTable(tableHead(result), tableRows(result))
  const profiles = profileTables(result).map(
    ({ title, head, rows }) => `<div><p>${escapeHtml(title)}</p>${renderTable(head, rows)}</div>`,
  )
  return [drawBars({ title: shape, unit: main.unit, bars }), `<div>${table}${notes.join('')}</div>`, ...profiles]
}
