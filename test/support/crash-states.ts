import { MemoryDisk } from '../../src/disk/memory-disk.ts'
import { CrashingDisk } from './crashing-disk.ts'
import type { DiskRemains } from './disk-remains.ts'
import type { Fate } from './file-changes.ts'
import { joinLanes, mix } from './hashed-image.ts'
import type { LogEntry, Mark, Recording } from './operation-log.ts'
import { type Change, fatesOf } from './pending-changes.ts'
import { Random } from './random.ts'

/** One thing that a crash could have left behind. */
export interface CrashState {
  /** A disk of its own: what a recovery does to it is seen by nobody else. Made when it is first asked for. */
  readonly disk: MemoryDisk
  readonly remains: DiskRemains
  /** Index of the log entry before which the crash happened; the log's length for a crash after the last one. */
  readonly point: number
  /** Number of the state within its point. `model.replay(point, ordinal)` gives this state again. */
  readonly ordinal: number
  /** 53 bits; equal for equal content of the whole disk. */
  readonly hash: number
  /** 53 bits; equal when every sector of the disk is of the same class: old, new, zeros or garbage. */
  readonly classHash: number
  /** The marks before the crash. */
  readonly marks: readonly Mark[]
  /** What became of each change that was not durable, for people. */
  describe(): string
}

export interface CrashOptions {
  readonly seed?: number | string
  /** Up to so many pending changes, or operations, every subset of them is tried. */
  readonly exhaustiveLimit?: number
  /** For every subset that is tried: how often with damaged sectors. */
  readonly damagedPerSubset?: number
  /** Beyond the limit: how many random choices. */
  readonly randomCount?: number
  /** Beyond it, at most so many prefixes, so many changes alone, and so many missing alone. */
  readonly sampleLimit?: number
  /** Only crashes behind so many marks. */
  readonly fromMark?: number
}

const DEFAULTS = { seed: 1, exhaustiveLimit: 6, damagedPerSubset: 2, randomCount: 48, sampleLimit: 24, fromMark: 0 } as const

/**
 * Every state that a crash can leave behind, for a crash before each entry of a log: so also in the middle of each operation,
 * since an operation's own entry comes when it is called.
 *
 * Of what was not durable at that moment, each sector of a write is lost, kept, zeros, garbage or torn; each growth of a file is
 * lost, kept or stops half-way; each truncation, and each change of a name, is lost or kept. With few of them all subsets are
 * tried, else none, all, prefixes, each alone, all but each, and random choices. The same seed gives the same states.
 *
 * A state is given once for each number of marks that came before it; `counts.distinct` counts each content once.
 */
export class CrashModel {
  readonly counts = { points: 0, generated: 0, given: 0, distinct: 0 }
  readonly #recording: Recording
  readonly #options: Required<CrashOptions>
  readonly #contents = new Set<number>()
  readonly #given = new Set<number>()

  constructor(recording: Recording, options: CrashOptions = {}) {
    this.#recording = recording
    this.#options = { ...DEFAULTS, ...options }
  }

  *states(): Generator<CrashState> {
    for (const { point, crashing, marks } of this.#points()) {
      this.counts.points++
      for (const { ordinal, changes } of this.#choices(point, crashing)) {
        this.counts.generated++
        const remains = crashing.afterCrash(this.#damageSeed)
        const hash = hashOf(remains, 0)
        this.#contents.add(hash)
        this.counts.distinct = this.#contents.size
        const key = marks.length === 0 ? hash : hashOf(remains, marks.length)
        if (this.#given.has(key)) continue
        this.#given.add(key)
        this.counts.given++
        yield this.#state({ point, ordinal, changes, remains, marks, hash })
      }
    }
  }

  /** The state that `states()` gave, or left out as a repetition, under these two numbers. */
  replay(point: number, ordinal: number): CrashState {
    for (const at of this.#points()) {
      if (at.point !== point) continue
      for (const { ordinal: reached, changes } of this.#choices(point, at.crashing)) {
        if (reached !== ordinal) continue
        const remains = at.crashing.afterCrash(this.#damageSeed)
        return this.#state({ point, ordinal, changes, remains, marks: at.marks, hash: hashOf(remains, 0) })
      }
    }
    throw new RangeError(`no crash state ${ordinal} at point ${point}`)
  }

  get #damageSeed(): string {
    return `${this.#options.seed}/damage`
  }

  /** The crash points. Between two of them nothing happens that a crash could show. */
  *#points(): Generator<{ point: number; crashing: CrashingDisk; marks: readonly Mark[] }> {
    const { log } = this.#recording
    const crashing = new CrashingDisk(this.#recording)
    const marks: Mark[] = []
    let changed = true
    for (let point = 0; point <= log.length; point++) {
      const entry = log[point]
      if (changed && entry?.kind !== 'mark' && marks.length >= this.#options.fromMark) {
        yield { point, crashing, marks: marks.slice() }
        changed = false
      }
      if (entry === undefined) return
      if (entry.kind === 'mark') marks.push(entry)
      if (crashing.advance(point)) changed = true
    }
  }

  *#choices(point: number, crashing: CrashingDisk): Generator<{ ordinal: number; changes: readonly Change[] }> {
    const changes = crashing.changes()
    // From the point alone, so that a point can be replayed without those before it.
    const random = new Random(`${this.#options.seed}/${point}`)
    let ordinal = 0
    for (const fates of choicesOf(changes, this.#options, random)) {
      for (const [index, change] of changes.entries()) change.fate = fates(index)
      yield { ordinal: ordinal++, changes }
    }
  }

  #state({ point, ordinal, changes, remains, marks, hash }: MadeState): CrashState {
    const { log } = this.#recording
    // They are overwritten by the next state.
    const fates = changes.map(change => change.fate)
    let disk: MemoryDisk | null = null
    return {
      get disk() {
        disk ??= new MemoryDisk(remains.content)
        return disk
      },
      remains,
      point,
      ordinal,
      hash,
      classHash: remains.classHash,
      marks,
      describe: () =>
        [
          `crash before ${nameOf(log, point)}:`,
          ...changes.map((change, index) => `  ${describeChange(log, change)}: ${fates[index]}`),
        ].join('\n'),
    }
  }
}

/** The disk after a power cut at the end of the recording: 'none' of what was not durable is there, 'all' of it, or some. */
export function powerCut(recording: Recording, kept: 'none' | 'all' | Random = 'none'): MemoryDisk {
  const crashing = atTheEnd(recording)
  for (const change of crashing.changes()) {
    if (kept instanceof Random) change.fate = kept.pick(['lost', 'kept', kept.pick(fatesOf(change))])
    else change.fate = kept === 'all' ? 'kept' : 'lost'
  }
  return new MemoryDisk(crashing.afterCrash(kept instanceof Random ? kept.seed : '').content)
}

const ends = new WeakMap<Recording, { readonly crashing: CrashingDisk; done: number }>()

/** The recording up to its end, which later calls go on from. */
function atTheEnd(recording: Recording): CrashingDisk {
  const end = ends.get(recording) ?? { crashing: new CrashingDisk(recording), done: 0 }
  ends.set(recording, end)
  for (; end.done < recording.log.length; end.done++) end.crashing.advance(end.done)
  return end.crashing
}

interface MadeState {
  readonly point: number
  readonly ordinal: number
  readonly changes: readonly Change[]
  readonly remains: DiskRemains
  readonly marks: readonly Mark[]
  readonly hash: number
}

type Fates = (index: number) => Fate

function* choicesOf(changes: readonly Change[], options: Required<CrashOptions>, random: Random): Generator<Fates> {
  const count = changes.length
  const damage = (index: number): Fate => random.pick(fatesOf(changes[index] as Change))
  if (count <= options.exhaustiveLimit) {
    for (let mask = 0; mask < 2 ** count; mask++) {
      yield index => (mask & (1 << index) ? 'kept' : 'lost')
      for (let turn = 0; mask !== 0 && turn < options.damagedPerSubset; turn++) {
        yield index => (mask & (1 << index) ? damage(index) : 'lost')
      }
    }
  } else {
    yield () => 'lost'
    yield () => 'kept'
    const operations = [...new Set(changes.map(change => change.operation))]
    const places = changes.map(change => operations.indexOf(change.operation))
    for (let mask = 1; operations.length <= options.exhaustiveLimit && mask < 2 ** operations.length; mask++) {
      yield index => (mask & (1 << (places[index] as number)) ? 'kept' : 'lost')
    }
    for (const at of sample(count, options.sampleLimit, random)) {
      yield index => (index < at ? 'kept' : 'lost')
      yield index => (index === at ? 'kept' : 'lost')
      yield index => (index === at ? 'lost' : 'kept')
    }
    for (let turn = 0; turn < options.randomCount; turn++) {
      const keep = random.pick([0.1, 0.5, 0.9])
      const harm = random.pick([0, 0.1, 0.5])
      yield index => (random.chance(keep) ? (random.chance(harm) ? damage(index) : 'kept') : 'lost')
    }
  }
  // Each change damaged, alone, and at the end of what is kept.
  for (const at of sample(count, options.sampleLimit, random)) {
    for (const fate of fatesOf(changes[at] as Change).slice(1)) {
      yield index => (index === at ? fate : 'kept')
      yield index => (index === at ? fate : index < at ? 'kept' : 'lost')
    }
  }
}

/** All of 0 .. count - 1, or the first third of the limit, the last third, and some between. */
function sample(count: number, limit: number, random: Random): number[] {
  const all = Array.from({ length: count }, (_, index) => index)
  if (count <= limit) return all
  const third = Math.floor(limit / 3)
  const between = random.shuffle(all.slice(third, count - third)).slice(0, limit - 2 * third)
  return [...all.slice(0, third), ...between, ...all.slice(count - third)]
}

function hashOf({ laneA, laneB }: DiskRemains, marks: number): number {
  return joinLanes(mix(laneA, marks), mix(laneB, ~marks))
}

function nameOf(log: readonly LogEntry[], index: number): string {
  const entry = log[index]
  if (entry === undefined) return 'nothing more'
  return entry.kind === 'done' ? `the return of #${entry.begun} ${log[entry.begun]?.kind}` : `#${index} ${entry.kind}`
}

function describeChange(log: readonly LogEntry[], change: Change): string {
  const operation = `#${change.operation} ${log[change.operation]?.kind}`
  switch (change.kind) {
    case 'name':
      return `${operation} ${[change.dropped, change.put?.path].filter(path => path != null).join(' -> ')}`
    case 'piece':
      return `${operation} ${change.path} ${change.start}..${change.start + change.bytes.length}`
    case 'growth':
      return `${operation} ${change.path} size ${change.from} -> ${change.size}`
    case 'truncation':
      return `${operation} ${change.path} size -> ${change.size}`
  }
}
