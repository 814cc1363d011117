import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { StoppedReaderReport } from '../../bench/stopped-reader.ts'
import type { SubscriptionsReport } from '../../bench/subscriptions.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

let directory: string
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'tailrace-bench-'))
})
afterEach(() => rm(directory, { recursive: true, force: true }))

/** The bench as a user runs it, but for the build. */
async function run(bench: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  const child = spawn(process.execPath, ['--import', 'tsx', `bench/${bench}.ts`, ...args], { cwd: ROOT })
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')])
  return { code: code as number, stdout, stderr }
}

async function reportOf<Report>(bench: string, ...args: string[]): Promise<{ report: Report; said: string }> {
  const json = join(directory, 'report.json')
  const { code, stdout, stderr } = await run(bench, ...args, '--directory', join(directory, 'data'), '--json', json)
  expect(code, stderr).toBe(0)
  expect(await readdir(join(directory, 'data'))).toEqual([])
  return { report: JSON.parse(await readFile(json, 'utf8')) as Report, said: stdout }
}

describe('bench:stopped-reader', () => {
  it('keeps its memory while a reader stands still, which then gets everything in order, as the others do', async () => {
    const { report, said } = await reportOf<StoppedReaderReport>('stopped-reader', '--seconds', '2', '--durability', 'os')
    expect(report.catchUp).toMatchObject({ isComplete: true })
    expect(report.othersAreComplete).toBe(true)
    expect(report.catchUp.behindEvents).toBeGreaterThan(100)
    const kept = (of: 'heap' | 'buffers') => report.during.live[of] - report.before.live[of]
    // What is in memory of the log has its bounds; an event that is kept for each one that went by would be far more.
    expect(kept('heap')).toBeLessThan(8)
    expect(kept('buffers')).toBeLessThan(48)
    expect(said).toContain('durability os')
  }, 60_000)
})

describe('bench:subscriptions', () => {
  it('measures each row, and says in which durability mode', async () => {
    const words = ['--seconds', '0.2', '--subscribers', '1,3', '--durability', 'os']
    const { report, said } = await reportOf<SubscriptionsReport>('subscriptions', ...words)
    expect(report.delivery.map(({ inFlight }) => inFlight)).toEqual([1, 256])
    for (const { delivery } of report.delivery) {
      expect(delivery.samples).toBeGreaterThan(0)
      expect(delivery.p99Us).toBeGreaterThanOrEqual(delivery.p50Us)
    }
    expect(report.fanOut.map(({ subscribers }) => subscribers)).toEqual([1, 3])
    for (const row of report.fanOut) {
      expect(row.isComplete).toBe(true)
      for (const value of [row.acksPerSecond, row.liveEventsPerSecond, row.catchUpEventsPerSecond])
        expect(value).toBeGreaterThan(0)
    }
    expect(said.match(/^os /gm)).toHaveLength(4)
  }, 60_000)
})

describe.each(['stopped-reader', 'subscriptions'])('bench:%s', bench => {
  it('--help names every option', async () => {
    const { code, stdout } = await run(bench, '--help')
    expect(code).toBe(0)
    for (const option of ['seconds', 'subscribers', 'durability', 'in-flight', 'payload', 'directory', 'json']) {
      expect(stdout).toContain(`--${option}`)
    }
  }, 30_000)

  it('with a wrong option says so in one line and exits with 2', async () => {
    const { code, stdout, stderr } = await run(bench, '--durability', 'tape')
    expect(code).toBe(2)
    expect(stdout).toBe('')
    expect(stderr).toMatch(/^bench:[a-z-]+: [^\n]+\n$/)
  }, 30_000)
})
