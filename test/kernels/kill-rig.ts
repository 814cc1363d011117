import { mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { KIB, MIB } from '../../src/core/limits.ts'
import type { Rig, RigOptions, RigReport } from '../proof/rig.ts'
import { Random } from '../support/random.ts'
import { ChildProgram } from './child-program.ts'
import { LoadBook } from './load-book.ts'
import type { LoadPlan } from './load-plan.ts'
import { checkStore } from './store-check.ts'

const ROUNDS = 1000
const QUICK_ROUNDS = 30
/** Then a new store: a check reads all that is in it. */
const ROUNDS_PER_STORE = 25
/** Stores at a time: while one load starts, the other store is checked. */
const LANES = 2
const MAX_LIFE_MS = 200
/** So many live five times as long: a scavenge takes its time. */
const LONG_LIFE_SHARE = 0.15

/** Real processes, killed at random moments. It finds what kills find; what only a power cut finds is for other rigs. */
export const killRig: Rig = {
  name: 'kill',
  about: 'kill -9 of a process under load, with commits, deletes, scavenges and roll-overs; the store goes on',
  async unavailable() {
    return process.platform === 'win32' ? 'there is no kill -9' : null
  },
  async run(options, progress): Promise<RigReport> {
    const rounds = options.isQuick ? QUICK_ROUNDS : ROUNDS
    const killing = new Killing(options, progress)
    await Promise.all(Array.from({ length: LANES }, (_, lane) => killing.playLane(lane, rounds / LANES)))
    return killing.report()
  },
}

class Killing {
  readonly #options: RigOptions
  readonly #progress: (line: string) => void
  readonly #figures = { acks: 0, events: 0, lost: 0 }
  readonly #failures: string[] = []
  #rounds = 0
  #killedBeforeOpen = 0
  #failedOpens = 0
  #scavenges = 0
  #tornBytes = 0

  constructor(options: RigOptions, progress: (line: string) => void) {
    this.#options = options
    this.#progress = progress
  }

  async playLane(lane: number, rounds: number): Promise<void> {
    const random = new Random(`${this.#options.seed}/kill/${lane}`)
    const directory = join(this.#options.directory, `kill-${lane}`)
    let plan: LoadPlan | null = null
    let book: LoadBook | null = null
    for (let round = 0; round < rounds; round++) {
      if (plan === null || book === null || round % ROUNDS_PER_STORE === 0) {
        rmSync(directory, { recursive: true, force: true })
        mkdirSync(directory, { recursive: true })
        plan = this.#planOf(random, directory)
        book = new LoadBook(plan, this.#figures)
      }
      plan = { ...plan, life: round, withMaintenance: random.chance(0.5) }
      await this.#kill(plan, book, random)
      // Where nobody looked, the next load recovers the store itself, and may be killed while it does.
      if (random.chance(0.8) || round + 1 === rounds) await this.#check(plan, book, random.chance(0.2), lane, round)
      this.#rounds++
      if (this.#rounds % 50 === 0) this.#progress(`${this.#rounds} kills, ${this.#figures.acks} acks, ${this.#figures.lost} lost`)
    }
    rmSync(directory, { recursive: true, force: true })
  }

  #planOf(random: Random, directory: string): LoadPlan {
    // What large groups leave behind is met by small ones.
    const sizes = random.chance(0.25)
      ? { chunkSizeBytes: 16 * MIB, maxPayloadSize: 600, maxLargeSize: 2 * MIB }
      : { chunkSizeBytes: random.pick([16, 32, 64, 512]) * KIB, maxPayloadSize: random.pick([100, 600, 3000]) }
    return {
      directory: join(directory, 'store'),
      seed: this.#options.seed,
      life: 0,
      ...sizes,
      durability: random.chance(0.25) ? 'os' : 'fsync',
      maxInFlight: random.pick([1, 4, 16]),
      withMaintenance: false,
    }
  }

  async #kill(plan: LoadPlan, book: LoadBook, random: Random): Promise<void> {
    const isEarly = random.chance(0.15)
    const load = new ChildProgram('load', [JSON.stringify(plan)])
    if (!isEarly) await load.said('open')
    const lifeMs = random.int(random.chance(LONG_LIFE_SHARE) ? 5 * MAX_LIFE_MS : MAX_LIFE_MS)
    await new Promise(resolve => setTimeout(resolve, lifeMs))
    const exitCode = load.exitCode
    await load.kill()
    if (exitCode !== null) this.#failures.push(`a load ended by itself: ${load.lines.slice(-3).join(' / ')} ${load.complaints}`)
    if (!load.lines[0]?.startsWith('open')) this.#killedBeforeOpen++
    else this.#tornBytes += Number(load.lines[0].split(' ')[3])
    this.#scavenges += load.lines.filter(line => line.startsWith('scavenged')).length
    const odd = load.lines.find(line => /^(x|fault|unopened|unscavenged|done)/.test(line))
    if (odd !== undefined) this.#failures.push(`a load was told: ${odd}`)
    book.note(load.lines, load.lines.length)
  }

  async #check(plan: LoadPlan, book: LoadBook, isThorough: boolean, lane: number, round: number): Promise<void> {
    const failures = await checkStore(plan, book, isThorough)
    if (failures.some(failure => failure.startsWith('it cannot be opened'))) this.#failedOpens++
    const replay = `seed ${this.#options.seed}, lane ${lane}, round ${round}`
    this.#failures.push(...failures.slice(0, 5).map(failure => `${failure} (${replay}, ${JSON.stringify(plan)})`))
  }

  report(): RigReport {
    return {
      figures: {
        'kill -9': this.#rounds,
        'of them before the store was open': this.#killedBeforeOpen,
        acks: this.#figures.acks,
        'events acked': this.#figures.events,
        'events lost': this.#figures.lost,
        'failed opens': this.#failedOpens,
        'scavenges that ended': this.#scavenges,
        'torn bytes cut off by loads': this.#tornBytes,
      },
      failures: this.#failures,
    }
  }
}
