import { rmSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'

/** Gives a new directory to what is measured, and removes it with all that is in it. */
export async function withScratch<Result>(
  parent: string,
  prefix: string,
  measure: (directory: string) => Promise<Result>,
): Promise<Result> {
  await mkdir(parent, { recursive: true })
  const directory = await mkdtemp(join(parent, prefix))
  // A server that runs as another user must get to its own directory below.
  await chmod(directory, 0o711)
  try {
    return await measure(directory)
  } finally {
    await rm(directory, { recursive: true, force: true })
  }
}

/** The same for a whole run: one that is interrupted leaves no data behind either. */
export function withRunScratch<Result>(
  parent: string,
  prefix: string,
  run: (directory: string) => Promise<Result>,
): Promise<Result> {
  return withScratch(parent, prefix, directory => {
    for (const [signal, exitCode] of [
      ['SIGINT', 130],
      ['SIGTERM', 143],
    ] as const) {
      process.once(signal, () => {
        rmSync(directory, { recursive: true, force: true })
        process.exit(exitCode)
      })
    }
    return run(directory)
  })
}
