import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type BenchReport, profileTables } from '../../bench/support/bench-report.ts'
import { withSection } from '../../bench/support/docs-page.ts'
import { WORKLOADS } from '../../bench/support/subject.ts'
import { escapeHtml } from '../../bench/support/svg-plot.ts'
import { type Ended, ROOT, runBench } from './run-bench.ts'

/** Hundredths of the data, twentieths of a second: enough to see that every part does what it is there for. */
const SMALL = ['--quick', '--seconds', '0.05', '--scale', '0.01', '--growth', '0.01', '--rounds', '1']
const TIMEOUT_MS = 600_000

interface Outcome {
  readonly ended: Ended
  readonly report: BenchReport
  readonly page: string
  readonly docs: string
}

/** One run of the bench, with all that it leaves. */
async function runInto(directory: string, ...args: string[]): Promise<Outcome> {
  const [json, html, docs] = ['result.json', 'result.html', 'result.md'].map(name => join(directory, 'out', name))
  const files = ['--directory', directory, '--json', json!, '--html', html!, '--docs', docs!]
  const ended = await runBench('bench/bench.ts', ...SMALL, ...args, ...files)
  expect(ended.code, ended.stderr).toBe(0)
  const texts = await Promise.all([json!, html!, docs!].map(file => readFile(file, 'utf8')))
  return { ended, report: JSON.parse(texts[0]!) as BenchReport, page: texts[1]!, docs: texts[2]! }
}

describe.each([
  { what: 'all workloads', args: ['--only', WORKLOADS.join(',')], sections: [...WORKLOADS] as string[] },
  { what: 'the programmes of the seeds', args: ['--seeds'], sections: ['everstore', 'voik', 'exdaas', 'memstate', 'flushes'] },
])('bench --quick with $what, still smaller', ({ args, sections }) => {
  let directory: string
  let outcome: Outcome

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tailrace-bench-'))
    outcome = await runInto(directory, ...args)
  }, TIMEOUT_MS)

  afterAll(() => rm(directory, { recursive: true, force: true }))

  it('measures every one of them', () => {
    const { contests } = outcome.report
    expect([...new Set(contests.map(contest => contest.workload))]).toEqual(sections)
    for (const { lines, main, workload } of contests) {
      expect(lines[0]!.name, workload).toMatch(/^tailrace/)
      for (const line of lines) {
        for (const [name, value] of Object.entries(line.figures))
          expect(Number.isFinite(value), `${line.name} ${name}`).toBe(true)
        expect(line.figures[main.name], `${workload} ${line.name}`).toBeGreaterThan(0)
      }
    }
  })

  it('looks where the time of Tailrace goes wherever a target was missed', () => {
    for (const contest of outcome.report.contests) {
      const { shape, verdicts, lines, profiles } = contest
      const isMissed = verdicts.some(({ isMet }) => isMet === false)
      const own = lines.map(({ name }) => name).filter(name => name.startsWith('tailrace'))
      expect(
        profiles.map(({ name }) => name),
        shape,
      ).toEqual(isMissed ? own : [])
      for (const profile of profiles) {
        expect(
          profile.lines.reduce((sum, { share }) => sum + share, 0),
          shape,
        ).toBeGreaterThan(0.5)
      }
      for (const { title } of profileTables(contest)) {
        expect(outcome.page).toContain(escapeHtml(title))
        expect(outcome.docs).toContain(title)
      }
    }
  })

  it('measures the limits of the machine in the same run', () => {
    for (const value of Object.values(outcome.report.limits!)) expect(value).toBeGreaterThan(0)
  })

  it('names the durability mode on each line of each table', () => {
    const lines = outcome.ended.stdout.split('\n').filter(line => /^(tailrace|floor)/.test(line))
    expect(lines).toHaveLength(outcome.report.contests.reduce((sum, contest) => sum + contest.lines.length, 0))
    for (const line of lines) expect(line).toMatch(/ (fsync|os) /)
  })

  it('draws a page that needs nothing from elsewhere, and a page in Markdown with the same sections', () => {
    const { page, docs, report } = outcome
    expect(page.match(/<figcaption>/g)).toHaveLength(report.contests.length)
    expect(page).not.toMatch(/https?:|<script|<link|@import|url\(/)
    expect(page + docs).not.toMatch(/NaN|Infinity|undefined/)
    for (const section of sections) expect(docs).toContain(`<!-- measured: ${section} -->`)
  })

  it('says nothing of where it ran, and removes its data', async () => {
    const { report, page, docs } = outcome
    for (const place of [directory, ROOT]) expect(JSON.stringify(report) + page + docs).not.toContain(place)
    expect(await readdir(directory)).toEqual(['out'])
  })
})

describe('bench with a wrong option', () => {
  it.each([
    [['--nope']],
    [['--only', 'W9']],
    [['--against', 'oracle']],
    [['--scale', '0']],
    [['--seeds', '--only', 'W1']],
  ])('%j says so in one line and exits with 2', async args => {
    const { code, stdout, stderr } = await runBench('bench/bench.ts', ...args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^bench: [^\n]+\n$/)
  })
})

it('a section that is measured again stands where it stood', () => {
  const page = withSection(withSection('# Title\n\nIntroduction\n', { name: 'W1', text: 'old' }), { name: 'W2', text: 'two' })
  const again = withSection(page, { name: 'W1', text: 'new' })
  expect(again).toBe(
    '# Title\n\nIntroduction\n\n<!-- measured: W1 -->\nnew\n<!-- end of W1 -->\n\n<!-- measured: W2 -->\ntwo\n<!-- end of W2 -->\n',
  )
})
