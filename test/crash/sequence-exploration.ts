import { CorruptLogError, TailraceError } from '../../src/core/errors.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { type DiskContent, MemoryDisk } from '../../src/disk/memory-disk.ts'
import { EventStore } from '../../src/store/event-store.ts'
import { AskedDisk } from '../support/asked-disk.ts'
import { CrashModel, type CrashOptions, type CrashState } from '../support/crash-states.ts'
import type { DiskRemains } from '../support/disk-remains.ts'
import { impatient } from '../support/impatience.ts'
import { settle, stillClock } from '../support/manual-clock.ts'
import { Random } from '../support/random.ts'
import { RemainsMemo } from '../support/remains-memo.ts'
import { SimulatedDisk } from '../support/simulated-disk.ts'
import { type CrashPath, type Finding, formatPath } from './exploration.ts'
import { Recoveries } from './recoveries.ts'
import { DIRECTORY, type Played, play, STORE_OPTIONS, STREAMS, type Step } from './sequence.ts'
import { isBetween, isSame, pictureOf, type StorePicture, textOf } from './store-picture.ts'

/** How many of the states are recovered on a recording disk, so that crashes of the recovery are explored, too; by depth. */
const RECOVERED_SHARES = [1 / 1500, 1 / 300]
const MOST_FINDINGS = 3
const OF_RECOVERY: CrashOptions = { exhaustiveLimit: 4, damagedPerSubset: 1, randomCount: 8, sampleLimit: 4 }

export interface SequenceOptions {
  readonly seed: string
  readonly sectorSize: 512 | 4096
  readonly crash: CrashOptions
  /** Only crashes during the last operation and what follows. All others are crashes during a shorter sequence. */
  readonly isLastOnly?: boolean
}

/** What may be there after a crash, for someone who knows these steps to be done. */
interface Expected {
  readonly played: Played
  readonly done: number
  /** An earlier recovery has shown this: from then on it must stay. */
  readonly shown: StorePicture | null
}

/**
 * Plays a sequence of operations, makes each crash that could have happened during it, opens the real engine on what is left, and
 * compares what it shows with what was shown before: one operation is under way at a time, so what is there must be the state
 * before it or the one behind it, as a whole.
 */
export class SequenceExploration {
  states = 0
  recoveryStates = 0
  /** Different contents of the whole disk, sequence by sequence. */
  distinct = 0
  /** Different disks after recovery: each was read in every way, appended to, closed and opened again. */
  recoveredContents = 0
  /** States of the workload by the step that was cut off, if one was. */
  readonly cutOff: Partial<Record<Step, number>> = {}
  readonly findings: Finding[] = []
  readonly #options: SequenceOptions
  #classes = new Set<number>()
  #recoveries: Recoveries<StorePicture>
  #backups = new Map<string, RemainsMemo<StorePicture | null>>()

  constructor(options: SequenceOptions) {
    this.#options = options
    this.#recoveries = new Recoveries(STORE_OPTIONS.chunkSizeBytes, options.seed)
  }

  async run(sequence: string): Promise<void> {
    this.#classes = new Set()
    this.#recoveries = new Recoveries(STORE_OPTIONS.chunkSizeBytes, `${this.#options.seed}/${sequence}`)
    this.#backups = new Map()
    // Most errors here are expected ones, whose stacks would cost a tenth of the time. A replay has them.
    const { stackTraceLimit } = Error
    Error.stackTraceLimit = 0
    try {
      const played = await play(sequence, this.#options.seed, this.#options.sectorSize)
      // Before the first operation the store was opened, and had its first append.
      const fromMark = this.#options.isLastOnly && sequence !== '' ? sequence.length + 1 : 0
      await this.#explore(sequence, played, played.disk, [], null, { ...this.#options.crash, fromMark })
    } catch (error) {
      this.findings.push({ seed: sequence, path: [], message: `without a crash: ${(error as Error).message}` })
    } finally {
      Error.stackTraceLimit = stackTraceLimit
    }
    this.distinct += this.#classes.size
    this.recoveredContents += this.#recoveries.leftCount
  }

  /** Makes the one crash that `path` names, and checks it. */
  async replay(sequence: string, path: CrashPath, tell: (text: string) => void): Promise<void> {
    const { seed, sectorSize, crash } = this.#options
    const played = await play(sequence, seed, sectorSize)
    let disk = played.disk
    let before: Expected | null = null
    for (const [depth, { point, ordinal }] of path.entries()) {
      const model = new CrashModel(disk, { ...(depth === 0 ? crash : OF_RECOVERY), seed: `${seed}/${sequence}` })
      const state = model.replay(point, ordinal)
      tell(state.describe())
      const expected: Expected = before === null ? ofWorkload(played, state) : ofRecovery(before, state)
      if (depth + 1 === path.length) await this.#check(state, expected)
      else disk = await this.#recoverRecorded(state, expected, sectorSize)
      before = expected
    }
  }

  async #explore(
    sequence: string,
    played: Played,
    disk: SimulatedDisk,
    path: CrashPath,
    before: Expected | null,
    crash: CrashOptions,
  ): Promise<void> {
    const { seed, sectorSize } = this.#options
    const model = new CrashModel(disk, { ...crash, seed: `${seed}/${sequence}` })
    const random = new Random(`${seed}/${sequence}/${formatPath(path)}`)
    for (const state of model.states()) {
      const here = [...path, { point: state.point, ordinal: state.ordinal }]
      const expected = before === null ? ofWorkload(played, state) : ofRecovery(before, state)
      try {
        if (random.chance(RECOVERED_SHARES[path.length] ?? 0)) {
          const again = await this.#recoverRecorded(state, expected, sectorSize)
          await this.#explore(sequence, played, again, here, expected, OF_RECOVERY)
        }
        await this.#check(state, expected)
      } catch (error) {
        this.findings.push({ seed: sequence, path: here, message: String((error as Error)?.message ?? error) })
      }
      this.states++
      const step = played.letters[expected.done]
      if (path.length > 0) this.recoveryStates++
      else if (step !== undefined) this.cutOff[step] = (this.cutOff[step] ?? 0) + 1
      this.#classes.add(state.classHash)
      if (this.findings.length >= MOST_FINDINGS) return
    }
  }

  /** Recovers on a disk that records, and goes on a little. */
  async #recoverRecorded({ disk }: CrashState, expected: Expected, sectorSize: 512 | 4096): Promise<SimulatedDisk> {
    const again = new SimulatedDisk({ sectorSize, content: disk.snapshot() })
    const store = await open(impatient(again))
    const picture = await pictureOf(store, STREAMS, hasErasures(expected.played))
    judge(picture, expected)
    again.mark('shown', picture)
    await settle(2)
    await store.close()
    return again
  }

  /** What the engine makes of the state is as it must be, and so is what it makes of the backups in it. */
  async #check(state: CrashState, expected: Expected): Promise<void> {
    const { played } = expected
    const read = (store: EventStore) => pictureOf(store, STREAMS, hasErasures(played))
    const picture = await this.#recoveries.shownAfter(state, {
      open,
      read,
      goOn: (disk, memory, shown) => this.#goOn(disk, memory, shown, expected),
      isSame,
    })
    judge(picture, expected)
    await this.#checkBackups(state, expected)
  }

  /** I7: a retry finds its first copy. I9: a second open changes nothing. I5, I11: the store goes on. */
  async #goOn(disk: Disk, memory: MemoryDisk, picture: StorePicture, { played, done }: Expected): Promise<void> {
    const closed = memory.snapshot()
    const again = await open(disk)
    if (!again.recovery.clean) throw new Error(`I9: after a close the store is not clean: ${JSON.stringify(again.recovery)}`)
    const diff = differenceOf(closed, memory.snapshot())
    if (diff !== null) throw new Error(`I9: a second open changed ${diff}`)
    if (!isSame(await pictureOf(again, STREAMS, hasErasures(played)), picture))
      throw new Error('I9: a second open shows something else')
    await this.#retry(again, played, done)
    const head = await again.head('later')
    const ack = await again.append('later', { type: 'later', data: new Uint8Array(1) }, { expectedRevision: 'no_stream' })
    if (head !== null || ack.firstRevision !== 0)
      throw new Error(`I5: the first event of a stream has revision ${ack.firstRevision}`)
    await again.close()
  }

  /** The last append, known to be there or not, is sent once more. */
  async #retry(store: EventStore, played: Played, done: number): Promise<void> {
    for (const step of [done - 1, done]) {
      const retry = played.retries[step]
      const isLast = played.retries
        .slice(step + 1, done + 1)
        .every((other, at) => other === null && isIdle(played.letters[step + 1 + at]))
      if (retry == null || !isLast) continue
      const { stream, events, expectedRevision, position } = retry
      const ack = await store.append(stream, events, { expectedRevision })
      if (step < done && (ack.position !== position || !ack.duplicate)) {
        throw new Error(`I7: sent again, the append at ${position} was appended at ${ack.position}`)
      }
      // Of several events the stream may keep the last ones only.
      const { id } = events.at(-1)!
      const copies: string[] = []
      for await (const event of store.readStream(stream)) if (event.id === id) copies.push(String(event.position))
      if (copies.length !== 1)
        throw new Error(`I7: sent again, the append is there ${copies.length} times, at ${copies.join(', ')}`)
    }
  }

  /** A backup that was told to be there opens, and shows what was there then; one that was interrupted is no store, or whole. */
  async #checkBackups({ remains }: CrashState, { played, done }: Expected): Promise<void> {
    for (const [step, directory] of played.backups) {
      if (step >= done && !remains.files.has(`${directory}/000000.chunk`)) continue
      const picture = await this.#backupPicture(remains, directory, hasErasures(played))
      if (picture === null) {
        if (step < done) throw new Error(`I1: the backup ${directory} was acknowledged, and does not open`)
        continue
      }
      if (!isSame(picture, played.pictures[step] as StorePicture)) {
        throw new Error(`I1: the backup ${directory} shows something else than the store did`)
      }
    }
  }

  /** What a backup shows; null when it is no store. */
  async #backupPicture(remains: DiskRemains, directory: string, isErased: boolean): Promise<StorePicture | null> {
    const memo = this.#backups.get(directory) ?? new RemainsMemo<StorePicture | null>()
    this.#backups.set(directory, memo)
    const known = memo.find(remains.pathsIn(directory), remains)
    if (known !== undefined) return known
    const files = new Map([...remains.content].filter(([path]) => path.startsWith(`${directory}/`)))
    const asked = new AskedDisk(new MemoryDisk(files), directory, files.keys())
    const copy = await openBackup(asked, directory)
    const picture = copy === null ? null : await pictureOf(copy, STREAMS, isErased)
    memo.learn(remains.pathsIn(directory), remains, asked.asked, picture)
    return picture
  }
}

function hasErasures({ letters }: Played): boolean {
  return letters.includes('e')
}

function isIdle(letter: string | undefined): boolean {
  return letter === undefined || 'iob'.includes(letter)
}

function ofWorkload(played: Played, { marks }: CrashState): Expected {
  return { played, done: marks.filter(({ label }) => label === 'step').length, shown: null }
}

/** What a crash during or after a recovery may leave: what the recovery showed, once it had shown it. */
function ofRecovery(before: Expected, { marks }: CrashState): Expected {
  const shown = marks.filter(({ label }) => label === 'shown').at(-1)
  return shown === undefined ? before : { ...before, shown: shown.payload as StorePicture }
}

/** @throws Error that says what is lost, or there too much. */
function judge(picture: StorePicture, { played: { pictures, letters }, done, shown }: Expected): void {
  if (shown !== null) {
    if (!isSame(picture, shown))
      throw new Error(`I1: an earlier recovery showed\n${textOf(shown)}\nand now there is\n${textOf(picture)}`)
    return
  }
  const before = pictures[done] as StorePicture
  const after = pictures[done + 1] ?? before
  if (isSame(picture, before) || isSame(picture, after)) return
  if (letters[done] === 's' && isBetween(picture, before, after)) return
  const step = `after ${done} steps, during '${letters[done] ?? 'nothing'}'`
  throw new Error(`I1-I4: ${step} there is\n${textOf(picture)}\nneither\n${textOf(before)}\nnor\n${textOf(after)}`)
}

async function openBackup(disk: AskedDisk, directory: string): Promise<EventStore | null> {
  try {
    return await EventStore.openOn(disk, directory, { ...STORE_OPTIONS, clock: stillClock })
  } catch (error) {
    if (error instanceof CorruptLogError) return null
    throw error
  }
}

async function open(disk: Disk): Promise<EventStore> {
  try {
    return await EventStore.openOn(disk, DIRECTORY, { ...STORE_OPTIONS, clock: stillClock })
  } catch (error) {
    const what = error instanceof TailraceError ? `${error.code}: ${error.message}` : String((error as Error)?.stack)
    throw new Error(`I11: the store does not open: ${what}`)
  }
}

function differenceOf(one: DiskContent, other: DiskContent): string | null {
  for (const path of new Set([...one.keys(), ...other.keys()])) {
    const [mine, theirs] = [one.get(path), other.get(path)]
    if (mine === undefined || theirs === undefined || Buffer.compare(mine, theirs) !== 0) return path
  }
  return null
}
