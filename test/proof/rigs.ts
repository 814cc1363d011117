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

/** Every rig there is, cheap ones first. */
export async function allRigs(): Promise<readonly Rig[]> {
  const kernelRigs = existsSync(KERNEL_RIGS) ? ((await import(KERNEL_RIGS.href)) as { readonly rigs: readonly Rig[] }).rigs : []
  return [promisesRig, determinismRig, faultsRig, bytesRig, crashesRig, soakRig, mutantsRig, ...kernelRigs]
}
