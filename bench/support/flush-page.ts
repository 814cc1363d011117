import { FLUSH_TABLE_HEAD, type FlushReport, flushNotes, flushTableRow } from './flush-report.ts'
import { renderPage, renderTable, type Section } from './html-report.ts'
import { describeMachine } from './machine.ts'
import type { CellSummary } from './summary.ts'
import { type Axis, drawPlot, type Series } from './svg-plot.ts'
import { bytes, figure } from './table.ts'

/** Every further nine takes the same room. */
const PERCENTILE_AXIS: Axis = {
  label: 'percentile',
  ticks: [0, 50, 90, 99, 99.9, 99.99, 99.999].map(percentile => ({ at: tailOf(percentile), text: `${percentile}%` })),
}

/** The report as a page with plots: a section for each durability mode and payload. */
export function renderFlushPage(report: FlushReport): string {
  const groups = new Map<string, CellSummary[]>()
  for (const cell of report.cells) {
    const title = `${cell.durability}, ${bytes(cell.payloadBytes)} payload`
    groups.set(title, [...(groups.get(title) ?? []), cell])
  }
  const sections = [...groups].map(([title, cells]) => ({ title, figures: plotsOf(title, cells, report) }))
  const table: Section = { title: 'All numbers', figures: [renderTable(FLUSH_TABLE_HEAD, report.cells.map(flushTableRow))] }
  return renderPage({
    title: 'Tailrace: flush latency',
    notes: [`${describeMachine(report.machine)} · ${report.startedAt}`, ...flushNotes(report)],
    sections: [...sections, table],
  })
}

function plotsOf(title: string, cells: readonly CellSummary[], { writeSync }: FlushReport): string[] {
  const inFlightAxis: Axis = {
    label: 'appends in flight',
    ticks: cells.map(({ inFlight }) => ({ at: inFlight, text: figure(inFlight) })),
  }
  const over = (read: (cell: CellSummary) => number | null) =>
    cells.flatMap(cell => {
      const value = read(cell)
      return value === null ? [] : [[cell.inFlight, value] as const]
    })
  const alongInFlight = (value: number) => cells.map(cell => [cell.inFlight, value] as const)
  const curve = (points: readonly (readonly [number, number])[]) =>
    points.map(([percentile, us]) => [tailOf(percentile), us] as const)
  const plots = [
    {
      title: `Ack latency by percentile (${title})`,
      x: PERCENTILE_AXIS,
      y: { label: 'latency, µs' },
      series: [
        ...cells.map(({ inFlight, tailrace }, index) => ({
          label: `${figure(inFlight)} in flight`,
          style: `line-${Math.min(index, 6)}`,
          points: curve(tailrace.latency.curve),
        })),
        { label: 'floor (a), 1 in flight', style: 'line-reference', points: curve(writeSync.latency.curve) },
      ],
    },
    {
      title: `Throughput (${title})`,
      x: inFlightAxis,
      y: { label: 'acks per second' },
      series: [
        { label: 'Tailrace', style: 'line-own', points: over(cell => cell.tailrace.acksPerSecond) },
        { label: 'floor (b), group commit', style: 'line-floor', points: over(cell => cell.groupCommit.acksPerSecond) },
        { label: 'floor (a), one at a time', style: 'line-reference', points: alongInFlight(writeSync.acksPerSecond) },
      ],
    },
    {
      title: `Flushes per append (${title})`,
      x: inFlightAxis,
      y: { label: 'flushes per append' },
      series: [
        { label: 'Tailrace', style: 'line-own', points: over(cell => inverse(cell.tailrace.appendsPerFlush)) },
        {
          label: 'floor (b), group commit',
          style: 'line-floor',
          points: over(cell => inverse(cell.groupCommit.appendsPerFlush)),
        },
      ],
    },
  ]
  return plots
    .map(plot => ({ ...plot, series: plot.series.filter((series: Series) => series.points.length > 0) }))
    .filter(plot => plot.series.length > 0)
    .map(drawPlot)
}

/** One in how many is slower: 1 at 0%, 100 at 99%. */
function tailOf(percentile: number): number {
  return 100 / (100 - percentile)
}

function inverse(value: number | null): number | null {
  return value === null ? null : 1 / value
}
