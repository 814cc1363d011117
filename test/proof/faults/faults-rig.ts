import type { Rig, RigReport } from '../rig.ts'
import { workThrough } from '../workers.ts'
import { type CallSite, ERRORS } from './call-site.ts'
import { allSites, type CellResult } from './fault-cells.ts'
import type { FaultJob } from './faults-work.ts'
import { CALL_FAULTS, type CallResult, callCells } from './system-calls.ts'

const WORK = new URL('faults-work.ts', import.meta.url).href
const TIMES = ['once', 'forever'] as const

export const faultsRig: Rig = {
  name: 'faults',
  about:
    'Fault matrix: every call to the disk, at every step, fails once, and from then on, in every way; each time with the outcome that is promised, and a look at what a crash would leave. Short, empty and slow system calls on real files.',
  unavailable: async () => null,

  async run({ isQuick, directory }, progress): Promise<RigReport> {
    // A quick run tries every cell, with some of the calls each; together the cells of a site try them all.
    const step = isQuick ? 8 : 1
    const jobs: FaultJob[] = allSites().map(site => ({
      cells: ERRORS.flatMap(error => TIMES.map(times => ({ ...site, error, times }))),
      step,
    }))
    jobs.push({ callCells: callCells(), directory })
    let done = 0
    const results = await workThrough<FaultJob, readonly (CellResult | CallResult)[]>(WORK, jobs, {
      done() {
        if (++done % 50 === 0) progress(`${done} of ${jobs.length} call sites`, done / jobs.length)
      },
    })
    return reportOf(results.flat())
  },
}

function reportOf(results: readonly (CellResult | CallResult)[]): RigReport {
  const cells = results.filter((result): result is CellResult => 'error' in result && result.calls > 0)
  const calls = results.filter((result): result is CallResult => 'fault' in result && result.calls > 0)
  const failures = results.flatMap(result => result.failures)
  const sites = new Map<string, { site: CallSite; cells: CellResult[] }>()
  for (const cell of cells) {
    const { phase, op, file } = cell
    const name = `${phase} ${op} ${file}`
    const site = sites.get(name) ?? { site: { phase, op, file }, cells: [] }
    site.cells.push(cell)
    sites.set(name, site)
  }
  return {
    figures: {
      'call sites': sites.size,
      'cells (call site x fault)': cells.length + calls.length,
      'faults injected': [...cells, ...calls].reduce((sum, cell) => sum + cell.calls, 0),
      'cells with another outcome than promised': failures.length,
    },
    failures,
    tables: [
      {
        title: 'Faults on the simulated disk',
        head: ['step', 'call', 'calls', ...ERRORS],
        rows: [...sites.values()].map(({ site, cells: own }) => [
          site.phase,
          `${site.op} ${site.file}`,
          String(Math.max(...own.map(cell => cell.calls))),
          ...ERRORS.map(error => outcomesOf(own.filter(cell => cell.error === error))),
        ]),
      },
      {
        title: 'Faults of system calls on real files',
        head: ['call', ...CALL_FAULTS],
        rows: [...new Set(calls.map(({ call }) => call))].map(call => [
          call,
          ...CALL_FAULTS.map(fault => outcomesOf(calls.filter(cell => cell.call === call && cell.fault === fault))),
        ]),
      },
    ],
  }
}

/** Both times, once if they agree. */
function outcomesOf(cells: readonly { readonly times: string; readonly outcomes: readonly string[] }[]): string {
  const texts = cells.map(({ outcomes }) => outcomes.join(' or '))
  if (new Set(texts).size <= 1) return texts[0] ?? ''
  return cells.map(({ times, outcomes }) => `${times}: ${outcomes.join(' or ')}`).join('; ')
}
