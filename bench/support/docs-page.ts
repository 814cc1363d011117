import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import { sectionTitle } from './bench-page.ts'
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
import { shortfallLines, shortfallOf } from './shortfalls.ts'

/** What a whole run measures at least. */
const WHOLE = ['W1', 'W2', 'W3', 'W4', 'W5', 'W6']

/** A part of the page that a run makes: everything between its two marks. */
export interface DocsSection {
  readonly name: string
  readonly text: string
}

/**
 * The sections that a run of the bench measured: one for each workload, and before them all targets in one table after a whole run,
 * those of W7 after a run of that.
 */
export function benchSections(report: BenchReport): DocsSection[] {
  const workloads = [...new Set(report.contests.map(contest => contest.workload))]
  const isWhole = WHOLE.every(workload => workloads.includes(workload))
  const tables = isWhole ? ['targets'] : workloads.includes('W7') ? ['targets of W7'] : []
  const targets = tables.map(name => ({ name, text: targetsText(report, name) }))
  return [...targets, ...workloads.map(workload => workloadSection(report, workload))]
}

function targetsText(report: BenchReport, name: string): string {
  const table = markdownTable(['workload', 'target', 'measured', ''], targetRows(report))
  return [
    `## ${name[0]!.toUpperCase()}${name.slice(1)}`,
    ...runNotes(report)
      .slice(0, 1)
      .map(note => `> ${note}`),
    table,
  ].join('\n\n')
}

function workloadSection(report: BenchReport, workload: string): DocsSection {
  const contests = report.contests.filter(contest => contest.workload === workload)
  const parts = contests.map(contest =>
    [
      `### ${contest.shape}`,
      markdownTable(tableHead(contest), tableRows(contest)),
      ...notesOf(contest).map(note => `- ${note}`),
      ...profileTables(contest).flatMap(({ title, head, rows }) => [`${title}:`, markdownTable(head, rows)]),
    ].join('\n\n'),
  )
  const notes = runNotes(report).map(note => `> ${note}`)
  const acks = guarantees({ ...report, contests }).map(([title, guarantee]) => `- ${title}. ${guarantee}`)
  const shortfall = shortfallOf(report, workload)
  const reasons = shortfall === null ? [] : shortfallLines(shortfall).map(([what, text]) => `**${what}.** ${text}`)
  const head = `## ${sectionTitle(workload)}`
  const text = [
    head,
    notes.join('\n>\n'),
    ...parts,
    ...reasons,
    ...(acks.length > 0 ? ['What an ack promises:', acks.join('\n')] : []),
  ].join('\n\n')
  return { name: workload, text }
}

export function markdownTable(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.map(cell => cell.replaceAll('|', '\\|')).join(' | ')} |`
  return [line(head), line(head.map((_, column) => (column === 0 ? '---' : '---:'))), ...rows.map(line)].join('\n')
}

/** Writes the sections into the page, in the place of those with their names, or behind the others. */
export async function updateDocs(file: string, sections: readonly DocsSection[]): Promise<void> {
  const before = await readFile(file, 'utf8').catch(() => '# Benchmarks\n')
  await mkdir(dirname(file), { recursive: true })
  await writeFile(file, sections.reduce(withSection, before))
}

/** The page with the section in it. */
export function withSection(page: string, { name, text }: DocsSection): string {
  const [opening, closing] = [`<!-- measured: ${name} -->`, `<!-- end of ${name} -->`]
  const whole = `${opening}\n${text}\n${closing}`
  const start = page.indexOf(opening)
  const end = page.indexOf(closing)
  if (start === -1 || end === -1) return `${page.trimEnd()}\n\n${whole}\n`
  return page.slice(0, start) + whole + page.slice(end + closing.length)
}
