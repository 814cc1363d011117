import { mkdirSync } from 'node:fs'
import type { Probe } from '../../mutants/mutants.ts'

/** One mutant, or the engine as it is, and one probe. */
export interface ProbeJob {
  /** Index in the list of mutants; null for the engine as it is. */
  readonly mutant: number | null
  readonly probe: Probe
  readonly directory: string
}

/** Every error that is expected here would be a stack that nobody reads. */
Error.stackTraceLimit = 3

// What a probe gives up half-way may fail when the next one is at work: it says nothing of that one.
process.on('unhandledRejection', () => {})

/** Imports probe and engine once more, with the edits of the mutant in them. @returns what the probe found, if anything. */
export async function work({ mutant, probe, directory }: ProbeJob): Promise<string | null> {
  mkdirSync(directory, { recursive: true })
  const url = new URL(mutant === null ? 'probes.ts' : `probes.ts?mutant=${mutant}`, import.meta.url)
  const { runProbe } = (await import(url.href)) as typeof import('./probes.ts')
  return runProbe(probe, directory)
}
