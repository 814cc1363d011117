import { execFileSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, release, tmpdir, totalmem } from 'node:os'
import { fileURLToPath } from 'node:url'
import type { RigReport } from './rig.ts'

/** What one run of one rig came to, and what it was run on. */
export interface RigResult {
  readonly about: string
  readonly status: 'held' | 'broken' | 'skipped'
  /** Why it was skipped. */
  readonly reason?: string
  readonly report?: RigReport
  readonly isQuick: boolean
  readonly seed: number
  readonly commit: string
  readonly date: string
  readonly seconds: number
  /** In general terms. */
  readonly machine: string
}

/** The last result of each rig. */
export type Results = Record<string, RigResult>

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const RESULTS_FILE = new URL('results.json', import.meta.url)

export function readResults(): Results {
  try {
    return JSON.parse(readFileSync(RESULTS_FILE, 'utf8')) as Results
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw error
  }
}

export function writeResults(results: Results): void {
  writeFileSync(RESULTS_FILE, `${withoutRoot(JSON.stringify(results, null, 1))}\n`)
}

/** Where the repository and the data are on this machine is nobody's business: stacks of failures name it. */
export function withoutRoot(text: string): string {
  return text.replaceAll(ROOT, '').replaceAll(`${tmpdir()}/`, '')
}

/** The commit that is checked out, with a '+' if files differ from it. */
export function currentCommit(): string {
  try {
    const git = (...args: string[]) => execFileSync('git', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    const changed = git('status', '--porcelain', '--untracked-files=no', '--', 'src', 'test').split('\n')
    // The results of the rig before are no change of what is run.
    const counts = changed.some(line => line !== '' && !line.endsWith('test/proof/results.json'))
    return git('rev-parse', '--short=10', 'HEAD') + (counts ? '+' : '')
  } catch {
    return 'unknown'
  }
}

export function describeMachine(): string {
  const gib = Math.round(totalmem() / 2 ** 30)
  return `${availableParallelism()} processors, ${gib} GiB, ${process.platform} ${release().split('-')[0]}, Node.js ${process.version}`
}
