import { createHash } from 'node:crypto'
import { scenes } from '../../crash/scenes.ts'
import { play } from '../../crash/sequence.ts'
import { Stage } from '../../crash/stage.ts'
import { textOf } from '../../crash/store-picture.ts'
import type { LogEntry } from '../../support/operation-log.ts'
import { seedStoreIds } from '../../support/store-ids.ts'

/** One workload, played once. */
export type TraceJob = { readonly scene: string; readonly seed: string } | { readonly sequence: string; readonly seed: string }

/** A hash of everything that was done to the disk, and of everything that was told. */
export async function work(job: TraceJob): Promise<string> {
  const hash = createHash('sha256')
  if ('scene' in job) {
    const scene = scenes[job.scene]!
    seedStoreIds(job.seed)
    const stage = new Stage(job.seed, scene.options)
    await scene.play(stage)
    hashLog(hash, stage.disk.log)
  } else {
    const { disk, pictures } = await play(job.sequence, job.seed, 512)
    hashLog(hash, disk.log)
    for (const picture of pictures) hash.update(textOf(picture))
  }
  return hash.digest('hex')
}

function hashLog(hash: ReturnType<typeof createHash>, log: readonly LogEntry[]): void {
  for (const entry of log) {
    if ('bytes' in entry) {
      const { bytes, ...rest } = entry
      hash.update(JSON.stringify(rest)).update(bytes)
    } else hash.update(JSON.stringify(entry, asPlain))
  }
}

function asPlain(_: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value
}
