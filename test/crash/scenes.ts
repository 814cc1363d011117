import { MIB } from '../../src/core/limits.ts'
import type { CrashOptions } from '../support/crash-states.ts'
import type { Stage, StageOptions } from './stage.ts'

/** A workload, and how it is explored. */
export interface Scene {
  readonly options: StageOptions
  readonly crash: CrashOptions
  /** Crash states that are wanted of it, with as many seeds as that takes. */
  readonly quota: number
  /** Without it an ack promises nothing after a power cut; everything else must hold all the same. */
  readonly acksAreDurable?: false
  /** The share of its states that is checked, for scenes in which runs differ much; all of them by default. */
  readonly share?: number
  readonly play: (stage: Stage) => Promise<void>
}

const small = { chunkSizeBytes: 4096 }
/** Few states of a moment, and many runs: runs differ more than the states of one of them. */
const BROAD: CrashOptions = { exhaustiveLimit: 4, damagedPerSubset: 2, randomCount: 16, sampleLimit: 6 }
/** Fewer still, for runs of many lives. */
const SPARSE: CrashOptions = { exhaustiveLimit: 3, damagedPerSubset: 1, randomCount: 8, sampleLimit: 4 }

/** Several appends at once; now and then one that expects a revision which can't be. */
async function wave(stage: Stage, count: number, sizeLimit: number): Promise<void> {
  const { random } = stage
  for (let turn = 0; turn < count; turn++) {
    const isWrong = random.chance(0.15)
    stage.begin(stage.stream(), stage.sizes(1 + random.int(3), sizeLimit), isWrong ? 1000 : undefined)
    if (random.chance(0.2)) await null
  }
  await stage.settled()
}

async function pause(stage: Stage): Promise<void> {
  const what = stage.random.int(3)
  if (what === 0) await stage.idle()
  else if (what === 1) stage.tick()
}

export const scenes: Record<string, Scene> = {
  'one event at a time': {
    options: { store: { chunkSizeBytes: 8192 } },
    crash: BROAD,
    quota: 11_000,
    async play(stage) {
      await stage.open()
      for (let turn = 0; turn < 6; turn++) {
        await stage.append(stage.stream(), stage.size(1800))
        await pause(stage)
      }
    },
  },

  'appends of several events': {
    options: { store: { chunkSizeBytes: 8192 } },
    crash: BROAD,
    quota: 13_300,
    async play(stage) {
      await stage.open()
      for (let turn = 0; turn < 4; turn++) {
        await stage.append(stage.stream(), ...stage.sizes(2 + stage.random.int(6), 600))
        await pause(stage)
      }
    },
  },

  'several streams with several appends in flight': {
    options: { store: { chunkSizeBytes: 8192 }, disk: { shuffle: true } },
    crash: BROAD,
    quota: 13_300,
    async play(stage) {
      await stage.open()
      for (let turn = 0; turn < 4; turn++) {
        await wave(stage, 2 + stage.random.int(5), 300)
        await pause(stage)
      }
    },
  },

  'roll-overs': {
    options: { store: small, disk: { shuffle: true } },
    crash: BROAD,
    quota: 16_500,
    async play(stage) {
      await stage.open()
      for (let turn = 0; turn < 5; turn++) {
        await wave(stage, 3, 900)
        await pause(stage)
      }
    },
  },

  'roll-overs on a disk with sectors of 4 KiB': {
    options: { store: { chunkSizeBytes: 8192 }, disk: { sectorSize: 4096 } },
    crash: BROAD,
    quota: 3_000,
    async play(stage) {
      await stage.open()
      for (let turn = 0; turn < 5; turn++) await wave(stage, 3, 1200)
    },
  },

  'close and open again': {
    options: { store: small },
    crash: BROAD,
    quota: 10_000,
    async play(stage) {
      for (let life = 0; life < 3; life++) {
        await stage.open()
        await wave(stage, 2 + stage.random.int(3), 700)
        await pause(stage)
        // Without waiting for them: close does.
        stage.begin(stage.stream(), stage.sizes(2, 500))
        await stage.close()
      }
    },
  },

  'killed at work, opened again, then the power fails': {
    options: { store: small, disk: { shuffle: true } },
    crash: SPARSE,
    share: 0.5,
    quota: 11_000,
    async play(stage) {
      for (let life = 0; life < 3; life++) {
        await stage.open()
        await wave(stage, 2, 700)
        for (let turn = 0; turn < 3; turn++) stage.begin(stage.stream(), stage.sizes(1 + turn, 500))
        // At any moment of the flush: before its write, while it is in flight, or after it.
        for (let turn = stage.random.int(12); turn > 0; turn--) await new Promise(resolve => setImmediate(resolve))
        await stage.kill()
      }
      await stage.open()
      await stage.append('orders', 100)
    },
  },

  'a sync fails, and the store is opened again': {
    options: { store: small, disk: { shuffle: true } },
    crash: SPARSE,
    share: 0.5,
    quota: 11_000,
    async play(stage) {
      const { disk, random } = stage
      for (let life = 0; life < 3; life++) {
        await stage.open()
        const op = random.pick(['datasync', 'writeDurably', 'writeDurably'] as const)
        const partialBytes = random.pick([undefined, random.int(2000)])
        const fault = disk.failNext({
          op,
          path: '.chunk',
          nth: 1 + random.int(4),
          error: random.pick(['EIO', 'ENOSPC']),
          ...(partialBytes !== undefined && { partialBytes }),
        })
        for (let turn = 0; turn < 3; turn++) await wave(stage, 3, 700)
        fault.clear()
        await stage.close()
      }
      await stage.open()
      await stage.append('orders', 100)
    },
  },

  'the disk is full for a while': {
    options: { store: small },
    crash: SPARSE,
    share: 0.5,
    quota: 9_000,
    async play(stage) {
      const { disk, random } = stage
      await stage.open()
      for (let turn = 0; turn < 8; turn++) {
        const fault = disk.failNext({
          op: random.pick(['write', 'writeDurably', 'writeDurably', 'open'] as const),
          path: '.chunk',
          nth: 1 + random.int(2),
          error: 'ENOSPC',
          times: random.pick(['once', 'forever'] as const),
          partialBytes: random.pick([0, random.int(1500)]),
        })
        await wave(stage, 3, 900)
        fault.clear()
        await wave(stage, 2, 500)
        // Zeros ahead are tried again after five seconds.
        if (random.chance(0.5)) stage.tick(6000)
      }
      await stage.close()
    },
  },

  'acks without a sync': {
    options: { store: { ...small, durability: 'os' }, disk: { shuffle: true } },
    crash: BROAD,
    quota: 4_000,
    acksAreDurable: false,
    async play(stage) {
      for (let life = 0; life < 2; life++) {
        await stage.open()
        for (let turn = 0; turn < 3; turn++) await wave(stage, 2 + stage.random.int(2), 600)
        if (stage.random.chance(0.5)) stage.tick(1000)
        await wave(stage, 2, 600)
        if (life === 0) await stage.close()
      }
    },
  },

  'groups larger than the zeros ahead': {
    options: { store: { chunkSizeBytes: 384 * 1024 }, disk: { sectorSize: 4096, shuffle: true } },
    crash: { exhaustiveLimit: 3, damagedPerSubset: 1, randomCount: 24, sampleLimit: 6 },
    quota: 400,
    async play(stage) {
      await stage.open()
      await stage.append('orders', 900)
      stage.begin('orders', [200_000])
      stage.begin('payments', [90_000, 30])
      await stage.settled()
      await stage.append('orders', 700)
      stage.begin('payments', [20])
      await stage.append('payments', 100_000)
      await stage.append('payments', 150_000)
    },
  },

  'zeros ahead are given back at a close': {
    options: { store: { chunkSizeBytes: 2 * MIB }, disk: { sectorSize: 4096, shuffle: true } },
    crash: { exhaustiveLimit: 3, damagedPerSubset: 1, randomCount: 16, sampleLimit: 6 },
    quota: 4_000,
    async play(stage) {
      for (let life = 0; life < 3; life++) {
        await stage.open()
        await stage.append('orders', 5000)
        await stage.append(stage.stream(), stage.size(900))
        await stage.close()
      }
    },
  },
}

/** What happens after a crash, as the second life of a scene: recovery, and a few appends behind it. */
export async function recover(stage: Stage): Promise<void> {
  await stage.open()
  for (let turn = stage.random.int(3); turn > 0; turn--) await wave(stage, 1 + turn, 600)
  if (stage.random.chance(0.5)) await stage.idle()
  if (stage.random.chance(0.5)) await stage.close()
}
