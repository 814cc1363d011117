import { existsSync } from 'node:fs'
import { bytesRig } from './bytes/bytes-rig.ts'
import { crashesRig } from './crashes/crashes-rig.ts'
import { determinismRig } from './determinism/determinism-rig.ts'
import { faultsRig } from './faults/faults-rig.ts'
import { mutantsRig } from './mutants/mutants-rig.ts'
import { promisesRig } from './promises/promises-rig.ts'
import type { Rig } from './rig.ts'
import { soakRig } from './soak/soak-rig.ts'

const KERNEL_RIGS = new URL('../kernels/rigs.ts', import.meta.url)

/**
 * What a rig needs. One that keeps the processors busy and one that waits for the disk can run at the same time; one that measures
 * how long something takes, or how much memory it has, runs alone.
 */
export type Need = 'processors' | 'disk' | 'everything'

const NEEDS: Readonly<Record<string, Need>> = {
  kill: 'disk',
  'power-ext4': 'disk',
  'power-xfs': 'disk',
  'failed-syncs': 'disk',
  'full-disk': 'disk',
  'system-calls': 'disk',
  'stalled-disk': 'disk',
  soak: 'everything',
  'recovery-time': 'everything',
}

export function needOf({ name }: Rig): Need {
  return NEEDS[name] ?? 'processors'
}

/** Every rig there is, cheap ones first. */
export async function allRigs(): Promise<readonly Rig[]> {
  const kernelRigs = existsSync(KERNEL_RIGS) ? ((await import(KERNEL_RIGS.href)) as { readonly rigs: readonly Rig[] }).rigs : []
  return [promisesRig, determinismRig, faultsRig, bytesRig, crashesRig, soakRig, mutantsRig, ...kernelRigs]
}
