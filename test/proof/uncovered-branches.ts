import { readFileSync, writeFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/**
 * `npm run coverage`: lists each branch of format, log, writer and chaser that no test takes, with its reason, into
 * docs/branch-coverage.md. Exit code 1 when one has no reason, when a reason speaks of none, or when there are too many.
 */

const MOST_UNCOVERED = 0.02

interface Place {
  /** Without a line for an `else` that is not there. */
  readonly start: { readonly line?: number }
}

/** As istanbul writes it. */
interface FileCoverage {
  readonly path: string
  readonly branchMap: Readonly<
    Record<string, { readonly type: string; readonly loc: Place; readonly locations: readonly Place[] }>
  >
  readonly b: Readonly<Record<string, readonly number[]>>
}

/** A branch by what stands in its line, so that lines above it may come and go. */
interface Branch {
  readonly file: string
  readonly code: string
  /** 'then' and 'else' of a condition, 'case', or 'operand'. */
  readonly arm: string
}

interface Uncovered extends Branch {
  readonly line: number
}

interface Reason extends Branch {
  readonly reason: string
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const REPORT = new URL('../../docs/branch-coverage.md', import.meta.url)
const coverage = readJson<Record<string, FileCoverage>>('../../coverage/coverage-final.json')
const reasons = readJson<readonly Reason[]>('branches-not-taken.json')

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as T
}

function armOf(type: string, at: number): string {
  if (type === 'switch') return 'case'
  if (type === 'binary-expr') return 'operand'
  return at === 0 ? 'then' : 'else'
}

const isSame = (one: Branch, other: Branch) => one.file === other.file && one.code === other.code && one.arm === other.arm
const placeOf = ({ file, line, code, arm }: Uncovered) => `${file}:${line} (${arm}) ${code}`
const inline = (text: string) => text.replaceAll('|', '\\|')

const counts = new Map<string, { branches: number; covered: number }>()
const uncovered: Uncovered[] = []
for (const { path, branchMap, b } of Object.values(coverage)) {
  const file = relative(ROOT, path)
  const lines = readFileSync(path, 'utf8').split('\n')
  const room = file.split('/').slice(0, 2).join('/')
  const count = counts.get(room) ?? { branches: 0, covered: 0 }
  counts.set(room, count)
  for (const [id, taken] of Object.entries(b)) {
    const { type, loc, locations } = branchMap[id]!
    for (const [at, times] of taken.entries()) {
      count.branches++
      if (times > 0) count.covered++
      else {
        const line = (locations[at]?.start.line ?? loc.start.line)!
        uncovered.push({ file, line, code: lines[line - 1]!.trim(), arm: armOf(type, at) })
      }
    }
  }
}
uncovered.sort((one, other) => one.file.localeCompare(other.file) || one.line - other.line)

const branches = [...counts.values()].reduce((sum, count) => sum + count.branches, 0)
const share = uncovered.length / Math.max(1, branches)
const summary = `${branches - uncovered.length} of ${branches} branches are taken (${(100 * (1 - share)).toFixed(1)} %), ${uncovered.length} are not`
const problems = [
  ...uncovered.filter(branch => !reasons.some(reason => isSame(reason, branch))).map(branch => `no reason: ${placeOf(branch)}`),
  ...reasons
    .filter(reason => !uncovered.some(branch => isSame(reason, branch)))
    .map(({ file, arm, code }) => `a reason for a branch that is taken, or gone: ${file} (${arm}) ${code}`),
  ...(share > MOST_UNCOVERED ? [`more than ${100 * MOST_UNCOVERED} % of the branches are not taken`] : []),
]

for (const branch of uncovered) console.log(placeOf(branch))
console.log(summary)
if (problems.length > 0) {
  for (const problem of problems) console.error(problem)
  process.exitCode = 1
} else writeFileSync(REPORT, reportOf())

function reportOf(): string {
  const rows = [...counts].sort().map(([room, { branches, covered }]) => `| ${room} | ${branches} | ${covered} |`)
  const list = uncovered.map(branch => {
    const { reason } = reasons.find(reason => isSame(reason, branch))!
    return `| ${branch.file}:${branch.line} | \`${inline(branch.code)}\` | ${branch.arm} | ${inline(reason)} |`
  })
  return `${[
    '# Branches that no test takes',
    'Made by `npm run coverage`, which fails when more than 2 % of the branches of these rooms are not taken, or when one of them has no reason. No comment in the source leaves anything out.',
    `${summary}.`,
    ['| room | branches | taken |', '|---|---|---|', ...rows].join('\n'),
    ['| where | code | branch | why no test takes it |', '|---|---|---|---|', ...list].join('\n'),
  ].join('\n\n')}\n`
}
