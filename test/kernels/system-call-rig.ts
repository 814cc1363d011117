import { cpSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { EventStore } from '../../src/store/event-store.ts'
import type { Rig, RigOptions, RigReport } from '../proof/rig.ts'
import { ChildProgram } from './child-program.ts'
import { hasCommand } from './loop-image.ts'
import { reasonWithout } from './namespaced-rig.ts'
import { type TracedCall, tracedCalls } from './traced-call.ts'

const FAULTS = ['EIO', 'ENOSPC', 'EDQUOT', 'EMFILE', 'EROFS'] as const
const QUICK_FAULTS = ['EIO', 'ENOSPC'] as const
const CALLS = ['mkdir', 'openat', 'pwrite64', 'pread64', 'fdatasync', 'fsync', 'ftruncate', 'rename', 'unlink'] as const
/** Of each call in a scene: first, last, and so many in between. */
const PLACES = 5
const QUICK_PLACES = 2
const LANES = 2
const PATIENCE_MS = 30_000

type Scene = 'a new store' | 'a killed store'

interface Cell {
  readonly scene: Scene
  readonly call: string
  readonly nth: number
  readonly fault: string
  readonly times: 'once' | 'for ever'
}

/**
 * The system's own answers to the calls of a real process: strace makes the n-th of a kind fail, once or from then on. Each step
 * of the process must end, with an ack or an error of the store's own; what was acked is there afterwards, what was rejected is not.
 */
export const systemCallRig: Rig = {
  name: 'system-calls',
  about: 'EIO, ENOSPC, EDQUOT, EMFILE, EROFS from the system calls of a real process, by fault injection of strace',
  async unavailable() {
    if (!hasCommand('strace')) return 'there is no strace'
    return reasonWithout('strace', [
      '-qq',
      '-o',
      '/dev/null',
      '-e',
      'trace=openat',
      '-e',
      'inject=openat:error=EIO:when=1000',
      'true',
    ])
  },
  run: (options, progress) => new SystemCalls(options, progress).run(),
}

class SystemCalls {
  readonly #options: RigOptions
  readonly #progress: (line: string) => void
  readonly #failures: string[] = []
  /** By call and kind of file, then by fault: what it led to, and how often. */
  readonly #outcomes = new Map<string, Map<string, Map<string, number>>>()
  #runs = 0
  #missed = 0

  constructor(options: RigOptions, progress: (line: string) => void) {
    this.#options = options
    this.#progress = progress
  }

  async run(): Promise<RigReport> {
    await this.#prepareKilled()
    const cells: Cell[] = []
    for (const scene of ['a new store', 'a killed store'] as const) cells.push(...(await this.#cellsOf(scene)))
    let next = 0
    const lane = async (index: number) => {
      for (let cell = cells[next++]; cell !== undefined; cell = cells[next++]) {
        await this.#play(cell, join(this.#options.directory, `lane-${index}`))
        this.#runs++
        if (this.#runs % 50 === 0) this.#progress(`${this.#runs} of ${cells.length} system calls made to fail`)
      }
    }
    await Promise.all(Array.from({ length: LANES }, (_, index) => lane(index)))
    return this.#report()
  }

  get #killed(): string {
    return join(this.#options.directory, 'killed')
  }

  /** What a process leaves that dies amid its appends, so that the open has to recover. */
  async #prepareKilled(): Promise<void> {
    mkdirSync(this.#killed, { recursive: true })
    const script = new ChildProgram('call-script', [join(this.#killed, 'store'), 'before'])
    await script.said('ok append:next-chunk')
    await script.kill()
  }

  /** Where calls of each kind stand in a run without faults. */
  async #cellsOf(scene: Scene): Promise<Cell[]> {
    const { traced } = await this.#trace(scene, join(this.#options.directory, 'baseline'), [])
    const { isQuick } = this.#options
    const cells: Cell[] = []
    for (const call of CALLS) {
      const count = traced.filter(entry => entry.name === call).length
      for (const nth of placesOf(count, isQuick ? QUICK_PLACES : PLACES)) {
        for (const fault of isQuick ? QUICK_FAULTS : FAULTS) {
          cells.push({ scene, call, nth, fault, times: 'once' })
          if (nth === 1) cells.push({ scene, call, nth, fault, times: 'for ever' })
        }
      }
    }
    return cells
  }

  async #play(cell: Cell, directory: string): Promise<void> {
    const { call, nth, fault, times } = cell
    const when = times === 'once' ? nth : `${nth}+`
    const inject = ['-e', `inject=${call}:error=${fault}:when=${when}`]
    const { script, traced } = await this.#trace(cell.scene, directory, inject)
    const failures = this.#judge(script)
    failures.push(...(await this.#reopen(join(directory, 'store'), script.lines, cell.scene === 'a killed store')))
    const replay = ` (${fault} from ${call} ${nth} of ${cell.scene}, ${times})`
    this.#failures.push(...failures.map(failure => failure + replay))
    const injected = traced.find(entry => entry.isInjected)
    if (injected === undefined) this.#missed++
    else this.#count(`${call} of ${injected.kind}`, fault, outcomeOf(script.lines))
    rmSync(directory, { recursive: true, force: true })
  }

  /** Runs the script under strace; only calls on the store's files count and fail. */
  async #trace(
    scene: Scene,
    directory: string,
    inject: readonly string[],
  ): Promise<{ script: ChildProgram; traced: TracedCall[] }> {
    rmSync(directory, { recursive: true, force: true })
    mkdirSync(directory, { recursive: true })
    const store = join(directory, 'store')
    if (scene === 'a killed store') cpSync(join(this.#killed, 'store'), store, { recursive: true })
    const output = join(directory, 'trace')
    const paths = FILES.flatMap(name => ['-P', join(store, name)])
    const strace = [
      'strace',
      '-f',
      '-y',
      '-s',
      '0',
      '-o',
      output,
      '-P',
      store,
      ...paths,
      '-e',
      `trace=${CALLS.join()}`,
      ...inject,
    ]
    // The n-th call is counted by thread.
    const script = new ChildProgram('call-script', [store, 'now'], strace, { UV_THREADPOOL_SIZE: '1' })
    if ((await script.said('end', PATIENCE_MS)) === null && script.exitCode === null) {
      this.#failures.push(`it hangs behind: ${script.lines.at(-1)}`)
      await script.kill()
    }
    await script.ended
    return { script, traced: tracedCalls(output, store) }
  }

  #judge({ lines, complaints }: ChildProgram): string[] {
    const failures = lines.filter(line => line.startsWith('!')).map(line => `an error that is none of the store: ${line}`)
    if (lines.at(-1) !== 'end') failures.push(`the process died: ${complaints.slice(0, 500)}`)
    const failure = lines.findIndex(line => line.startsWith('err append') && / WRITER_FAILED (?!.*next chunk)/.test(line))
    const ack = failure < 0 ? -1 : lines.findIndex((line, index) => index > failure && line.startsWith('ok append'))
    if (ack >= 0) failures.push(`${lines[ack]} after ${lines[failure]}`)
    return failures
  }

  /** Without faults: what was acked is there, what was rejected is not, several events are there all or none. */
  async #reopen(directory: string, lines: readonly string[], isKilled: boolean): Promise<string[]> {
    const failures: string[] = []
    try {
      const store = await EventStore.open(directory)
      const types = new Set<string>()
      for await (const { type } of store.readAll()) types.add(type)
      const there = (name: string) => [0, 1, 2].filter(index => types.has(`now-${name}-${index}`)).length
      for (const line of lines) {
        const [what, step = '', , outcome] = line.split(' ')
        if (!step.startsWith('append:')) continue
        const name = step.slice('append:'.length)
        if (what === 'ok' && there(name) === 0 && !DELETED.has(name)) failures.push(`I1: '${name}' was acked, and is lost`)
        if (what === 'err' && outcome === 'rejected' && there(name) > 0) failures.push(`I4: '${name}' was rejected, and is there`)
      }
      if (there('several') % 3 !== 0) failures.push('I2: half an append is there')
      if (isKilled && !BEFORE.every(type => types.has(type))) failures.push('I1: what was acked before the kill is lost')
      await store.append('kept', { type: 'afterwards', data: 1 })
      await store.close()
    } catch (error) {
      failures.push(`it cannot be opened afterwards: ${String(error)}`)
    }
    return failures
  }

  #count(site: string, fault: string, outcome: string): void {
    const faults = this.#outcomes.get(site) ?? new Map<string, Map<string, number>>()
    this.#outcomes.set(site, faults)
    const outcomes = faults.get(fault) ?? new Map<string, number>()
    faults.set(fault, outcomes)
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1)
  }

  #report(): RigReport {
    const rows = [...this.#outcomes]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([site, faults]) => [
        site,
        ...FAULTS.map(fault =>
          [...(faults.get(fault) ?? [])].map(([outcome, count]) => (count === 1 ? outcome : `${outcome} ×${count}`)).join('; '),
        ),
      ])
    return {
      figures: {
        'runs with a fault': this.#runs,
        'of them without the call': this.#missed,
        'kinds of call and file': rows.length,
      },
      failures: this.#failures,
      tables: [{ title: 'System calls that fail', head: ['call', ...FAULTS], rows }],
    }
  }
}

/** Appended to a stream that is deleted and scavenged. */
const DELETED: ReadonlySet<string> = new Set(['first', 'second'])
/** What the killed store has acked. */
const BEFORE = ['before-several-0', 'before-several-1', 'before-several-2', 'before-large-0', 'before-next-chunk-0']

/** Every name that the store may give to a file in this script. */
const FILES: readonly string[] = ['lock', 'flushed', 'active', ...[0, 1, 2, 3, 4, 5].flatMap(namesOf)]

function namesOf(chunk: number): string[] {
  const number = String(chunk).padStart(6, '0')
  const last = [0, 1, 2, 3, 4, 5].filter(other => other >= chunk).map(other => String(other).padStart(6, '0'))
  const names = [`${number}.chunk`, ...[...last, 'partial'].map(end => `${number}-${end}.index`)]
  return names.flatMap(name => [name, `${name}.tmp`])
}

function placesOf(count: number, places: number): number[] {
  const all = Array.from(
    { length: Math.min(count, places) },
    (_, index) => 1 + Math.round((index * (count - 1)) / Math.max(1, Math.min(count, places) - 1)),
  )
  return [...new Set(all)]
}

/** What the first step was told that did not go well. */
function outcomeOf(lines: readonly string[]): string {
  const told = lines.filter(line => line.startsWith('err '))
  if (told.length === 0) return 'nobody noticed'
  const parts = told.map(line => {
    const [, step = '', code = '', outcome = ''] = line.split(' ')
    const isAppend = step.startsWith('append:') || step === 'delete'
    return isAppend ? `append ${outcome} (${code})` : `${step} (${code})`
  })
  return [...new Set(parts)].join(', ')
}
