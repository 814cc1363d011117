import { createHash } from 'node:crypto'
import { WrongExpectedRevisionError } from '../../src/core/errors.ts'
import type { Disk } from '../../src/disk/disk.ts'
import type { DiskContent, MemoryDisk } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { StoreOptions } from '../../src/store/options.ts'
import type { AppendLedger, Expectation, Place } from '../support/append-ledger.ts'
import { AskedDisk } from '../support/asked-disk.ts'
import { CrashModel, type CrashOptions, type CrashState } from '../support/crash-states.ts'
import { impatient } from '../support/impatience.ts'
import { judgeAppends, readAppends, Violation } from '../support/log-audit.ts'
import { stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { RemainsMemo } from '../support/remains-memo.ts'
import { recover, type Scene } from './scenes.ts'
import { DIRECTORY, Stage } from './stage.ts'

/** How many of the crash states are recovered on a recording disk, so that crashes of the recovery are explored, too; by depth. */
const RECOVERED_SHARES = [1 / 200, 1 / 400]
const MOST_FINDINGS = 3
/** How many of the states whose outcome is known are opened and read all the same. */
const SPOT_CHECK_SHARE = 1 / 500
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

/** What came of a disk. */
interface Recovered {
  readonly shown: ReadonlyMap<number, Place>
  /** Files of the disk that nobody looked into before the store was open, but afterwards. */
  readonly askedLater: ReadonlySet<string>
}

interface Recoveries {
  /** By what the open looked into. */
  readonly byLook: RemainsMemo<Recovered>
  /** By the disk that it left. */
  readonly byDigest: Map<string, Recovered>
  /** By the disk that it left when it was closed at once: what was looked into when the store went on. */
  readonly byClosed: Map<string, ReadonlySet<string>>
}

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
  readonly #recoveries = new WeakMap<AppendLedger, Recoveries>()

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
      await this.#guarded(seed, here, () => this.#check(state, stage.ledger, random))
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

  async #check(state: CrashState, ledger: AppendLedger, random?: Random): Promise<void> {
    const recoveries = this.#recoveriesOf(ledger)
    const known = recoveries.byLook.find(state.remains)
    const { shown } = known ?? (await this.#recover(state, ledger, recoveries))
    judgeAppends(shown, ledger, this.#expectation(state, ledger))
    if (known === undefined || !random?.chance(SPOT_CHECK_SHARE)) return
    // That the same came of it before is an inference: now and then it is tried.
    const again = await readAppends(await this.#open(impatient(state.disk)), ledger)
    if (JSON.stringify([...again]) !== JSON.stringify([...shown])) throw new Violation('the same disk opened in another way')
  }

  /** Opens the store. What is on the disk then is read, and gone on with, once, however it came about. */
  async #recover(state: CrashState, ledger: AppendLedger, { byLook, byDigest, byClosed }: Recoveries): Promise<Recovered> {
    const { disk, remains } = state
    const asked = new AskedDisk(disk, DIRECTORY, remains.files.keys())
    const store = await this.#open(asked)
    const opening = [...asked.asked]
    const digest = digestOf(disk.snapshot())
    let recovered = byDigest.get(digest)
    if (recovered === undefined) {
      const shown = await readAppends(store, ledger)
      judgeAppends(shown, ledger, this.#expectation(state, ledger))
      await store.close()
      const closed = disk.snapshot()
      const closedDigest = digestOf(closed)
      let askedThen = byClosed.get(closedDigest)
      if (askedThen === undefined) {
        const goingOn = new AskedDisk(disk, DIRECTORY, asked.untouched)
        await this.#checkRecovered(disk, goingOn, closed)
        askedThen = goingOn.asked
        byClosed.set(closedDigest, askedThen)
      }
      recovered = { shown, askedLater: new Set([...asked.asked, ...askedThen].filter(path => !opening.includes(path))) }
      byDigest.set(digest, recovered)
    }
    const { askedLater } = recovered
    byLook.learn(remains, [...opening, ...asked.untouched.filter(path => askedLater.has(path))], recovered)
    return recovered
  }

  #recoveriesOf(ledger: AppendLedger): Recoveries {
    const known = this.#recoveries.get(ledger) ?? { byLook: new RemainsMemo(DIRECTORY), byDigest: new Map(), byClosed: new Map() }
    this.#recoveries.set(ledger, known)
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
  async #checkRecovered(disk: MemoryDisk, asked: AskedDisk, content: DiskContent): Promise<void> {
    const second = await this.#open(asked)
    const { recovery } = second
    if (!recovery.clean) throw new Violation(`I9: after a close the store is not clean: ${JSON.stringify(recovery)}`)
    compareContents(disk.snapshot(), content)

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

    const third = await this.#open(asked)
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

function digestOf(content: DiskContent): string {
  const hash = createHash('sha1')
  for (const [path, bytes] of content) hash.update(`${path}\0${bytes.length}\0`).update(bytes)
  return hash.digest('base64')
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
