import { WrongExpectedRevisionError } from '../../src/core/errors.ts'
import type { Disk } from '../../src/disk/disk.ts'
import type { DiskContent, MemoryDisk } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'
import type { AppendLedger, Expectation, Place } from '../support/append-ledger.ts'
import { CrashModel, type CrashOptions, type CrashState } from '../support/crash-states.ts'
import { judgeAppends, readAppends, Violation } from '../support/log-audit.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { Recoveries } from './recoveries.ts'
import { recover, type Scene } from './scenes.ts'
import { DIRECTORY, Stage } from './stage.ts'

/** How many of the crash states are recovered on a recording disk, so that crashes of the recovery are explored, too; by depth. */
const RECOVERED_SHARES = [1 / 200, 1 / 400]
const MOST_FINDINGS = 3
const OF_RECOVERY: CrashOptions = { exhaustiveLimit: 5, damagedPerSubset: 2, randomCount: 24, sampleLimit: 8 }

/** Which crash: of the workload, and of the recoveries that follow, each as point and ordinal. */
export type CrashPath = readonly { readonly point: number; readonly ordinal: number }[]

/** '12.3/4.0' */
export function formatPath(path: CrashPath): string {
  return path.map(({ point, ordinal }) => `${point}.${ordinal}`).join('/')
}

export function parsePath(text: string): CrashPath {
  return text.split('/').map(step => {
    const [point = 0, ordinal = 0] = step.split('.').map(Number)
    return { point, ordinal }
  })
}

/** A crash state in which a promise is broken. */
export interface Finding {
  readonly seed: string
  readonly path: CrashPath
  readonly message: string
}

/** The appends that a store shows, each in its place. */
type Shown = ReadonlyMap<number, Place>

/** Plays a scene, makes each crash that could have happened, opens the real engine on it, and checks every promise. */
export class Exploration {
  /** States checked; of them, crashes of a recovery. */
  states = 0
  recoveryStates = 0
  /** Different disks among them, sector for sector by class. */
  readonly distinct = new Set<number>()
  readonly findings: Finding[] = []
  /** What could be expected of the last state: mostly the same as of the next one. */
  #known: { readonly ledger: AppendLedger; readonly markCount: number; readonly expectation: Expectation } | null = null
  readonly #scene: Scene
  readonly #options: StoreOptions
  readonly #recoveries = new WeakMap<AppendLedger, Recoveries<Shown>>()

  constructor(scene: Scene) {
    this.#scene = scene
    this.#options = { ...scene.options.store, clock: stillClock }
  }

  /** Explores the crashes of one run; ends early when there are `wanted` different states, or when enough went wrong. */
  async run(seed: string, wanted: number): Promise<void> {
    // Most errors here are expected ones, whose stacks would cost a tenth of the time. A replay has them.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    try {
      const stage = new Stage(seed, this.#scene.options)
      await this.#scene.play(stage)
      await this.#explore(seed, stage, this.#scene.crash, [], wanted)
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
  }

  /** Makes the one crash that `path` names, tells how it came about, and checks it. */
  async replay(seed: string, path: CrashPath): Promise<void> {
    const stage = new Stage(seed, this.#scene.options)
    await this.#scene.play(stage)
    return this.#replay(seed, stage, this.#scene.crash, path, 0)
  }

  async #explore(seed: string, stage: Stage, crash: CrashOptions, path: CrashPath, wanted: number): Promise<void> {
    const model = new CrashModel(stage.disk, { ...crash, seed })
    const random = new Random(`${seed}/${formatPath(path)}`)
    for (const state of model.states()) {
      const here = [...path, { point: state.point, ordinal: state.ordinal }]
      if (random.chance((RECOVERED_SHARES[path.length] ?? 0) * (this.#scene.share ?? 1))) {
        await this.#guarded(seed, here, async () => {
          const again = await this.#recoverRecorded(seed, stage, state, here)
          await this.#explore(seed, again, OF_RECOVERY, here, wanted)
        })
      }
      if (!random.chance(this.#scene.share ?? 1)) continue
      await this.#guarded(seed, here, () => this.#check(state, stage.ledger))
      this.states++
      if (path.length > 0) this.recoveryStates++
      this.distinct.add(state.classHash)
      if (this.distinct.size >= wanted || this.findings.length >= MOST_FINDINGS) return
    }
  }

  async #guarded(seed: string, path: CrashPath, work: () => Promise<void>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const message = error instanceof Violation ? error.message : String((error as Error)?.stack ?? error)
      this.findings.push({ seed, path, message })
    }
  }

  async #recoverRecorded(seed: string, stage: Stage, state: CrashState, path: CrashPath): Promise<Stage> {
    const { ledger } = stage
    const earlier = { content: state.disk.snapshot(), ledger, expectation: this.#expectation(state, ledger) }
    const again = new Stage(`${seed}/${formatPath(path)}`, this.#scene.options, earlier)
    await recover(again)
    return again
  }

  async #replay(seed: string, stage: Stage, crash: CrashOptions, path: CrashPath, depth: number): Promise<void> {
    const { point, ordinal } = path[depth]!
    const state = new CrashModel(stage.disk, { ...crash, seed }).replay(point, ordinal)
    const here = path.slice(0, depth + 1)
    console.log(`${describeLog(stage, point)}\n${state.describe()}`)
    if (depth + 1 === path.length) {
      await this.#recoverRecorded(seed, stage, state, here)
      await this.#check(state, stage.ledger)
      return
    }
    return this.#replay(seed, await this.#recoverRecorded(seed, stage, state, here), OF_RECOVERY, path, depth + 1)
  }

  async #check(state: CrashState, ledger: AppendLedger): Promise<void> {
    const shown = await this.#recoveriesOf(ledger).shownAfter(state, {
      open: disk => this.#open(disk),
      read: store => readAppends(store, ledger),
      goOn: (disk, memory) => this.#goOn(disk, memory),
      isSame: (one, other) => JSON.stringify([...one]) === JSON.stringify([...other]),
    })
    judgeAppends(shown, ledger, this.#expectation(state, ledger))
  }

  #recoveriesOf(ledger: AppendLedger): Recoveries<Shown> {
    let known = this.#recoveries.get(ledger)
    if (known === undefined) {
      known = new Recoveries(this.#options.chunkSizeBytes ?? 0, 'scenes')
      this.#recoveries.set(ledger, known)
    }
    return known
  }

  #expectation({ marks }: CrashState, ledger: AppendLedger): Expectation {
    if (this.#known?.ledger === ledger && this.#known.markCount === marks.length) return this.#known.expectation
    const isTold = this.#scene.acksAreDurable ?? true
    const expectation = ledger.expectationAfter(isTold ? marks : marks.filter(({ label }) => label !== 'acked'))
    this.#known = { ledger, markCount: marks.length, expectation }
    return expectation
  }

  /** I9: opening again changes nothing; I5 and I11: appends go on where the log ended, and nowhere else. */
  async #goOn(disk: Disk, memory: MemoryDisk): Promise<void> {
    const content = memory.snapshot()
    const second = await this.#open(disk)
    const { recovery } = second
    if (!recovery.clean) throw new Violation(`I9: after a close the store is not clean: ${JSON.stringify(recovery)}`)
    compareContents(memory.snapshot(), content)

    const head = await second.head('orders')
    const event = { type: 'after', data: Buffer.from('all is well') }
    const wrong: unknown = await second.append('orders', event, { expectedRevision: (head ?? -1) + 1 }).catch(error => error)
    if (!(wrong instanceof WrongExpectedRevisionError))
      throw new Violation(`I5: a wrong expected revision led to ${String(wrong)}`)
    const ack = await second.append('orders', event, { expectedRevision: head ?? 'no_stream' })
    if (ack.firstRevision !== (head ?? -1) + 1) throw new Violation(`I5: revision ${ack.firstRevision} behind ${head}`)
    for await (const last of second.readAll({ direction: 'backwards', maxCount: 1 })) {
      if (last.position !== ack.position) throw new Violation('I11: what was appended after the recovery is not read')
    }
    await second.close()

    const third = await this.#open(disk)
    const found = third.recovery.events
    if (found !== recovery.events + 1) throw new Violation(`I11: ${found} events after an append behind ${recovery.events}`)
    await third.close()
  }

  async #open(disk: Disk): Promise<EventStore> {
    try {
      return await EventStore.openOn(disk, DIRECTORY, this.#options)
    } catch (error) {
      throw new Violation(`I11: the store does not open: ${String((error as Error).stack)}`)
    }
  }
}

function compareContents(found: DiskContent, expected: DiskContent): void {
  const names = (content: DiskContent) => [...content.keys()].sort().join(' ')
  if (names(found) !== names(expected)) throw new Violation(`I9: a second open left ${names(found)} of ${names(expected)}`)
  for (const [path, bytes] of expected) {
    if (Buffer.compare(found.get(path)!, bytes) !== 0) throw new Violation(`I9: a second open changed ${path}`)
  }
}

/** What was done to the disk up to the crash. */
function describeLog({ disk }: Stage, point: number): string {
  return disk.log
    .slice(0, point)
    .map((entry, index) => {
      const { kind, ...rest } = entry
      return `#${index} ${kind} ${JSON.stringify('bytes' in rest ? { ...rest, bytes: rest.bytes.length } : rest)}`
    })
    .join('\n')
}
