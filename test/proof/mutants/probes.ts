import { Exploration } from '../../crash/exploration.ts'
import { scenes } from '../../crash/scenes.ts'
import { SequenceExploration } from '../../crash/sequence-exploration.ts'
import type { Probe } from '../../mutants/mutants.ts'
import { seedStoreIds } from '../../support/store-ids.ts'
import { type CaseKind, casesOf, runCases, sampleOf } from '../bytes/damage-cases.ts'
import { runFuzz } from '../bytes/fuzz-cases.ts'
import type { SampleName } from '../bytes/sample-store.ts'
import { ERRORS } from '../faults/call-site.ts'
import { runCell } from '../faults/fault-cells.ts'
import { callCells, runCallCell } from '../faults/system-calls.ts'
import { checkPromise, PROMISES } from '../promises/check-promises.ts'

/** What a probe says of the engine that it is imported with; null: nothing wrong was found. */
export async function runProbe(probe: Probe, directory: string): Promise<string | null> {
  try {
    return await PROBES[probe](directory)
  } catch (error) {
    // A store that can't be made or opened to begin with.
    return String((error as Error).message).split('\n')[0] as string
  }
}

const PROBES: Record<Probe, (directory: string) => Promise<string | null>> = {
  async promises() {
    for (const name of Object.keys(PROMISES)) {
      const broken = await checkPromise(name)
      if (broken !== null) return broken
    }
    return null
  },

  async crashes() {
    const crash = { exhaustiveLimit: 4, damagedPerSubset: 2, randomCount: 12, sampleLimit: 6 }
    for (const sequence of ['r', 'nr', 'dr', 'rds', 'b', 'aor', 'drso', 'rorb', 'ers', 'imn']) {
      const exploration = new SequenceExploration({ seed: 'mutant', sectorSize: 512, crash })
      await exploration.run(sequence)
      const [finding] = exploration.findings
      if (finding !== undefined) return finding.message
    }
    return null
  },

  async scenes() {
    const names = ['a sync fails, and the store is opened again', 'the disk is full for a while', 'roll-overs']
    names.push('killed at work, opened again, then the power fails', 'appends of several events', 'close and open again')
    for (let run = 0; run < 2; run++) {
      for (const name of names) {
        const exploration = new Exploration(scenes[name]!)
        seedStoreIds(`mutant-${run}`)
        await exploration.run(`mutant-${run}`, 500)
        const [finding] = exploration.findings
        if (finding !== undefined) return finding.message
      }
    }
    return null
  },

  async bytes() {
    const cases: readonly (readonly [CaseKind, SampleName, step: number])[] = [
      ['hint and index files missing, empty, zeroed, old, foreign or ahead', 'plain', 1],
      ['records of another place behind the end, or of another store in place', 'plain', 7],
      ['bits of an index file, by the page they are in', 'plain', 997],
      ['bits of the chunk that is being filled', 'plain', 997],
      ['bits of the chunk that is being filled, while it is open', 'plain', 4999],
      ['bits of a completed chunk and its footer, by opening and reading', 'plain', 4999],
      ['sectors swapped or written twice', 'plain', 997],
      ['truncations', 'plain', 997],
    ]
    for (const [kind, sample, step] of cases) {
      const to = casesOf(kind, await sampleOf(sample, 'mutant'))
      const { failures } = await runCases({ kind, sample, seed: 'mutant', from: 1 % step, to, step })
      if (failures.length > 0) return failures[0]!
    }
    for (const [kind, to] of [
      ['record decodes', 20_000],
      ['chunk opens', 150],
    ] as const) {
      const { failures } = await runFuzz({ kind, sample: 'plain', seed: 'mutant', from: 0, to })
      if (failures.length > 0) return failures[0]!
    }
    return null
  },

  async faults() {
    for (const phase of ['append', 'append, large', 'roll over', 'recover', 'close']) {
      for (const op of ['writeDurably', 'write', 'datasync'] as const) {
        for (const error of ERRORS) {
          const { failures } = await runCell({ phase, op, file: '.chunk', error, times: 'once' })
          if (failures.length > 0) return failures[0]!
        }
      }
    }
    return null
  },

  async calls(directory) {
    for (const cell of callCells()) {
      const { failures } = await runCallCell(cell, directory)
      if (failures.length > 0) return failures[0]!
    }
    return null
  },
}
