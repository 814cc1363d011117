import type { Cell } from './call-site.ts'
import { type CellResult, runCell } from './fault-cells.ts'
import { type CallCell, type CallResult, runCallCell } from './system-calls.ts'

export type FaultJob =
  | { readonly cells: readonly Cell[]; readonly step: number }
  | { readonly callCells: readonly CallCell[]; readonly directory: string }

export async function work(job: FaultJob): Promise<readonly (CellResult | CallResult)[]> {
  const results: (CellResult | CallResult)[] = []
  if ('cells' in job) {
    for (const [index, cell] of job.cells.entries()) {
      let result = await runCell(cell, 1 + (index % job.step), job.step)
      if (result.calls === 0 && index % job.step > 0) result = await runCell(cell, 1, job.step)
      results.push(result)
      // Without such a call there is nothing to fail in another way.
      if (index === 0 && result.calls === 0) break
    }
  } else for (const cell of job.callCells) results.push(await runCallCell(cell, job.directory))
  return results
}
