import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { CellResult } from '../../bench/support/cells.ts'
import type { FlushReport } from '../../bench/support/flush-report.ts'
import { QUICK_LOADS } from '../../bench/support/options.ts'
import { type Ended, ROOT, runBench } from './run-bench.ts'

const PROGRAM = 'bench/flush-latency.ts'

function expectMeasured(result: CellResult): void {
  const { latency } = result
  for (const value of [result.acks, result.acksPerSecond, result.seconds, latency.samples]) expect(value).toBeGreaterThan(0)
  expect(latency.p50Us).toBeGreaterThan(0)
  const rising = [latency.p50Us, latency.p90Us, latency.p99Us, latency.p999Us, latency.maxUs]
  expect(rising).toEqual([...rising].sort((a, b) => a - b))
  expect(latency.curve.length).toBeGreaterThan(0)
  if (result.durability === 'fsync') {
    expect(result.flushes).toBeGreaterThan(0)
    expect(result.appendsPerFlush).toBeGreaterThan(0)
  }
}

describe('bench:flush --quick, with a tenth of a second for each cell', () => {
  let directory: string
  let ended: Ended
  let report: FlushReport
  let page: string

  beforeAll(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tailrace-bench-'))
    const json = join(directory, 'out', 'result.json')
    const html = join(directory, 'out', 'result.html')
    ended = await runBench(PROGRAM, '--quick', '--seconds', '0.1', '--directory', directory, '--json', json, '--html', html)
    expect(ended.code, ended.stderr).toBe(0)
    report = JSON.parse(await readFile(json, 'utf8')) as FlushReport
    page = await readFile(html, 'utf8')
  }, 90_000)

  afterAll(() => rm(directory, { recursive: true, force: true }))

  it('measures every cell and both floors', () => {
    expect(report.cells.map(({ durability, inFlight, payloadBytes }) => ({ durability, inFlight, payloadBytes }))).toEqual(
      QUICK_LOADS,
    )
    expectMeasured(report.writeSync)
    for (const cell of report.cells) {
      expectMeasured(cell.tailrace)
      expectMeasured(cell.groupCommit)
      expect([cell.tailrace.durability, cell.groupCommit.durability]).toEqual([cell.durability, cell.durability])
      expect(cell.ratios.throughputToGroupCommit).toBeGreaterThan(0)
      if (cell.inFlight === 1) expect(cell.ratios.p50ToWriteSync).toBeGreaterThan(0)
      else expect(cell.ratios.p50ToWriteSync).toBeNull()
    }
  })

  it('names the durability mode on each line of the table', () => {
    const table = ended.stdout.slice(ended.stdout.indexOf('---'))
    const modes = table
      .trim()
      .split('\n')
      .slice(1)
      .map(line => line.split(' ')[0])
    expect(modes).toEqual(QUICK_LOADS.map(load => load.durability))
  })

  it('draws a page that needs nothing from elsewhere', () => {
    const plots = page.match(/<figcaption>/g) ?? []
    // Latency, throughput and flushes for each of the three modes.
    expect(plots).toHaveLength(9)
    expect(page).toContain('<svg')
    expect(page).not.toMatch(/https?:|<script|<link|@import|url\(/)
    expect(page).not.toMatch(/NaN|Infinity|undefined/)
  })

  it('says nothing of where it ran', () => {
    expect(JSON.stringify(report) + page).not.toContain(directory)
    expect(JSON.stringify(report) + page).not.toContain(ROOT)
  })

  it('removes its data', async () => {
    expect(await readdir(directory)).toEqual(['out'])
  })
})

describe('bench:flush with a wrong option', () => {
  it.each([
    [['--nope']],
    [['--only', 'disk']],
    [['--in-flight', '0']],
    [['--seconds', 'soon']],
    [['--quick', '--in-flight', '7']],
  ])('%j says so in one line and exits with 2', async args => {
    const { code, stdout, stderr } = await runBench(PROGRAM, ...args)
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^bench:flush: [^\n]+\n$/)
  })
})

it('bench:flush --help names every option', async () => {
  const { code, stdout } = await runBench(PROGRAM, '--help')
  expect(code).toBe(0)
  for (const option of ['quick', 'only', 'in-flight', 'payload', 'seconds', 'rounds', 'directory', 'json', 'html']) {
    expect(stdout).toContain(`--${option}`)
  }
})
