import { mkdirSync, rmSync, statfsSync } from 'node:fs'
import { join } from 'node:path'
import { TailraceError } from '../../src/core/errors.ts'
import { KIB, MIB } from '../../src/core/limits.ts'
import { EventStore } from '../../src/store/event-store.ts'
import type { RigOptions, RigReport } from '../proof/rig.ts'
import { Random } from '../support/random.ts'
import { ChildProgram } from './child-program.ts'
import { LoadBook } from './load-book.ts'
import type { LoadPlan } from './load-plan.ts'
import { type FileSystem, LoopImage, loopImageUnavailable, run } from './loop-image.ts'
import { NamespacedRig } from './namespaced-rig.ts'
import { checkStore } from './store-check.ts'

interface Case {
  readonly title: string
  readonly fileSystem: FileSystem
  readonly mountOptions: readonly string[]
  /** Events of this size: small groups go in one synced write, groups beyond 1 MiB in a write and a sync. */
  readonly maxPayloadSize: number
}

const FILE_SYSTEMS: readonly (readonly [title: string, FileSystem, mountOptions: readonly string[]])[] = [
  ['ext4 data=ordered', 'ext4', ['data=ordered']],
  ['ext4 data=writeback', 'ext4', ['data=writeback']],
  ['ext4 data=journal', 'ext4', ['data=journal']],
  ['xfs', 'xfs', []],
]
const CASES: readonly Case[] = FILE_SYSTEMS.flatMap(([title, fileSystem, mountOptions]) => [
  { title: `${title}, small groups`, fileSystem, mountOptions, maxPayloadSize: 3000 },
  { title: `${title}, large groups`, fileSystem, mountOptions, maxPayloadSize: 300 * KIB },
])
/** Of each case. */
const ROUNDS = 5
const MKFS: Readonly<Record<FileSystem, readonly string[]>> = {
  ext4: ['-b', '4096', '-J', 'size=4', '-E', 'lazy_itable_init=0,lazy_journal_init=0'],
  xfs: ['-s', 'size=4096'],
}
/** The device takes so much more, at the least and by chance, before it fails. */
const MIN_ROOM = MIB / 2
const CHANCE_ROOM = 6 * MIB
const PLENTY = 400 * MIB
/** The last is for appends that rest on one that was refused. */
const TOLD: ReadonlySet<string> = new Set(['WRITER_FAILED', 'DISK_FULL', 'WRONG_EXPECTED_REVISION'])
const PATIENCE_MS = 8_000

/**
 * The disk behind the file system refuses blocks: the kernel tells one sync of it, takes the pages for clean, and lets the next
 * sync succeed without them. The writer has to end; what it acked must be there when the disk is well again, and after a power cut
 * on top of that, so must what the reopened store has shown.
 */
export const failedSyncRig = new NamespacedRig({
  name: 'failed-syncs',
  about: 'a real file system whose disk runs dry, so that syncs fail; then the disk is mended, and its power cut',
  unavailable: async () => loopImageUnavailable('ext4') ?? loopImageUnavailable('xfs'),
  async run(options, progress): Promise<RigReport> {
    const syncs = new FailedSyncs(options)
    const rows: string[][] = []
    for (const what of CASES.filter(({ mountOptions }) => !options.isQuick || mountOptions[0] !== 'data=writeback')) {
      rows.push([what.title, ...(await syncs.play(what, options.isQuick ? 1 : ROUNDS))])
      progress(rows.at(-1)!.join(', '))
    }
    return syncs.report(rows)
  },
})

/** What became of one case, over its rounds. */
class Tally {
  readonly #counts = new Map<string, number>()

  add(outcome: string): void {
    this.#counts.set(outcome, (this.#counts.get(outcome) ?? 0) + 1)
  }

  get text(): string {
    const parts = [...this.#counts].sort(([a], [b]) => (a < b ? -1 : 1)).map(([outcome, count]) => `${outcome} ×${count}`)
    return parts.length === 0 ? 'none' : parts.join(', ')
  }
}

class FailedSyncs {
  readonly #options: RigOptions
  readonly #figures = { acks: 0, events: 0, lost: 0 }
  readonly #failures: string[] = []
  #rounds = 0
  #writersFailed = 0
  #acksAfterFailures = 0

  constructor(options: RigOptions) {
    this.#options = options
  }

  async play(what: Case, rounds: number): Promise<string[]> {
    const tallies = { appends: new Tally(), reopen: new Tally(), afterCut: new Tally() }
    for (let round = 0; round < rounds; round++) {
      const before = this.#failures.length
      await this.#playRound(what, new Random(`${this.#options.seed}/${what.title}/${round}`), tallies)
      const replay = ` (seed ${this.#options.seed}, ${what.title}, round ${round})`
      for (let index = before; index < this.#failures.length; index++) this.#failures[index] += replay
      this.#rounds++
    }
    return [tallies.appends.text, tallies.reopen.text, tallies.afterCut.text]
  }

  async #playRound(what: Case, random: Random, tallies: Record<'appends' | 'reopen' | 'afterCut', Tally>): Promise<void> {
    const small = join(this.#options.directory, 'small')
    mkdirSync(small, { recursive: true })
    run('mount', ['-t', 'tmpfs', '-o', `size=${PLENTY}`, 'tmpfs', small])
    let image: LoopImage | null = null
    try {
      image = LoopImage.make(what.fileSystem, small, MKFS[what.fileSystem])
      image.mount(what.mountOptions)
      image.splitRequests()
      const used = statfsSync(small)
      const size = (used.blocks - used.bfree) * used.bsize + MIN_ROOM + random.int(CHANCE_ROOM)
      run('mount', ['-o', `remount,size=${size}`, small])
      await this.#fail(what, image, small, random, tallies)
    } finally {
      image?.remove()
      run('umount', ['-l', small])
      rmSync(small, { recursive: true, force: true })
    }
  }

  async #fail(
    what: Case,
    image: LoopImage,
    small: string,
    random: Random,
    tallies: Record<'appends' | 'reopen' | 'afterCut', Tally>,
  ): Promise<void> {
    const { maxPayloadSize } = what
    const plan: LoadPlan = {
      ...{ directory: join(image.mountPoint, 'store'), seed: this.#options.seed, life: 0, durability: 'fsync' },
      ...{ chunkSizeBytes: random.pick(maxPayloadSize > MIB / 8 ? [8 * MIB, 64 * MIB] : [64 * KIB, MIB, 64 * MIB]) },
      ...{ maxPayloadSize, maxInFlight: random.pick([4, 16]), withMaintenance: random.chance(0.3) },
    }
    const book = new LoadBook(plan, this.#figures)
    const load = new ChildProgram('load', [JSON.stringify(plan)])
    if ((await load.said('open')) === null) {
      const [, code = 'not at all'] = load.lines[0]?.split(' ') ?? []
      tallies.appends.add(`not opened: ${code}`)
    } else {
      if ((await load.said('done', PATIENCE_MS)) === null) tallies.appends.add('went on')
      await this.#readBeside(plan, load.lines)
      load.send('close')
      if ((await load.said('closed')) === null) this.#failures.push(`close did not end: ${load.complaints}`)
    }
    await load.kill()
    this.#noteOutcomes(load.lines, tallies.appends)
    book.note(load.lines, load.lines.length)
    run('mount', ['-o', `remount,size=${PLENTY}`, small])

    const reopened = await reopen(plan)
    tallies.reopen.add(reopened)
    if (reopened === 'open') this.#failures.push(...(await checkStore(plan, book, true)))
    else if (reopened !== 'READ_ONLY_STORE') this.#failures.push(`reopened where it failed: ${reopened}`)
    image.cutPower()
    image.unmount()
    image.mount(what.mountOptions)
    const failures = await checkStore(plan, book, true)
    tallies.afterCut.add(failures.length === 0 ? 'all there' : 'broken')
    this.#failures.push(...failures)
  }

  /** Each append is acked, refused, or unknown; after the first that is told of the writer's failure, none is acked. */
  #noteOutcomes(lines: readonly string[], tally: Tally): void {
    const failure = lines.findIndex(line => line.startsWith('x ') && line.includes(' WRITER_FAILED '))
    if (failure >= 0) {
      this.#writersFailed++
      const acks = lines.slice(failure).filter(line => line.startsWith('+ ')).length
      this.#acksAfterFailures += acks
      if (acks > 0) this.#failures.push(`${acks} acks after the writer had failed`)
    }
    for (const line of lines.filter(said => said.startsWith('x '))) {
      const [, , , code, outcome] = line.split(' ')
      tally.add(`${code} ${outcome}`)
      if (!TOLD.has(code!)) this.#failures.push(`an append was told ${code} ${outcome}`)
      if (code === 'DISK_FULL' && outcome !== 'rejected') this.#failures.push(`a full disk, and the append is ${outcome}`)
    }
    const complaint = lines.find(line => line.startsWith('fault ') || line.startsWith('unopened '))
    // The disk may be dry before the store is open.
    if (complaint !== undefined && !/READ_FAILED|^unopened DISK_FULL/.test(complaint))
      this.#failures.push(`the load was told: ${complaint}`)
  }

  /** While the failed writer is still there. */
  async #readBeside(plan: LoadPlan, lines: readonly string[]): Promise<void> {
    const book = new LoadBook(plan, { acks: 0, events: 0, lost: 0 })
    book.note([...lines], lines.length)
    try {
      const reader = await EventStore.open(plan.directory, { readOnly: true })
      await book.checkShown(reader)
      await reader.close()
    } catch (error) {
      this.#failures.push(`it cannot be read beside its failed writer: ${String(error)}`)
    }
    this.#failures.push(...book.takeFailures())
  }

  report(rows: readonly (readonly string[])[]): RigReport {
    const head = ['file system', 'what appends were told', 'reopened, the disk mended', 'power cut, reopened']
    return {
      figures: {
        'disks run dry': this.#rounds,
        'writers that failed': this.#writersFailed,
        'acks after the failure': this.#acksAfterFailures,
        'events acked': this.#figures.events,
        'events lost': this.#figures.lost,
      },
      failures: this.#failures,
      tables: [{ title: 'Syncs that fail on real file systems', head, rows }],
    }
  }
}

/** @returns 'open' or the code of the error. */
async function reopen({ directory, chunkSizeBytes }: LoadPlan): Promise<string> {
  try {
    await (await EventStore.open(directory, { chunkSizeBytes })).close()
    return 'open'
  } catch (error) {
    return error instanceof TailraceError ? error.code : String(error)
  }
}
