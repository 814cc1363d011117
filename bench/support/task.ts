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

/** Imports what the task needs, and nothing else. @returns what performs it */
function prepare(task: Task, tell: Tell): Promise<() => Promise<Figures>> {
  switch (task.kind) {
    case 'append':
      return import('../workloads/append-load.ts').then(
        ({ measureAppendLoad }) =>
          () =>
            measureAppendLoad(task),
      )
    case 'load':
      return import('../workloads/load-data-set.ts').then(
        ({ loadDataSet }) =>
          () =>
            loadDataSet(task, tell),
      )
    case 'scan':
      return import('../workloads/full-scan.ts').then(
        ({ measureFullScan }) =>
          () =>
            measureFullScan(task),
      )
    case 'read-streams':
      return import('../workloads/stream-reads.ts').then(
        ({ measureStreamReads }) =>
          () =>
            measureStreamReads(task),
      )
    case 'open':
      return import('../workloads/opening.ts').then(
        ({ measureOpening }) =>
          () =>
            measureOpening(task),
      )
    case 'append-until-killed':
      return import('../workloads/opening.ts').then(
        ({ appendUntilKilled }) =>
          () =>
            appendUntilKilled(task, tell),
      )
    case 'limits':
      return import('../workloads/machine-limits.ts').then(
        ({ measureMachineLimits }) =>
          () =>
            measureMachineLimits(task),
      )
    case 'fill-store':
      return import('../workloads/store-scale.ts').then(
        ({ measureStoreFill }) =>
          () =>
            measureStoreFill(task, tell),
      )
    case 'open-store':
      return import('../workloads/store-scale.ts').then(
        ({ measureStoreOpen }) =>
          () =>
            measureStoreOpen(task, tell),
      )
    case 'cold-appends':
      return import('../workloads/cold-appends.ts').then(
        ({ measureColdAppends }) =>
          () =>
            measureColdAppends(task),
      )
    case 'scavenge':
      return import('../workloads/scavenging.ts').then(
        ({ measureScavenging }) =>
          () =>
            measureScavenging(task, tell),
      )
    case 'backups':
      return import('../workloads/backups.ts').then(
        ({ measureBackups }) =>
          () =>
            measureBackups(task, tell),
      )
    case 'everstore':
      return import('../seeds/everstore.ts').then(
        ({ measureEverstore }) =>
          () =>
            measureEverstore(task),
      )
    case 'exdaas':
      return import('../seeds/exdaas.ts').then(
        ({ measureExdaas }) =>
          () =>
            measureExdaas(task),
      )
    case 'memstate':
      return import('../seeds/memstate.ts').then(
        ({ measureMemstate }) =>
          () =>
            measureMemstate(task),
      )
    case 'voik':
      return import('../seeds/voik.ts').then(
        ({ measureVoik }) =>
          () =>
            measureVoik(task, tell),
      )
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
  const perform = await prepare(task, tell)
  if (process.argv[3] === undefined) tell({ figures: await perform() })
  else {
    const { result: figures, lines: profile } = await profiled(perform)
    tell({ figures, profile })
  }
} catch (error) {
  process.exitCode = 1
  tell({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) })
}
process.disconnect?.()
