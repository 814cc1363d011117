import type { Rig, RigReport } from '../rig.ts'
import { workThrough } from '../workers.ts'
import { soakOnRealFiles } from './real-soak.ts'
import type { SoakCounts, SoakJob } from './simulated-soak.ts'

const WORK = new URL('simulated-soak.ts', import.meta.url).href
const MINUTES = 24 * 60
const JOBS = 48
const REAL_SECONDS = 600
const MOST_MIB_A_MINUTE = 1
const MOST_DESCRIPTORS_A_MINUTE = 0.5

export const soakRig: Rig = {
  name: 'soak',
  about:
    'Soak: a simulated day of appends with faults, kills and power cuts at random; ten minutes on real files, with an eye on memory and descriptors.',
  unavailable: async () => null,

  async run({ isQuick, seed, directory }, progress): Promise<RigReport> {
    const minutes = MINUTES / JOBS
    const jobs = Array.from({ length: JOBS }, (_, index): SoakJob => ({ seed: `${seed}-${index}`, minutes }))
    let simulated = 0
    const counts = await workThrough<SoakJob, SoakCounts>(WORK, isQuick ? jobs.slice(0, JOBS / 8) : jobs, {
      done(result) {
        simulated += result.minutes
        progress(`${(simulated / 60).toFixed(1)} simulated hours`, simulated / (isQuick ? MINUTES / 8 : MINUTES))
      },
    })
    const sum = (of: (count: SoakCounts) => number) => counts.reduce((total, count) => total + of(count), 0)
    const failures = counts.flatMap(count => count.failures)
    const figures: Record<string, number | string> = {
      'simulated hours': Math.round(sum(count => count.minutes) / 6) / 10,
      appends: sum(count => count.appends),
      'faults injected': sum(count => count.faults),
      kills: sum(count => count.kills),
      'power cuts': sum(count => count.powerCuts),
      recoveries: sum(count => count.lives),
      'broken promises': failures.length,
    }
    if (isQuick) return { figures, failures }
    const real = await soakOnRealFiles(directory, REAL_SECONDS, progress)
    if (real.memorySlopeMibPerMinute > MOST_MIB_A_MINUTE)
      failures.push(`memory grows by ${real.memorySlopeMibPerMinute} MiB a minute`)
    if (Math.abs(real.descriptorSlopePerMinute) > MOST_DESCRIPTORS_A_MINUTE) {
      failures.push(`descriptors grow by ${real.descriptorSlopePerMinute} a minute`)
    }
    return {
      figures: {
        ...figures,
        'seconds on real files': Math.round(real.seconds),
        'appends to them': real.appends,
        'memory slope, MiB a minute': real.memorySlopeMibPerMinute.toFixed(2),
        'descriptor slope, a minute': real.descriptorSlopePerMinute.toFixed(2),
        descriptors: real.descriptors,
      },
      failures,
    }
  },
}
