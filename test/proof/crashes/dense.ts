import type { CrashOptions } from '../../support/crash-states.ts'

/** How densely the crashes of a sequence are tried: a state whose like was opened before costs little, a new workload much. */
export const DENSE: CrashOptions = { exhaustiveLimit: 7, damagedPerSubset: 20, randomCount: 1200, sampleLimit: 80 }
