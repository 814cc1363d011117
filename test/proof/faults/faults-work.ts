import type { Cell } from './call-site.ts'
import { type CellResult, runCell } from './fault-cells.ts'
import { type CallCell, type CallResult, runCallCell } from './system-calls.ts'

export type FaultJob =
  | { readonly cells: readonly Cell[] }
  | { readonly callCells: readonly CallCell[]; readonly directory: string }

export async function work(job: FaultJob): Promise<readonly (CellResult | CallResult)[]> {
  const results: (CellResult | CallResult)[] = []
  if ('cells' in job) for (const cell of job.cells) results.push(await runCell(cell))
  else for (const cell of job.callCells) results.push(await runCallCell(cell, job.directory))
  return results
}
