import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { KIB } from '../../src/core/limits.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { RigOptions, RigReport } from '../proof/rig.ts'
import { Random } from '../support/random.ts'
import { ChildProgram } from './child-program.ts'
import { LoadBook } from './load-book.ts'
import type { LoadPlan } from './load-plan.ts'
import { type FileSystem, hasCommand, LoopImage, loopImageUnavailable } from './loop-image.ts'
import { NamespacedRig } from './namespaced-rig.ts'
import { checkStore } from './store-check.ts'

const ROUNDS = 10
const RUNNING_MS = 300
const FROZEN_MS = 2000
/** What was under way when the file system froze has ended by then. */
const SETTLED_MS = 300
/** Of each write and each sync of the slow disk. */
const SLOWNESS_MS = 200
const SLOW_FOR_MS = 6000
/** More than any machine's own hiccups, less than any of the waits. */
const MAX_LAG_MS = 1500

/** A disk that stands still, and one that is slow: appends wait, and the process lives on. */
export const stalledDiskRig = new NamespacedRig({
  name: 'stalled-disk',
  about:
    'a frozen file system, and a disk on which every write and sync takes 200 ms more: appends wait, the event loop does not',
  unavailable: async () => {
    const missing = ['fsfreeze', 'strace', 'bash'].find(command => !hasCommand(command))
    return missing === undefined ? loopImageUnavailable('ext4') : `there is no ${missing}`
  },
  run: async (options, progress) => new StalledDisks(options, progress).run(),
})

class StalledDisks {
  readonly #options: RigOptions
  readonly #progress: (line: string) => void
  readonly #figures = { acks: 0, events: 0, lost: 0 }
  readonly #failures: string[] = []
  #freezes = 0
  #closes = 0
  #acksWhileFrozen = 0
  #frozenLagMs = 0
  #slowAcks = 0
  #slowLagMs = 0

  constructor(options: RigOptions, progress: (line: string) => void) {
    this.#options = options
    this.#progress = progress
  }

  async run(): Promise<RigReport> {
    const fileSystems: FileSystem[] = loopImageUnavailable('xfs') === null ? ['ext4', 'xfs'] : ['ext4']
    const rounds = this.#options.isQuick ? 1 : ROUNDS / fileSystems.length
    for (const fileSystem of fileSystems) {
      for (let round = 0; round < rounds; round++) await this.#playFrozen(fileSystem, round)
      this.#progress(`${this.#freezes} freezes, the event loop ${this.#frozenLagMs.toFixed(0)} ms late at the worst`)
    }
    await this.#playSlow()
    return {
      figures: {
        'times frozen': this.#freezes,
        'of them while the store was being closed': this.#closes,
        'acks while frozen': this.#acksWhileFrozen,
        'event loop late while frozen, ms at most': Math.round(this.#frozenLagMs),
        'acks of the slow disk': this.#slowAcks,
        'event loop late on the slow disk, ms at most': Math.round(this.#slowLagMs),
        'events lost': this.#figures.lost,
      },
      failures: this.#failures,
    }
  }

  #planOf(directory: string, random: Random): LoadPlan {
    return {
      ...{ directory, seed: this.#options.seed, life: 0, durability: 'fsync', chunkSizeBytes: 256 * KIB, maxPayloadSize: 600 },
      ...{ maxInFlight: random.pick([1, 16]), withMaintenance: random.chance(0.5) },
    }
  }

  async #playFrozen(fileSystem: FileSystem, round: number): Promise<void> {
    const random = new Random(`${this.#options.seed}/frozen/${fileSystem}/${round}`)
    const directory = join(this.#options.directory, 'frozen')
    mkdirSync(directory, { recursive: true })
    const image = LoopImage.make(fileSystem, directory)
    const before = this.#failures.length
    try {
      image.mount()
      await this.#freeze(image, random)
    } finally {
      image.remove()
      rmSync(directory, { recursive: true, force: true })
    }
    const replay = ` (seed ${this.#options.seed}, ${fileSystem}, round ${round})`
    for (let index = before; index < this.#failures.length; index++) this.#failures[index] += replay
  }

  async #freeze(image: LoopImage, random: Random): Promise<void> {
    const plan = this.#planOf(join(image.mountPoint, 'store'), random)
    const book = new LoadBook(plan, this.#figures)
    const load = new ChildProgram('load', [JSON.stringify(plan)])
    await load.said('open')
    await pause(RUNNING_MS)
    const freezer = await Freezer.freeze(image.mountPoint)
    try {
      await pause(SETTLED_MS)
      const heard = load.lines.length
      const isClosing = random.chance(0.5)
      if (isClosing) load.send('close')
      await this.#readWhileFrozen(plan, load, book)
      await pause(FROZEN_MS)
      this.#freezes++
      this.#acksWhileFrozen += load.lines.slice(heard).filter(line => line.startsWith('+ ')).length
      if (load.lines.includes('closed')) this.#failures.push('it was closed on a frozen file system')
      load.send('lag')
      const lag = await load.said('lag', MAX_LAG_MS)
      if (lag === null) this.#failures.push('the event loop stands still on a frozen file system')
      else this.#frozenLagMs = Math.max(this.#frozenLagMs, Number(lag.split(' ')[1]))
      await freezer.thaw()
      if (isClosing) this.#closes++
      else await this.#goesOn(load)
      if (!isClosing) load.send('close')
      if ((await load.said('closed')) === null) this.#failures.push(`close does not end after the thaw: ${load.complaints}`)
    } finally {
      await freezer.thaw()
      await load.kill()
    }
    if (this.#frozenLagMs > MAX_LAG_MS) this.#failures.push(`the event loop was ${this.#frozenLagMs} ms late`)
    const odd = load.lines.find(line => /^(x|fault|unscavenged) /.test(line))
    if (odd !== undefined) this.#failures.push(`a disk that stood still, and the load was told: ${odd}`)
    book.note(load.lines, load.lines.length)
    this.#failures.push(...(await checkStore(plan, book, true)))
  }

  /** What the disk has need not wait for it. */
  async #readWhileFrozen(plan: LoadPlan, load: ChildProgram, book: LoadBook): Promise<void> {
    const acked = new LoadBook(plan, { acks: 0, events: 0, lost: 0 })
    acked.note([...load.lines], load.lines.length)
    try {
      const reader = await EventStore.open(plan.directory, { readOnly: true })
      await acked.checkShown(reader)
      await reader.close()
    } catch (error) {
      this.#failures.push(`it cannot be read while it is frozen: ${String(error)}`)
    }
    this.#failures.push(...acked.takeFailures(), ...book.takeFailures())
  }

  async #goesOn(load: ChildProgram): Promise<void> {
    const heard = load.lines.length
    for (let waitedMs = 0; waitedMs < 10_000; waitedMs += 10) {
      if (load.lines.slice(heard).some(line => line.startsWith('+ '))) return
      await pause(10)
    }
    this.#failures.push('no ack after the thaw')
  }

  async #playSlow(): Promise<void> {
    const directory = join(this.#options.directory, 'slow')
    mkdirSync(directory, { recursive: true })
    const plan = this.#planOf(join(directory, 'store'), new Random(this.#options.seed))
    const book = new LoadBook(plan, this.#figures)
    const calls = 'pwrite64,fdatasync,fsync'
    const delay = `inject=${calls}:delay_enter=${SLOWNESS_MS * 1000}`
    const load = new ChildProgram(
      'load',
      [JSON.stringify(plan)],
      ['strace', '-f', '-qq', '-o', '/dev/null', '-e', `trace=${calls}`, '-e', delay],
    )
    await load.said('open')
    load.send('lag')
    await pause(this.#options.isQuick ? SLOW_FOR_MS / 3 : SLOW_FOR_MS)
    load.send('lag')
    load.send('close')
    if ((await load.said('closed')) === null) this.#failures.push(`close does not end on a slow disk: ${load.complaints}`)
    await load.kill()
    const lags = load.lines.filter(line => line.startsWith('lag ')).map(line => Number(line.split(' ')[1]))
    // The first one is from before the load.
    this.#slowLagMs = Math.max(0, ...lags.slice(1))
    this.#slowAcks = load.lines.filter(line => line.startsWith('+ ')).length
    if (this.#slowAcks === 0) this.#failures.push('a slow disk, and nothing was acked')
    const odd = load.lines.find(line => /^(x|fault|unscavenged) /.test(line))
    if (odd !== undefined) this.#failures.push(`a slow disk, and the load was told: ${odd}`)
    book.note(load.lines, load.lines.length)
    this.#failures.push(...(await checkStore(plan, book, true)))
    rmSync(directory, { recursive: true, force: true })
  }
}

/** A process apart, which thaws the file system in any case: when it is told to, when this process ends, or after a while. */
class Freezer {
  readonly #shell: ChildProcess
  readonly #ended: Promise<void>

  private constructor(mountPoint: string) {
    const script = 'trap "" INT TERM; fsfreeze -f "$0" && echo frozen; read -t 20; fsfreeze -u "$0"'
    this.#shell = spawn('bash', ['-c', script, mountPoint], { stdio: ['pipe', 'pipe', 'ignore'] })
    this.#ended = new Promise(resolve => {
      this.#shell.once('close', () => resolve())
    })
  }

  static async freeze(mountPoint: string): Promise<Freezer> {
    const freezer = new Freezer(mountPoint)
    await new Promise<void>(resolve => {
      freezer.#shell.stdout!.once('data', () => resolve())
      freezer.#shell.once('close', () => resolve())
    })
    return freezer
  }

  thaw(): Promise<void> {
    this.#shell.stdin!.end()
    return this.#ended
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
