import type { CrashOptions } from '../../support/crash-states.ts'

/** How densely the crashes of a sequence are tried: each open is cheap, each new workload is not. */
export const DENSE: CrashOptions = { exhaustiveLimit: 7, damagedPerSubset: 6, randomCount: 200, sampleLimit: 30 }
