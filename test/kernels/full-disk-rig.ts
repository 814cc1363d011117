import { mkdirSync, readdirSync, rmSync, statfsSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { KIB, MIB } from '../../src/core/limits.ts'
import type { RigOptions, RigReport } from '../proof/rig.ts'
import { Random } from '../support/random.ts'
import { ChildProgram } from './child-program.ts'
import { LoadBook } from './load-book.ts'
import type { LoadPlan } from './load-plan.ts'
import { run } from './loop-image.ts'
import { NamespacedRig } from './namespaced-rig.ts'
import { checkStore } from './store-check.ts'

const CYCLES = 50
const QUICK_CYCLES = 6
/** Then a new disk: the old one is full of the store. */
const CYCLES_PER_STORE = 10
const DISK_SIZE = 24 * MIB
/** What is given back in each cycle. */
const ROOM = 600 * KIB
const FULL_FOR_MS = 150

/** What becomes of the process while its disk is full. */
const FATES = ['goes on', 'goes on', 'is closed', 'is killed'] as const

/** A small disk that is filled up under load and freed again: appends are refused, and go on when there is room. */
export const fullDiskRig = new NamespacedRig({
  name: 'full-disk',
  about: 'a small tmpfs that is filled under load and freed, again and again; the process goes on, is closed or killed',
  unavailable: async () => null,
  run: async (options, progress) => new FullDisks(options, progress).run(),
})

class FullDisks {
  readonly #options: RigOptions
  readonly #progress: (line: string) => void
  readonly #figures = { acks: 0, events: 0, lost: 0 }
  readonly #failures: string[] = []
  readonly #told = new Map<string, number>()
  #cycles = 0
  #reopens = 0
  #refusedOpens = 0

  constructor(options: RigOptions, progress: (line: string) => void) {
    this.#options = options
    this.#progress = progress
  }

  async run(): Promise<RigReport> {
    const cycles = this.#options.isQuick ? QUICK_CYCLES : CYCLES
    const directory = join(this.#options.directory, 'tmpfs')
    mkdirSync(directory, { recursive: true })
    for (let cycle = 0; cycle < cycles; cycle += CYCLES_PER_STORE) {
      // Names may run out, too.
      run('mount', ['-t', 'tmpfs', '-o', `size=${DISK_SIZE}`, 'tmpfs', directory])
      try {
        await this.#playStore(directory, cycle, Math.min(CYCLES_PER_STORE, cycles - cycle))
      } finally {
        run('umount', ['-l', directory])
      }
      this.#progress(`${this.#cycles} times full and free again, ${this.#figures.acks} acks, ${this.#figures.lost} lost`)
    }
    rmSync(directory, { recursive: true, force: true })
    const told = [...this.#told].sort(([a], [b]) => (a < b ? -1 : 1)).map(([what, count]) => [what, String(count)])
    return {
      figures: {
        'times full and free again': this.#cycles,
        'reopened while full': this.#reopens,
        'opens refused while full': this.#refusedOpens,
        acks: this.#figures.acks,
        'events lost': this.#figures.lost,
      },
      failures: this.#failures,
      tables: [{ title: 'What appends to a full disk were told', head: ['error', 'appends'], rows: told }],
    }
  }

  async #playStore(directory: string, firstCycle: number, cycles: number): Promise<void> {
    const random = new Random(`${this.#options.seed}/full/${firstCycle}`)
    let life = firstCycle
    const plan: LoadPlan = {
      ...{ directory: join(directory, 'store'), seed: this.#options.seed, life, durability: 'fsync' },
      ...{ chunkSizeBytes: random.pick([16 * KIB, 256 * KIB, 4 * MIB]), maxPayloadSize: random.pick([600, 5000]) },
      ...{ maxInFlight: random.pick([1, 4, 16]), withMaintenance: random.chance(0.5) },
    }
    const book = new LoadBook(plan, this.#figures)
    const ballast = join(directory, 'ballast')
    writeFileSync(ballast, new Uint8Array(CYCLES_PER_STORE * ROOM))
    writeFileSync(`${ballast}-2`, new Uint8Array(DISK_SIZE - (CYCLES_PER_STORE + 3) * ROOM))
    let load = new ChildProgram('load', [JSON.stringify({ ...plan, life: life++ })])
    for (let cycle = 0; cycle < cycles; cycle++) {
      const before = this.#failures.length
      await this.#fill(load)
      const fate = random.pick(FATES)
      if (fate !== 'goes on') {
        await this.#end(load, fate)
        this.#note(load, book)
        load = await this.#reopenFull({ ...plan, life: life++ }, book)
      }
      // Counted from before there is room: the load may have used it up again before anybody looks.
      const from = load.lines.length
      truncateSync(ballast, Math.max(0, statSync(ballast).size - ROOM))
      load = await this.#goesOn(load, from, () => new ChildProgram('load', [JSON.stringify({ ...plan, life: life++ })]))
      this.#cycles++
      const replay = ` (seed ${this.#options.seed}, cycle ${firstCycle + cycle}, ${fate}, ${JSON.stringify(plan)})`
      for (let index = before; index < this.#failures.length; index++) this.#failures[index] += replay
    }
    await this.#end(load, 'is closed')
    this.#note(load, book)
    rmSync(ballast)
    this.#failures.push(...(await checkStore(plan, book, true)))
    const left = readdirSync(plan.directory).filter(name => name.endsWith('.tmp'))
    if (left.length > 0) this.#failures.push(`I12: left behind: ${left.join(', ')}`)
  }

  /** Waits until appends are refused, and for a while longer. */
  async #fill(load: ChildProgram): Promise<void> {
    const from = load.lines.length
    for (let waitedMs = 0; waitedMs < 60_000; waitedMs += 20) {
      if (load.lines.slice(from).some(line => line.startsWith('x ')) || load.exitCode !== null) break
      await pause(20)
    }
    await pause(FULL_FOR_MS)
    if (load.lines.includes('done'))
      this.#failures.push(`the load gave up: ${load.lines.filter(line => line.startsWith('x')).at(-1)}`)
  }

  async #end(load: ChildProgram, fate: 'is closed' | 'is killed'): Promise<void> {
    if (fate === 'is closed') {
      load.send('close')
      if ((await load.said('closed')) === null) this.#failures.push(`close did not end: ${load.complaints}`)
    }
    await load.kill()
  }

  #note(load: ChildProgram, book: LoadBook): void {
    book.note(load.lines, load.lines.length)
    for (const line of load.lines.filter(said => /^(x|fault) /.test(said))) {
      const [kind, , , code, outcome] = line.split(' ')
      if (kind === 'fault') {
        this.#failures.push(`the load was told: ${line}`)
        continue
      }
      const told = `${code} ${outcome}`
      this.#told.set(told, (this.#told.get(told) ?? 0) + 1)
      if (told !== 'DISK_FULL rejected' && told !== 'WRONG_EXPECTED_REVISION rejected')
        this.#failures.push(`a full disk: ${line}`)
    }
  }

  /** While the disk is full: it opens, and all is there, or says that the disk is full. */
  async #reopenFull(plan: LoadPlan, book: LoadBook): Promise<ChildProgram> {
    this.#reopens++
    const failures = await checkStore(plan, book, false)
    if (failures.length > 0 && failures.every(failure => failure.includes('DiskFullError'))) this.#refusedOpens++
    else this.#failures.push(...failures)
    return new ChildProgram('load', [JSON.stringify(plan)])
  }

  /** There is room again: an ack has to come. A process that was refused at its open is started anew. */
  async #goesOn(load: ChildProgram, from: number, restart: (() => ChildProgram) | null): Promise<ChildProgram> {
    if ((await load.said('open')) === null) {
      if (restart !== null && load.lines[0]?.startsWith('unopened DISK_FULL')) return this.#goesOn(restart(), 0, null)
      throw new Error(`not opened, though there is room: ${load.lines[0]} ${load.complaints}`)
    }
    for (let waitedMs = 0; waitedMs < 20_000; waitedMs += 10) {
      if (load.lines.slice(from).some(line => line.startsWith('+ '))) return load
      await pause(10)
    }
    const { bavail, bsize } = statfsSync(join(this.#options.directory, 'tmpfs'))
    this.#failures.push(`it stays full, though there is room (${bavail * bsize}): ${load.lines.at(-1)}`)
    return load
  }
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms))
}
