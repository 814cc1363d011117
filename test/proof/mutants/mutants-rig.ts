import { mkdirSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { MUTANTS, type Mutant, type Probe } from '../../mutants/mutants.ts'
import type { Rig, RigReport } from '../rig.ts'
import { workAlone } from '../workers.ts'
import type { Findings, ProbeJob } from './mutants-work.ts'

const WORK = new URL('mutants-work.ts', import.meta.url).href
const APPLY = fileURLToPath(new URL('../../mutants/apply.mjs', import.meta.url))
const ALL: readonly Probe[] = ['promises', 'crashes', 'scenes', 'bytes', 'faults', 'calls']
const TIMEOUT_MS = 300_000

interface Caught {
  readonly mutant: Mutant
  readonly findings: Findings
}

export const mutantsRig: Rig = {
  name: 'mutants',
  about:
    'Mutants: durability bugs as someone could write them, put into the engine one at a time. Each must be found by the rigs above, or the rigs show nothing.',
  unavailable: async () => null,

  async run({ isQuick, directory }, progress): Promise<RigReport> {
    const failures: string[] = []
    const caught: Caught[] = []
    const waiting = [...MUTANTS.entries()]
    const sound = async () => {
      for (const [probe, finding] of Object.entries(await findingsOf(null, ALL, join(directory, 'sound')))) {
        if (finding !== null) failures.push(`${probe} finds something in the engine as it is: ${finding}`)
      }
    }
    const worker = async (isFirst: boolean) => {
      if (isFirst) await sound()
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [index, mutant] = next
        const path = join(directory, String(index))
        let findings = await findingsOf(mutant, isQuick ? [mutant.foundBy] : ALL, path)
        // A quick run that misses it tries the others: someone else may know.
        if (isQuick && !isFound(findings)) findings = await findingsOf(mutant, ALL, path)
        caught[index] = { mutant, findings }
        progress(`${isFound(findings) ? 'found' : 'MISSED'}: ${mutant.name}`)
      }
    }
    await Promise.all(Array.from({ length: availableParallelism() }, (_, at) => worker(at === 0)))
    for (const { mutant, findings } of caught) if (!isFound(findings)) failures.push(`nobody found '${mutant.name}'`)
    return {
      figures: { mutants: caught.length, found: caught.filter(({ findings }) => isFound(findings)).length },
      failures,
      tables: [
        {
          title: 'Who found which',
          head: ['mutant', ...ALL, 'first said'],
          rows: caught.map(({ mutant, findings }) => [
            mutant.name,
            ...ALL.map(probe => cellOf(findings, probe)),
            saidOf(findings),
          ]),
        },
      ],
    }
  },
}

async function findingsOf(mutant: Mutant | null, probes: readonly Probe[], directory: string): Promise<Findings> {
  mkdirSync(directory, { recursive: true })
  const found: Findings = {}
  // One process for each: what a mutant does to one probe, be it to hang, must not keep it from the next.
  for (const probe of probes) {
    const outcome = await workAlone<ProbeJob, Findings>(
      WORK,
      { probes: [probe], directory },
      {
        execArgv: mutant === null ? [] : ['--import', APPLY],
        env: mutant === null ? {} : { TAILRACE_MUTANT: JSON.stringify(mutant.edits) },
        timeoutMs: TIMEOUT_MS,
      },
    )
    const died = 'died' in outcome ? outcome.died : ''
    if (died.includes('does not match once')) throw new Error(`'${mutant?.name}' is no mutant any more: ${died}`)
    found[probe] = 'result' in outcome ? (outcome.result[probe] ?? null) : outcome.died
  }
  return found
}

function isFound(findings: Findings): boolean {
  return Object.values(findings).some(finding => finding !== null)
}

function cellOf(findings: Findings, probe: Probe): string {
  const finding = findings[probe]
  return finding === undefined ? '' : finding === null ? '-' : 'found'
}

function saidOf(findings: Findings): string {
  const first = Object.values(findings).find(finding => finding !== null) ?? 'nothing'
  const line = first.split('\n')[0] as string
  return line.length > 140 ? `${line.slice(0, 140)}…` : line
}
