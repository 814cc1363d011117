import { execFile } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, onTestFinished, test } from 'vitest'
import type { TailDelay } from '../../bench/tail-delay.ts'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

test('bench/tail-delay.ts measures from the ack to the printed line, and leaves nothing behind', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tailrace-bench-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const size = ['--events', '5', '--gap-ms', '1', '--in-flight', '4']
  const argv = ['--import', 'tsx', 'bench/tail-delay.ts', '--json', '--directory', directory, ...size]
  const { stdout } = await promisify(execFile)(process.execPath, argv, { cwd: ROOT })
  const results = stdout
    .split('\n')
    .filter(Boolean)
    .map(line => JSON.parse(line) as TailDelay)
  expect(results.map(({ beside, events }) => [beside, events])).toEqual([
    ['nothing', 5],
    ['4 appends in flight', 5],
  ])
  for (const { p50Ms, p99Ms, maxMs } of results) {
    expect(p50Ms).toBeGreaterThan(0)
    expect([p50Ms, p99Ms, maxMs]).toEqual([p50Ms, p99Ms, maxMs].sort((one, other) => one - other))
  }
  expect(await readdir(directory)).toEqual([])
})
