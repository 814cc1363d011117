import { MIB } from '../../../src/core/limits.ts'
import type { DiskContent } from '../../../src/disk/memory-disk.ts'
import { EventStore } from '../../../src/store/event-store.ts'
import { ManualClock, settle } from '../../support/manual-clock.ts'
import { SimulatedDisk } from '../../support/simulated-disk.ts'
import { seedStoreIds } from '../../support/store-ids.ts'

export const DIRECTORY = '/store'
const OPTIONS = { chunkSizeBytes: 4096 }
const LARGE = { chunkSizeBytes: 8 * MIB }

/** A store amid its work, and the one step that a fault will hit. */
export interface Scene {
  readonly disk: SimulatedDisk
  /** Null until it is open. */
  store: EventStore | null
  readonly options: { readonly chunkSizeBytes: number }
  /** Types of events that are acknowledged, so far and by the step. */
  readonly acked: string[]
  /** Types of events that were refused, and must never be there. */
  readonly refused: string[]
  /** Types of events that scavenges drop. */
  readonly dropped: readonly string[]
  readonly clock: ManualClock
}

export interface Phase {
  readonly name: string
  /** Nothing can be asked of the store behind it. */
  readonly isEnd?: true
  begin(): Promise<Scene>
  act(scene: Scene): Promise<void>
}

const event = (type: string, size = 300) => ({ type, data: Buffer.alloc(size, type) })

async function sceneOf(content: DiskContent | null, options = OPTIONS): Promise<Scene> {
  seedStoreIds('faults')
  const disk = new SimulatedDisk({ seed: 'faults', ...(content !== null && { content }) })
  return { disk, store: null, options, acked: [], refused: [], dropped: [], clock: new ManualClock() }
}

export async function open(scene: Scene): Promise<EventStore> {
  return EventStore.openOn(scene.disk, DIRECTORY, { ...scene.options, clock: scene.clock })
}

/** Appends, and keeps book of what was told. */
export async function append(scene: Scene, type: string, size?: number, stream = 'orders'): Promise<void> {
  try {
    await scene.store!.append(stream, event(type, size))
    scene.acked.push(type)
  } catch (error) {
    if ((error as { outcome?: string }).outcome === 'rejected') scene.refused.push(type)
    throw error
  }
}

async function opened(options = OPTIONS): Promise<Scene> {
  const scene = await sceneOf(null, options)
  scene.store = await open(scene)
  await append(scene, 'first')
  return scene
}

/** Some chunks, some of them completed and indexed. */
async function filled(): Promise<Scene> {
  const scene = await opened()
  for (let turn = 0; turn < 20; turn++) await append(scene, `filled-${turn}`, 500, turn % 3 === 0 ? 'payments' : 'orders')
  await settle()
  return scene
}

/** The same files for a new process; the time before is forgotten by the disk's log, but not by the book. */
async function afterRestart(scene: Scene, isKilled: boolean): Promise<Scene> {
  if (!isKilled) await scene.store!.close()
  await settle()
  return { ...(await sceneOf(scene.disk.snapshot())), acked: scene.acked, refused: scene.refused }
}

async function readEverything(scene: Scene): Promise<void> {
  const stream = scene.store!.readStream('orders').batches()
  for await (const batch of stream) void batch
  for await (const batch of scene.store!.readAll().batches()) void batch
}

export const PHASES: readonly Phase[] = [
  {
    name: 'create',
    begin: () => sceneOf(null),
    async act(scene) {
      scene.store = await open(scene)
    },
  },
  {
    name: 'open',
    begin: async () => afterRestart(await filled(), false),
    async act(scene) {
      scene.store = await open(scene)
    },
  },
  {
    name: 'recover',
    async begin() {
      const scene = await filled()
      scene.disk.failNext({ op: 'writeDurably', path: '.chunk', error: 'EIO', partialBytes: 200 })
      await append(scene, 'unknown').catch(() => {})
      return afterRestart(scene, true)
    },
    async act(scene) {
      scene.store = await open(scene)
    },
  },
  {
    name: 'append',
    begin: () => opened(),
    act: scene => append(scene, 'step'),
  },
  {
    name: 'append, large',
    begin: () => opened(LARGE),
    act: scene => append(scene, 'step', 1200 * 1024),
  },
  {
    name: 'roll over',
    async begin() {
      const scene = await opened()
      await append(scene, 'second', 1500)
      return scene
    },
    async act(scene) {
      await append(scene, 'step', 2500)
      await settle()
    },
  },
  {
    name: 'prove',
    begin: () => opened(),
    async act(scene) {
      for (const ms of [2, 20, 2]) {
        scene.clock.advance(ms)
        await settle(4)
      }
    },
  },
  {
    name: 'read',
    async begin() {
      const scene = await afterRestart(await filled(), false)
      scene.store = await open(scene)
      return scene
    },
    act: readEverything,
  },
  {
    name: 'close',
    isEnd: true,
    begin: filled,
    act: scene => scene.store!.close(),
  },
  {
    name: 'close, many zeros',
    isEnd: true,
    async begin() {
      const scene = await opened(LARGE)
      await append(scene, 'second', 8000)
      await settle()
      return scene
    },
    act: scene => scene.store!.close(),
  },
  {
    name: 'scavenge',
    async begin() {
      const scene = await filled()
      await scene.store!.delete('payments')
      const dropped = scene.acked.filter((type, at) => at > 0 && (at - 1) % 3 === 0 && type !== 'first')
      return { ...scene, acked: scene.acked.filter(type => !dropped.includes(type)), dropped }
    },
    async act(scene) {
      await scene.store!.scavenge()
    },
  },
  {
    name: 'back up',
    begin: filled,
    async act(scene) {
      await scene.store!.backup('/backup')
    },
  },
]
