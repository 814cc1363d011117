import type { Rig } from '../proof/rig.ts'
import { failedSyncRig } from './failed-sync-rig.ts'
import { fullDiskRig } from './full-disk-rig.ts'
import { killRig } from './kill-rig.ts'
import { powerCutRig } from './power-cut-rig.ts'
import { recoveryTimeRig } from './recovery-time-rig.ts'
import { stalledDiskRig } from './stalled-disk-rig.ts'
import { systemCallRig } from './system-call-rig.ts'

/** The rigs that try real kernels. */
export const rigs: readonly Rig[] = [
  killRig,
  powerCutRig('ext4'),
  powerCutRig('xfs'),
  failedSyncRig,
  fullDiskRig,
  stalledDiskRig,
  systemCallRig,
  recoveryTimeRig,
]
