import type { Rig, RigReport } from '../rig.ts'
import { workThrough } from '../workers.ts'
import type { BytesJob } from './bytes-work.ts'
import { type CaseCounts, type CaseKind, casesOf, sampleOf } from './damage-cases.ts'
import type { FuzzJob } from './fuzz-cases.ts'
import type { SampleName } from './sample-store.ts'

const WORK = new URL('bytes-work.ts', import.meta.url).href

/** Which damage is done to which sample, and each how many-th case of it a quick run takes. */
const DAMAGE: readonly (readonly [CaseKind, SampleName, quickStep: number])[] = [
  ['bits of a completed chunk and its footer, by opening and reading', 'plain', 135],
  ['bits of a completed chunk and its footer, by opening and reading', 'compact', 135],
  ['bits of a chunk of 1 MiB, by the block they are in', 'plain', 123],
  ['bits of the chunk that is being filled', 'plain', 203],
  ['bits of the chunk that is being filled, while it is open', 'plain', 203],
  ['bits of the last append, which nothing proves', 'killed', 123],
  ['bits of an index file, by the page they are in', 'plain', 1],
  ['bits of an index file, by opening and reading', 'plain', 423],
  ['bits of an index file, by opening and reading', 'compact', 423],
  ['bits of the hint', 'plain', 1],
  ['sectors swapped or written twice', 'plain', 81],
  ['sectors swapped or written twice', 'compact', 81],
  ['records of another place behind the end, or of another store in place', 'plain', 1],
  ['truncations', 'plain', 123],
  ['truncations', 'compact', 123],
  ['truncations', 'killed', 123],
  ['hint and index files missing, empty, zeroed, old, foreign or ahead', 'plain', 1],
]

const FUZZ: readonly (readonly [FuzzJob['kind'], SampleName, quick: number, full: number])[] = [
  ['record decodes', 'plain', 200_000, 5_000_000],
  ['record decodes', 'compact', 200_000, 5_000_000],
  ['chunk opens', 'plain', 2000, 400_000],
  ['chunk opens', 'compact', 2000, 300_000],
  ['index opens', 'plain', 1500, 200_000],
  ['index opens', 'compact', 1000, 100_000],
  ['import lines', 'plain', 20_000, 1_000_000],
]

const PARTS = 16

export const bytesRig: Rig = {
  name: 'bytes',
  about:
    'Bad bytes: bits flipped, sectors swapped, files cut, hints from the past and the future, files made by hand. Never a wrong byte, a crash or a hang; what is missing is said.',
  unavailable: async () => null,

  async run({ isQuick, seed }, progress): Promise<RigReport> {
    const jobs: BytesJob[] = []
    for (const [kind, sample, quickStep] of DAMAGE) {
      const count = casesOf(kind, await sampleOf(sample, String(seed)))
      const step = isQuick ? quickStep : 1
      const size = Math.ceil(count / (count > 2000 * step ? PARTS : 1) / step) * step
      for (let from = seed % step; from < count; from += size) {
        jobs.push({ kind, sample, seed: String(seed), from, to: Math.min(count, from + size), step })
      }
    }
    for (const [kind, sample, quick, full] of FUZZ) {
      const count = isQuick ? quick : full
      for (let part = 0; part < PARTS; part++) {
        jobs.push({ kind, sample, seed: String(seed), from: (count * part) / PARTS, to: (count * (part + 1)) / PARTS })
      }
    }
    let done = 0
    const counts = await workThrough<BytesJob, CaseCounts>(WORK, jobs, {
      done: ({ kind, sample }) => {
        if (++done % 20 === 0) progress(`${done} of ${jobs.length}: ${kind} (${sample})`, done / jobs.length)
      },
    })
    return reportOf(counts)
  },
}

function reportOf(counts: readonly CaseCounts[]): RigReport {
  const rows = new Map<string, { cases: number; detected: number; harmless: number; wrong: number }>()
  for (const { kind, sample, cases, detected, harmless, failures } of counts) {
    const row = rows.get(`${kind} (${sample})`) ?? { cases: 0, detected: 0, harmless: 0, wrong: 0 }
    row.cases += cases
    row.detected += detected
    row.harmless += harmless
    row.wrong += failures.length
    rows.set(`${kind} (${sample})`, row)
  }
  const all = [...rows]
  const sum = (isMeant: (name: string) => boolean) =>
    all.filter(([name]) => isMeant(name)).reduce((total, [, { cases }]) => total + cases, 0)
  return {
    figures: {
      'single-bit flips': sum(name => name.startsWith('bits')),
      'sectors swapped or written twice': sum(name => name.startsWith('sectors')),
      truncations: sum(name => name.startsWith('truncations')),
      'fuzzed record decodes': sum(name => name.startsWith('record decodes')),
      'fuzzed opens': sum(name => name.includes('opens')),
      'wrong bytes, crashes or hangs': counts.reduce((total, { failures }) => total + failures.length, 0),
    },
    failures: counts.flatMap(({ failures }) => failures),
    tables: [
      {
        title: 'What was damaged',
        head: ['damage (sample)', 'cases', 'said', 'nothing missing, all right', 'broken'],
        rows: all.map(([name, { cases, detected, harmless, wrong }]) => [
          name,
          ...[cases, detected, harmless, wrong].map(figure => figure.toLocaleString('en')),
        ]),
      },
    ],
  }
}
