import type { Rig } from '../proof/rig.ts'
import { failedSyncRig } from './failed-sync-rig.ts'
import { killRig } from './kill-rig.ts'
import { powerCutRig } from './power-cut-rig.ts'

/** The rigs that try real kernels. */
export const rigs: readonly Rig[] = [killRig, powerCutRig('ext4'), powerCutRig('xfs'), failedSyncRig]
