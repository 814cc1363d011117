import { fork } from 'node:child_process'
import { rm } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import type { CellMessage } from './cell.ts'
import type { CellResult, CellSpec } from './cells.ts'

/** What a cell may take beyond its own seconds: start-up, a slow close on a busy disk. */
const GRACE_SECONDS = 30

/** Where the cell's program is; run it with `--import tsx`. */
export const CELL_PROGRAM = fileURLToPath(new URL('./cell.ts', import.meta.url))

/**
 * Measures one cell in a fresh process and removes its data.
 * @throws Error saying which cell failed and why
 */
export async function runCell(spec: CellSpec): Promise<CellResult> {
  try {
    const message = await forkCell(spec)
    if ('result' in message) return message.result
    throw new Error(message.error)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Error(`${describeCell(spec)}: ${why}`)
  } finally {
    await rm(spec.directory, { recursive: true, force: true })
  }
}

/** The cell in words, for progress and for errors. */
export function describeCell({ durability, inFlight, payloadBytes, subject }: CellSpec): string {
  return `${durability}, ${inFlight} in flight, ${payloadBytes} B, ${subject}`
}

function forkCell(spec: CellSpec): Promise<CellMessage> {
  return new Promise((resolve, reject) => {
    const timeout = Math.ceil((GRACE_SECONDS + spec.warmupSeconds + spec.seconds) * 1000)
    // stdout is for the table alone, so the child's goes to stderr.
    const child = fork(CELL_PROGRAM, [JSON.stringify(spec)], { stdio: ['ignore', 2, 2, 'ipc'], timeout, killSignal: 'SIGKILL' })
    let message: CellMessage | undefined
    child.on('message', received => {
      message = received as CellMessage
    })
    child.on('error', reject)
    // Unlike 'exit', 'close' comes after the last message.
    child.on('close', (code, signal) => {
      if (message) resolve(message)
      else
        reject(
          new Error(
            signal ? `ended by ${signal} (it has ${timeout / 1000} s)` : `ended with exit code ${code} before it had a result`,
          ),
        )
    })
  })
}
