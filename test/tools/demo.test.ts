import { spawn } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { DemoReport } from '../../tools/demo-report.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

interface Ended {
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

/** The demo as a user runs it, but for the build, which `npm test` has done. */
function runDemo(...args: string[]): Promise<Ended> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, ['--import', 'tsx', 'tools/demo.ts', ...args], { cwd: ROOT })
    let stdout = ''
    let stderr = ''
    child.stdout.on('data', (text: Buffer) => {
      stdout += text
    })
    child.stderr.on('data', (text: Buffer) => {
      stderr += text
    })
    child.on('error', reject)
    child.on('close', code => resolve({ code, stdout, stderr }))
  })
}

describe('npm run demo -- --json, with 1,500 events', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tailrace-demo-test-'))
  let report: DemoReport

  beforeAll(async () => {
    const { code, stdout, stderr } = await runDemo('--json', '--events', '1500', '--directory', directory)
    expect(code, stderr).toBe(0)
    report = JSON.parse(stdout) as DemoReport
  }, 60_000)

  afterAll(() => rmSync(directory, { recursive: true, force: true }))

  it('keeps every ack of the killed process', () => {
    expect(report.ok).toBe(true)
    expect(report.lost).toBe(0)
    expect(report.kill.acksSeen).toBeGreaterThan(0)
    expect(report.kill.found).toBeGreaterThanOrEqual(report.kill.acksSeen)
  })

  it('reads every event back as it was appended', () => {
    expect(report.appended).toBe(1500)
    expect(report.compared).toBe(report.appended)
    expect(report.different).toBe(0)
  })

  it('goes on where the log ended', () => {
    const { kill, secondRun } = report
    expect(kill.recovery.events + kill.missing).toBe(report.appended)
    expect(secondRun.events).toBe(kill.missing)
  })

  it('leaves nothing behind', () => {
    expect(report.directory).toBeNull()
    expect(readdirSync(directory)).toEqual([])
  })
})

describe('npm run demo', () => {
  it('tells of an option that it does not know, with exit status 2', async () => {
    const { code, stderr } = await runDemo('--evnets', '100')
    expect(code).toBe(2)
    expect(stderr).toContain("'--evnets'")
  })

  it('says how it is used', async () => {
    const { code, stdout } = await runDemo('--help')
    expect(code).toBe(0)
    expect(stdout).toContain('--directory <dir>')
  })
})
