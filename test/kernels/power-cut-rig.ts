import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { KIB } from '../../src/core/limits.ts'
import type { RigOptions, RigReport } from '../proof/rig.ts'
import { Random } from '../support/random.ts'
import { ChildProgram } from './child-program.ts'
import { LoadBook } from './load-book.ts'
import type { LoadPlan } from './load-plan.ts'
import { type FileSystem, LoopImage, loopImageUnavailable } from './loop-image.ts'
import { NamespacedRig } from './namespaced-rig.ts'
import { checkStore } from './store-check.ts'

const ROUNDS: Readonly<Record<FileSystem, number>> = { ext4: 1000, xfs: 200 }
const QUICK_ROUNDS: Readonly<Record<FileSystem, number>> = { ext4: 20, xfs: 8 }
/** Then a new store: a check reads all that is in it. */
const ROUNDS_PER_STORE = 20
const MAX_LIFE_MS = 200
/** After a cut, ext4 may show what never was in a file in one of these. */
const MOUNT_OPTIONS: Readonly<Record<FileSystem, readonly (readonly string[])[]>> = {
  ext4: [['data=ordered'], ['data=writeback'], ['data=journal']],
  xfs: [[]],
}

/**
 * Cuts the power of a file system of the kernel under load: all that it had not put on its disk by then is gone. It finds what a
 * kill can't: bytes, sizes and names that nobody synced.
 */
export function powerCutRig(fileSystem: FileSystem): NamespacedRig {
  return new NamespacedRig({
    name: `power-${fileSystem}`,
    about: `power cuts of a real ${fileSystem} under load, by its shutdown ioctl on a loop mount`,
    unavailable: async () => loopImageUnavailable(fileSystem),
    run: async (options, progress) => new PowerCuts(fileSystem, options, progress).run(),
  })
}

class PowerCuts {
  readonly #fileSystem: FileSystem
  readonly #options: RigOptions
  readonly #progress: (line: string) => void
  readonly #figures = { acks: 0, events: 0, lost: 0 }
  readonly #failures: string[] = []
  #cuts = 0
  #beforeOpen = 0
  #failedOpens = 0
  #ackedAmidCuts = 0

  constructor(fileSystem: FileSystem, options: RigOptions, progress: (line: string) => void) {
    this.#fileSystem = fileSystem
    this.#options = options
    this.#progress = progress
  }

  async run(): Promise<RigReport> {
    const rounds = (this.#options.isQuick ? QUICK_ROUNDS : ROUNDS)[this.#fileSystem]
    const random = new Random(`${this.#options.seed}/power/${this.#fileSystem}`)
    for (let round = 0; round < rounds; round += ROUNDS_PER_STORE) {
      await this.#playStore(random.fork(round), round, Math.min(ROUNDS_PER_STORE, rounds - round))
      this.#progress(`${this.#cuts} power cuts of ${this.#fileSystem}, ${this.#figures.acks} acks, ${this.#figures.lost} lost`)
    }
    return this.#report()
  }

  /** A new file system with a new store, that is cut off and mounted again for so many rounds. */
  async #playStore(random: Random, firstRound: number, rounds: number): Promise<void> {
    const directory = join(this.#options.directory, 'disk')
    mkdirSync(directory, { recursive: true })
    const image = LoopImage.make(this.#fileSystem, directory)
    const mountOptions = random.pick(MOUNT_OPTIONS[this.#fileSystem])
    const plan = this.#planOf(random, join(image.mountPoint, 'store'))
    const book = new LoadBook(plan, this.#figures)
    try {
      image.mount(mountOptions)
      for (let round = firstRound; round < firstRound + rounds; round++) {
        const life = { ...plan, life: round, withMaintenance: random.chance(0.5) }
        await this.#cut(image, mountOptions, life, book, random)
        // Where nobody looked, the next load recovers the store itself, and may lose its disk while it does.
        if (random.chance(0.8) || round + 1 === firstRound + rounds) {
          const failures = await checkStore(life, book, random.chance(0.2))
          if (failures.some(failure => failure.startsWith('it cannot be opened'))) this.#failedOpens++
          const replay = `seed ${this.#options.seed}, round ${round}, ${mountOptions.join()} ${JSON.stringify(life)}`
          this.#failures.push(...failures.slice(0, 5).map(failure => `${failure} (${replay})`))
        }
      }
    } finally {
      image.remove()
      rmSync(directory, { recursive: true, force: true })
    }
  }

  #planOf(random: Random, directory: string): LoadPlan {
    return {
      directory,
      seed: this.#options.seed,
      life: 0,
      chunkSizeBytes: random.pick([16, 32, 64, 512]) * KIB,
      durability: 'fsync',
      maxPayloadSize: random.pick([100, 600, 3000]),
      maxInFlight: random.pick([1, 4, 16]),
      withMaintenance: false,
    }
  }

  async #cut(image: LoopImage, mountOptions: readonly string[], plan: LoadPlan, book: LoadBook, random: Random): Promise<void> {
    const isEarly = random.chance(0.15)
    const load = new ChildProgram('load', [JSON.stringify(plan)])
    if (!isEarly) await load.said('open')
    const lifeMs = random.int(MAX_LIFE_MS)
    await new Promise(resolve => setTimeout(resolve, lifeMs))
    const certainCount = load.lines.length
    const odd = load.lines.find(line => /^(x|fault|unopened|unscavenged|done)/.test(line))
    image.cutPower()
    await load.kill()
    image.unmount()
    image.mount(mountOptions)
    if (odd !== undefined) this.#failures.push(`a load was told before the cut: ${odd}`)
    if (!load.lines[0]?.startsWith('open')) this.#beforeOpen++
    this.#ackedAmidCuts += load.lines.slice(certainCount).filter(line => line.startsWith('+')).length
    this.#cuts++
    book.note(load.lines, certainCount)
  }

  #report(): RigReport {
    return {
      figures: {
        'power cuts': this.#cuts,
        'of them before the store was open': this.#beforeOpen,
        'acks before the cuts': this.#figures.acks,
        'events acked before the cuts': this.#figures.events,
        'acks while the power went, which prove nothing': this.#ackedAmidCuts,
        'events lost': this.#figures.lost,
        'failed opens': this.#failedOpens,
      },
      failures: this.#failures,
    }
  }
}
