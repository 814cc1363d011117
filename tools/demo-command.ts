import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

/** What the built `tailrace` command answered. */
export interface CommandOutcome {
  readonly status: number
  readonly lines: readonly string[]
}

/** Runs the command as a user would. @returns null when it is not built. */
export function runTailrace(argv: readonly string[]): Promise<CommandOutcome | null> {
  const bin = join(createRequire(import.meta.url).resolve('tailrace/package.json'), '../dist/tools/tailrace.js')
  if (!existsSync(bin)) return Promise.resolve(null)
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [bin, ...argv], { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      // An exit status is an answer; to be killed or not to start is none.
      if (error !== null && typeof error.code !== 'number') reject(error)
      else resolve({ status: Number(error?.code ?? 0), lines: `${stdout}${stderr}`.trimEnd().split('\n') })
    })
  })
}
