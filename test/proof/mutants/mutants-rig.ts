import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { MUTANTS, type Mutant, PROBES, type Probe } from '../../mutants/mutants.ts'
import type { Rig, RigReport } from '../rig.ts'
import { ProbeProcess } from './probe-process.ts'

const TIMEOUT_MS = 150_000
/** Of a mutant that is shown to the one probe that finds it: found within seconds, or not as it was. */
const QUICK_TIMEOUT_MS = 60_000

/** What each probe said of one mutant. */
type Findings = Map<Probe, string | null>

export const mutantsRig: Rig = {
  name: 'mutants',
  about:
    'Mutants: durability bugs as someone could write them, put into the engine one at a time. Each must be found by the rigs above, or the rigs show nothing. A quick run asks only the rig that is known to find it.',
  unavailable: async () => null,

  async run({ isQuick, directory }, progress): Promise<RigReport> {
    const failures: string[] = []
    const found: Findings[] = MUTANTS.map(() => new Map())
    const jobs: (() => Promise<void>)[] = []
    const processes = new Set<ProbeProcess>()
    const idle: ProbeProcess[] = []
    const find = async (mutant: number | null, probe: Probe): Promise<string | null> => {
      const one = idle.pop() ?? new ProbeProcess()
      processes.add(one)
      const path = join(directory, `${mutant ?? 'sound'}-${probe}`)
      const finding = await one.find(
        { mutant, probe, directory: path },
        isQuick && mutant !== null ? QUICK_TIMEOUT_MS : TIMEOUT_MS,
      )
      // With time enough, each gets a process that no other mutant has touched.
      if (isQuick) idle.push(one)
      else one.end()
      return finding
    }
    // The probes that take long, first.
    for (const probe of PROBES) {
      jobs.push(async () => {
        const finding = await find(null, probe)
        if (finding !== null) failures.push(`${probe} finds something in the engine as it is: ${finding}`)
        progress(`the engine as it is: ${probe}`)
      })
    }
    for (const [index, { name, foundBy }] of MUTANTS.entries()) {
      jobs.push(async () => {
        for (const probe of isQuick ? [foundBy] : PROBES) found[index]!.set(probe, await find(index, probe))
        // In a quick run, one that is missed is shown to the others: someone else may know.
        if (!isFound(found[index]!)) for (const probe of PROBES) found[index]!.set(probe, await find(index, probe))
        progress(`${isFound(found[index]!) ? 'found' : 'MISSED'}: ${name}`)
      })
    }
    const worker = async () => {
      for (let job = jobs.shift(); job !== undefined; job = jobs.shift()) await job()
    }
    // One more than processors: some mutants make a probe wait, and so do calls that are slow on purpose.
    const workers = Array.from({ length: availableParallelism() + 1 }, worker)
    try {
      await Promise.all(workers)
    } finally {
      // When one failed the others end what they have begun: a process that is ended under them would be made anew, and stay.
      jobs.length = 0
      await Promise.allSettled(workers)
      for (const one of processes) one.end()
    }
    return reportOf(found, failures)
  },
}

function reportOf(found: readonly Findings[], failures: string[]): RigReport {
  for (const [index, { name, foundBy }] of MUTANTS.entries()) {
    const findings = found[index]!
    if (!isFound(findings)) failures.push(`nobody found '${name}'`)
    else if (findings.get(foundBy) === null) failures.push(`'${name}' is not found by ${foundBy}, where quick runs look for it`)
  }
  return {
    figures: { mutants: MUTANTS.length, found: found.filter(isFound).length },
    failures,
    tables: [
      {
        title: 'Who found which',
        head: ['mutant', ...PROBES, 'first said'],
        rows: MUTANTS.map((mutant, index) => rowOf(mutant, found[index]!)),
      },
    ],
  }
}

function rowOf({ name }: Mutant, findings: Findings): string[] {
  return [name, ...PROBES.map(probe => cellOf(findings, probe)), saidOf(findings)]
}

function isFound(findings: Findings): boolean {
  return [...findings.values()].some(finding => finding !== null)
}

function cellOf(findings: Findings, probe: Probe): string {
  const finding = findings.get(probe)
  return finding === undefined ? '' : finding === null ? '-' : 'found'
}

function saidOf(findings: Findings): string {
  const first = [...findings.values()].find(finding => finding !== null) ?? 'nothing'
  const line = first.split('\n')[0] as string
  return line.length > 140 ? `${line.slice(0, 140)}…` : line
}
