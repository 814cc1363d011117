/**
 * A process of its own for one measurement: nothing that another one compiled, allocated or left to the garbage collector
 * is in its way. The task comes as JSON in the first argument; the figures go to the parent, and with a second argument where
 * the time of the main thread went.
 */
import { mkdir } from 'node:fs/promises'
import type { EverstoreSpec } from '../seeds/everstore.ts'
import type { ExdaasSpec } from '../seeds/exdaas.ts'
import type { MemstateSpec } from '../seeds/memstate.ts'
import type { VoikSpec } from '../seeds/voik.ts'
import type { AppendLoadSpec } from '../workloads/append-load.ts'
import type { BackupsSpec } from '../workloads/backups.ts'
import type { ColdAppendsSpec } from '../workloads/cold-appends.ts'
import type { FullScanSpec } from '../workloads/full-scan.ts'
import type { LoadSpec } from '../workloads/load-data-set.ts'
import type { MachineLimitsSpec } from '../workloads/machine-limits.ts'
import type { OpeningSpec } from '../workloads/opening.ts'
import type { ScavengingSpec } from '../workloads/scavenging.ts'
import type { StoreFillSpec, StoreOpenSpec } from '../workloads/store-scale.ts'
import type { StreamReadsSpec } from '../workloads/stream-reads.ts'
import { profiled } from './cpu-profile.ts'
import type { Figures, Tell } from './figures.ts'

interface Specs {
  readonly append: AppendLoadSpec
  readonly load: LoadSpec
  readonly scan: FullScanSpec
  readonly 'read-streams': StreamReadsSpec
  readonly open: OpeningSpec
  readonly 'append-until-killed': OpeningSpec
  readonly limits: MachineLimitsSpec
  readonly 'fill-store': StoreFillSpec
  readonly 'open-store': StoreOpenSpec
  readonly 'cold-appends': ColdAppendsSpec
  readonly scavenge: ScavengingSpec
  readonly backups: BackupsSpec
  readonly everstore: EverstoreSpec
  readonly exdaas: ExdaasSpec
  readonly memstate: MemstateSpec
  readonly voik: VoikSpec
}

export type Task = { [Kind in keyof Specs]: { readonly kind: Kind } & Specs[Kind] }[keyof Specs]

/** Imports only what the task needs. */
async function perform(task: Task, tell: Tell): Promise<Figures> {
  switch (task.kind) {
    case 'append':
      return (await import('../workloads/append-load.ts')).measureAppendLoad(task)
    case 'load':
      return (await import('../workloads/load-data-set.ts')).loadDataSet(task, tell)
    case 'scan':
      return (await import('../workloads/full-scan.ts')).measureFullScan(task)
    case 'read-streams':
      return (await import('../workloads/stream-reads.ts')).measureStreamReads(task)
    case 'open':
      return (await import('../workloads/opening.ts')).measureOpening(task)
    case 'append-until-killed':
      return (await import('../workloads/opening.ts')).appendUntilKilled(task, tell)
    case 'limits':
      return (await import('../workloads/machine-limits.ts')).measureMachineLimits(task)
    case 'fill-store':
      return (await import('../workloads/store-scale.ts')).measureStoreFill(task, tell)
    case 'open-store':
      return (await import('../workloads/store-scale.ts')).measureStoreOpen(task, tell)
    case 'cold-appends':
      return (await import('../workloads/cold-appends.ts')).measureColdAppends(task)
    case 'scavenge':
      return (await import('../workloads/scavenging.ts')).measureScavenging(task, tell)
    case 'backups':
      return (await import('../workloads/backups.ts')).measureBackups(task, tell)
    case 'everstore':
      return (await import('../seeds/everstore.ts')).measureEverstore(task)
    case 'exdaas':
      return (await import('../seeds/exdaas.ts')).measureExdaas(task)
    case 'memstate':
      return (await import('../seeds/memstate.ts')).measureMemstate(task)
    case 'voik':
      return (await import('../seeds/voik.ts')).measureVoik(task, tell)
  }
}

const tell: Tell = message => {
  if (process.send) process.send(message)
  else console.log(JSON.stringify(message))
}

// Without a parent there is nobody to remove what this would go on writing.
process.once('disconnect', () => process.exit(1))
// The servers that it started end with its exit.
process.once('SIGTERM', () => process.exit(143))

const task = JSON.parse(process.argv[2] ?? '') as Task
try {
  await mkdir(task.directory, { recursive: true })
  if (process.argv[3] === undefined) tell({ figures: await perform(task, tell) })
  else {
    const { result: figures, lines: profile } = await profiled(() => perform(task, tell))
    tell({ figures, profile })
  }
} catch (error) {
  process.exitCode = 1
  tell({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}
process.disconnect?.()
