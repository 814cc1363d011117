import { createHash } from 'node:crypto'
import type { Disk } from '../../src/disk/disk.ts'
import { type DiskContent, MemoryDisk } from '../../src/disk/memory-disk.ts'
import { findLog } from '../../src/log/find-log.ts'
import { repairLog } from '../../src/log/recovery.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { AskedDisk } from '../support/asked-disk.ts'
import type { CrashState } from '../support/crash-states.ts'
import type { DiskRemains } from '../support/disk-remains.ts'
import { impatient } from '../support/impatience.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { RemainsMemo } from '../support/remains-memo.ts'
import { DIRECTORY } from './stage.ts'

/** How many of the states whose outcome is known are opened and read all the same. */
const SPOT_CHECK_SHARE = 1 / 500

/** What is done with a state that nobody knows the outcome of. */
export interface RecoveryChecks<Shown> {
  open(disk: Disk): Promise<EventStore>
  /** Reads everything. */
  read(store: EventStore): Promise<Shown>
  /** What must hold when the store was read, closed, and is opened again. */
  goOn(disk: Disk, memory: MemoryDisk, shown: Shown): Promise<void>
  isSame(one: Shown, other: Shown): boolean
}

interface Recovered<Shown> {
  readonly shown: Shown
  /** Files of the crash state that nobody looked into before the store was open, but afterwards. */
  readonly askedLater: ReadonlySet<string>
}

interface Rest<Shown> {
  readonly recovered: Recovered<Shown>
  /** What is looked into behind the repair of the log. */
  readonly asked: readonly string[]
}

/**
 * What the engine makes of the crash states of one workload. It is asked for each of them, and runs when the answer is not known:
 * a state is like another one when everything that the engine looked into is the same, byte for byte; and from the repair of the
 * log on, when that left the same. What an open left is read once, and what a close left is gone on with once.
 */
export class Recoveries<Shown> {
  /** Different disks behind an open. */
  get leftCount(): number {
    return this.#byLeft.size
  }

  readonly #byLook = new RemainsMemo<Recovered<Shown>>()
  readonly #byRepair = new RemainsMemo<Rest<Shown>>()
  /** By the disk that an open left. */
  readonly #byLeft = new Map<string, Recovered<Shown>>()
  /** By the disk that a close left behind that: what was looked into when the store went on. */
  readonly #byClosed = new Map<string, { readonly shown: Shown; readonly asked: ReadonlySet<string> }>()
  readonly #chunkSize: number
  readonly #random: Random

  constructor(chunkSize: number, seed: string) {
    this.#chunkSize = chunkSize
    this.#random = new Random(`${seed}/spot checks`)
  }

  /** What the store shows after this crash. */
  async shownAfter(state: CrashState, checks: RecoveryChecks<Shown>): Promise<Shown> {
    const { remains } = state
    const known = this.#byLook.find(remains.pathsIn(DIRECTORY), remains)
    if (known === undefined) return this.#recover(state, checks)
    if (this.#random.chance(SPOT_CHECK_SHARE)) {
      // That the same came of it before is an inference: now and then it is tried.
      const shown = await checks.read(await checks.open(impatient(new MemoryDisk(remains.content))))
      if (!checks.isSame(shown, known.shown)) throw new Error('a disk of which the outcome was known opened in another way')
    }
    return known.shown
  }

  async #recover(state: CrashState, checks: RecoveryChecks<Shown>): Promise<Shown> {
    const { remains } = state
    const paths = remains.pathsIn(DIRECTORY)
    const repaired = await this.#repair(remains).catch(() => null)
    if (repaired !== null) {
      const rest = this.#byRepair.find(repaired.key, remains)
      if (rest !== undefined) {
        const { asked, recovered } = rest
        this.#byLook.learn(paths, remains, [...repaired.asked, ...asked.filter(path => remains.files.has(path))], recovered)
        return recovered.shown
      }
    }
    const { recovered, asked } = await this.#open(state, checks)
    this.#byLook.learn(paths, remains, asked, recovered)
    if (repaired !== null) {
      const later = asked.filter(path => !repaired.asked.has(path))
      this.#byRepair.learn(repaired.key, remains, later, { recovered, asked: later })
    }
    return recovered.shown
  }

  /**
   * The first steps of an open, which most states need: they differ in what is torn.
   * @returns what was looked into, and a text for all that the further steps can know of it; null when there is no log.
   */
  async #repair(remains: DiskRemains): Promise<{ readonly asked: ReadonlySet<string>; readonly key: string } | null> {
    const memory = new MemoryDisk(remains.content)
    const disk = new AskedDisk(memory, DIRECTORY, remains.files.keys())
    await disk.makeDirectory(DIRECTORY)
    await disk.lock(`${DIRECTORY}/lock`)
    const found = await findLog(disk, DIRECTORY, 'write')
    if (found === null) return null
    const { chunks, next, end, endsWithProof, eventCount } = await repairLog(disk, DIRECTORY, found, stillClock, this.#chunkSize)
    const known = [found.hinted, chunks.all.length, next !== null, end, endsWithProof, eventCount]
    return { asked: new Set(disk.asked), key: `${known} ${digestOf(memory.snapshot(), new Set(disk.untouched))}` }
  }

  async #open(state: CrashState, checks: RecoveryChecks<Shown>): Promise<{ recovered: Recovered<Shown>; asked: string[] }> {
    const { disk, remains } = state
    const asking = new AskedDisk(disk, DIRECTORY, remains.files.keys())
    const store = await checks.open(asking)
    const opening = [...asking.asked]
    const left = digestOf(disk.snapshot())
    const recovered = this.#byLeft.get(left) ?? (await this.#goOn(store, disk, asking, checks))
    this.#byLeft.set(left, recovered)
    return { recovered, asked: [...opening, ...asking.untouched.filter(path => recovered.askedLater.has(path))] }
  }

  async #goOn(store: EventStore, disk: MemoryDisk, asking: AskedDisk, checks: RecoveryChecks<Shown>): Promise<Recovered<Shown>> {
    const before = new Set(asking.asked)
    const shown = await checks.read(store)
    await store.close()
    const closed = digestOf(disk.snapshot())
    let after = this.#byClosed.get(closed)
    if (after === undefined) {
      const goingOn = new AskedDisk(disk, DIRECTORY, asking.untouched)
      await checks.goOn(goingOn, disk, shown)
      after = { shown, asked: goingOn.asked }
      this.#byClosed.set(closed, after)
    }
    if (!checks.isSame(after.shown, shown)) throw new Error('I9: a second open shows something else')
    return { shown, askedLater: new Set([...asking.asked, ...after.asked].filter(path => !before.has(path))) }
  }
}

/** Of the store's files; of some of them the name alone. */
function digestOf(content: DiskContent, named: ReadonlySet<string> = new Set()): string {
  const hash = createHash('sha1')
  for (const [path, bytes] of content) {
    if (!path.startsWith(`${DIRECTORY}/`)) continue
    hash.update(`${path}\0`)
    if (!named.has(path)) hash.update(`${bytes.length}\0`).update(bytes)
  }
  return hash.digest('base64')
}
