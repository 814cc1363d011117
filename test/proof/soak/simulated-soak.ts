import { Stage } from '../../crash/stage.ts'
import { powerCut } from '../../support/crash-states.ts'
import type { DiskOperation } from '../../support/faults.ts'
import type { Mark } from '../../support/operation-log.ts'
import { seedStoreIds } from '../../support/store-ids.ts'

/** A stretch of simulated time, with faults, kills and power cuts at random. Between stretches nothing is kept but the book. */
export interface SoakJob {
  readonly seed: string
  readonly minutes: number
}

export interface SoakCounts {
  readonly minutes: number
  readonly appends: number
  readonly lives: number
  readonly faults: number
  readonly kills: number
  readonly powerCuts: number
  readonly failures: readonly string[]
}

const APPENDS_A_WAVE = 5
/** Of simulated time between two waves. */
const PAUSE_MS = 5_000
const WAVES_OF_A_LIFE = 40
/** A book that is never closed grows without end. */
const LIVES_OF_A_STORE = 12

export async function work({ seed, minutes }: SoakJob): Promise<SoakCounts> {
  const counts = { appends: 0, lives: 0, faults: 0, kills: 0, powerCuts: 0 }
  const failures: string[] = []
  seedStoreIds(seed)
  let simulatedMs = 0
  for (let store = 0; simulatedMs < minutes * 60_000 && failures.length === 0; store++) {
    let stage = new Stage(`${seed}/${store}`, { store: { chunkSizeBytes: 16_384 }, disk: { shuffle: true } })
    for (let life = 0; life < LIVES_OF_A_STORE && failures.length === 0; life++) {
      try {
        simulatedMs += await live(stage, counts)
        const { random, ledger, disk } = stage
        const end = random.int(3)
        if (end === 0) await stage.close()
        else await stage.kill()
        if (end === 1) counts.kills++
        if (end === 2) counts.powerCuts++
        const marks = disk.log.filter((entry): entry is Mark => entry.kind === 'mark')
        const content = end === 2 ? powerCut(disk, random.fork(`cut ${life}`)).snapshot() : disk.snapshot()
        const earlier = { content, ledger, expectation: ledger.expectationAfter(marks) }
        stage = new Stage(`${seed}/${store}/${life}`, { store: { chunkSizeBytes: 16_384 }, disk: { shuffle: true } }, earlier)
      } catch (error) {
        failures.push(`seed ${seed}, store ${store}, life ${life}: ${(error as Error).message}`)
      }
    }
  }
  return { minutes: Math.round(simulatedMs / 60_000), ...counts, failures }
}

/** @returns how much simulated time went by. */
async function live(stage: Stage, counts: { appends: number; lives: number; faults: number }): Promise<number> {
  const { random, disk } = stage
  await stage.open()
  counts.lives++
  let simulatedMs = 0
  for (let wave = 0; wave < WAVES_OF_A_LIFE; wave++) {
    const fault = random.chance(0.15)
      ? disk.failNext({
          op: random.pick<DiskOperation>(['write', 'writeDurably', 'datasync', 'open', 'read', 'rename', 'syncDirectory']),
          error: random.pick(['EIO', 'ENOSPC', 'EMFILE']),
          nth: 1 + random.int(4),
          times: random.pick(['once', 'forever'] as const),
          partialBytes: random.int(600),
        })
      : null
    for (let turn = 0; turn < APPENDS_A_WAVE; turn++) stage.begin(stage.stream(), stage.sizes(1 + random.int(3), 500))
    counts.appends += APPENDS_A_WAVE
    await stage.settled()
    const isHit = fault !== null && fault.fired > 0
    fault?.clear()
    if (isHit) counts.faults++
    stage.tick(PAUSE_MS)
    simulatedMs += PAUSE_MS
    await stage.idle()
    // The writer may be finished: the next life begins sooner.
    if (isHit && random.chance(0.5)) break
  }
  return simulatedMs
}
