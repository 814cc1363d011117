import { scenes } from '../../crash/scenes.ts'
import { LETTERS } from '../../crash/sequence.ts'
import { Random } from '../../support/random.ts'
import type { Rig } from '../rig.ts'
import { workThrough } from '../workers.ts'
import type { TraceJob } from './determinism-work.ts'

const WORK = new URL('determinism-work.ts', import.meta.url).href
const TRACES = 100

export const determinismRig: Rig = {
  name: 'determinism',
  about:
    'Determinism: the same seed gives the same operations on the disk and the same outcomes, in another process and in another order.',
  unavailable: async () => null,

  async run({ seed }) {
    const random = new Random(`${seed}/determinism`)
    const names = Object.keys(scenes)
    const jobs = Array.from({ length: TRACES }, (_, index): TraceJob => {
      if (index % 4 === 0) return { scene: names[(index / 4) % names.length] as string, seed: `${seed}-${index}` }
      const sequence = Array.from({ length: 1 + random.int(6) }, () => random.pick(LETTERS)).join('')
      return { sequence, seed: `${seed}-${index}` }
    })
    const order = random.shuffle(jobs.map((_, index) => index))
    const first = await workThrough<TraceJob, string>(WORK, jobs)
    const second = await workThrough<TraceJob, string>(
      WORK,
      order.map(index => jobs[index] as TraceJob),
      { count: 1 },
    )
    const failures = order.flatMap((index, at) =>
      first[index] === second[at] ? [] : [`another trace of ${JSON.stringify(jobs[index])}: ${first[index]} and ${second[at]}`],
    )
    return {
      figures: { traces: TRACES, 'the same twice': TRACES - failures.length, 'different traces': new Set(first).size },
      failures,
    }
  },
}
