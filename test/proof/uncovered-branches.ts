import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import { fileURLToPath } from 'node:url'

/** `npm run coverage`: lists each branch of format, log, writer and chaser that no test takes. */

interface Place {
  readonly start: { readonly line: number; readonly column: number }
  readonly end: { readonly line: number }
}

/** As istanbul writes it. */
interface FileCoverage {
  readonly path: string
  readonly branchMap: Readonly<
    Record<string, { readonly type: string; readonly loc: Place; readonly locations: readonly Place[] }>
  >
  readonly b: Readonly<Record<string, readonly number[]>>
}

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const coverage = JSON.parse(readFileSync(new URL('../../coverage/coverage-final.json', import.meta.url), 'utf8')) as Record<
  string,
  FileCoverage
>

let branches = 0
const uncovered: string[] = []
for (const { path, branchMap, b } of Object.values(coverage)) {
  const lines = readFileSync(path, 'utf8').split('\n')
  for (const [id, counts] of Object.entries(b)) {
    for (const [at, count] of counts.entries()) {
      branches++
      if (count > 0) continue
      const { type, loc, locations } = branchMap[id]!
      const { line } = (locations[at] ?? loc).start
      uncovered.push(`${relative(ROOT, path)}:${line} (${type}) ${lines[line - 1]?.trim()}`)
    }
  }
}
for (const line of uncovered.sort()) console.log(line)
const share = ((100 * uncovered.length) / Math.max(1, branches)).toFixed(1)
console.log(`${uncovered.length} of ${branches} branches are not taken by any test (${share} %)`)
