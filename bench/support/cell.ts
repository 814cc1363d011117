/**
 * A process of its own for one cell: nothing that another cell compiled, allocated or left to the garbage collector is in
 * its way. The cell comes as JSON in the first argument; the result goes to the parent, or to stdout when there is none
 * (bench/profile.ts runs it so).
 */
import { mkdir } from 'node:fs/promises'
import type { CellResult, CellSpec } from './cells.ts'
import { runClosedLoop } from './closed-loop.ts'
import { openAppender } from './open-appender.ts'

export type CellMessage = { readonly result: CellResult } | { readonly error: string }

// Without a parent there is nobody to remove what this would go on writing.
process.once('disconnect', () => process.exit(1))

async function measure(spec: CellSpec): Promise<CellResult> {
  await mkdir(spec.directory, { recursive: true })
  const appender = await openAppender(spec)
  const result = await runClosedLoop(appender, spec)
  await appender.close()
  const { subject, durability, inFlight, payloadBytes } = spec
  return { subject, durability, inFlight, payloadBytes, ...result }
}

async function main(): Promise<CellMessage> {
  try {
    return { result: await measure(JSON.parse(process.argv[2] ?? '') as CellSpec) }
  } catch (error) {
    process.exitCode = 1
    return { error: error instanceof Error ? `${error.name}: ${error.message}` : String(error) }
  }
}

const message = await main()
if (process.send) process.send(message, () => process.exit())
else console.log(JSON.stringify(message))
