import { writeFileSync } from 'node:fs'
import { type Results, type RigResult, withoutRoot } from './results.ts'
import type { Rig, RigTable } from './rig.ts'

const REPORT_FILE = new URL('../../docs/reliability.md', import.meta.url)

/** Writes docs/reliability.md. */
export function writeReport(results: Results, rigs: readonly Rig[]): void {
  writeFileSync(REPORT_FILE, withoutRoot(reportOf(results, rigs)))
}

/** The report of the last result of each rig, as Markdown. */
export function reportOf(results: Results, rigs: readonly Pick<Rig, 'name' | 'about'>[]): string {
  const sections = rigs.map(({ name, about }) => sectionOf(name, about, results[name]))
  return `${[
    '# Reliability: what was tried, and what was found',
    'Made by `npm run proof` from what the rigs counted; nothing here is written by hand. What is promised is in [durability](durability.md).',
    overviewOf(results, rigs),
    ...sections,
    '## Not shown by this',
    'A disk that lies about its syncs, memory that flips bits, and more than one fault at the same time in the window that [durability](durability.md#the-window-that-remains) names.',
  ].join('\n\n')}\n`
}

function overviewOf(results: Results, rigs: readonly Pick<Rig, 'name'>[]): string {
  return tableOf({
    title: '',
    head: ['rig', 'result', 'run', 'seed', 'commit', 'date', 'duration'],
    rows: rigs.map(({ name }) => {
      const result = results[name]
      if (result === undefined) return [name, 'NOT RUN', '', '', '', '', '']
      const { status, isQuick, seed, commit, date, seconds } = result
      const outcome = status === 'held' ? 'held' : status === 'skipped' ? 'SKIPPED' : 'BROKEN'
      return [name, outcome, isQuick ? 'quick' : 'full', String(seed), commit, date, durationOf(seconds)]
    }),
  })
}

function sectionOf(name: string, about: string, result: RigResult | undefined): string {
  const parts = [`## ${name}`, about]
  if (result === undefined) parts.push('**Not run yet.**')
  else if (result.status === 'skipped') parts.push(`**Skipped**: ${result.reason}.`)
  else {
    const { report, machine } = result
    parts.push(`Machine: ${machine}.`)
    const figures = Object.entries(report?.figures ?? {})
    if (figures.length > 0) {
      const rows = figures.map(([what, figure]) => [what, typeof figure === 'number' ? figure.toLocaleString('en') : figure])
      parts.push(tableOf({ title: '', head: ['counted', 'figure'], rows }))
    }
    const failures = report?.failures ?? []
    if (failures.length > 0) parts.push(`**Broken promises:**\n\n${failures.map(failure => `- ${inline(failure)}`).join('\n')}`)
    for (const table of report?.tables ?? []) parts.push(tableOf(table))
  }
  return parts.join('\n\n')
}

function tableOf({ title, head, rows }: RigTable): string {
  const line = (cells: readonly string[]) => `| ${cells.map(inline).join(' | ')} |`
  const table = [line(head), `|${head.map(() => '---').join('|')}|`, ...rows.map(line)].join('\n')
  return title === '' ? table : `### ${title}\n\n${table}`
}

function inline(text: string): string {
  return text.replaceAll('\n', ' ').replaceAll('|', '\\|')
}

export function durationOf(seconds: number): string {
  if (seconds < 120) return `${seconds.toFixed(1)} s`
  return `${Math.floor(seconds / 60)} min ${Math.round(seconds % 60)} s`
}
