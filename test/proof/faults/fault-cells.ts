import { TailraceError } from '../../../src/core/errors.ts'
import { MemoryDisk } from '../../../src/disk/memory-disk.ts'
import { EventStore } from '../../../src/store/event-store.ts'
import { powerCut } from '../../support/crash-states.ts'
import { impatient } from '../../support/impatience.ts'
import { stillClock } from '../../support/manual-clock.ts'
import { Random } from '../../support/random.ts'
import type { CallSite, Cell } from './call-site.ts'
import { allowedOutcomes } from './fault-outcomes.ts'
import { append, DIRECTORY, open, PHASES, type Phase, type Scene } from './fault-phases.ts'

const FILE_OPERATIONS = [
  'open',
  'read',
  'readOnce',
  'size',
  'write',
  'writeDurably',
  'rewriteDurably',
  'datasync',
  'truncate',
  'rename',
  'remove',
  'close',
] as const
const DIRECTORY_OPERATIONS = ['list', 'makeDirectory', 'syncDirectory', 'lock'] as const
const FILES = ['.chunk', '.index', 'flushed'] as const
const MOST_CALLS = 60

export interface CellResult extends Cell {
  /** How many calls of this site were failed, one after the other; 0 when the step makes no such call. */
  readonly calls: number
  /** What came of it, without repetitions. */
  readonly outcomes: readonly string[]
  readonly failures: readonly string[]
}

export function allSites(): CallSite[] {
  return PHASES.flatMap(({ name: phase }) => [
    ...FILE_OPERATIONS.flatMap(op => FILES.map(file => ({ phase, op, file }))),
    ...DIRECTORY_OPERATIONS.map(op => ({ phase, op, file: '' })),
  ])
}

/**
 * Fails each call of the site in turn, and looks at what comes of it.
 * @param first the first call that fails, and `step` to the next one; of all of them without these.
 */
export async function runCell(cell: Cell, first = 1, step = 1): Promise<CellResult> {
  const phase = PHASES.find(({ name }) => name === cell.phase)!
  const outcomes = new Set<string>()
  const failures: string[] = []
  let calls = 0
  for (let nth = first; nth <= MOST_CALLS; nth += step) {
    try {
      const outcome = await runOnce(phase, cell, nth)
      if (outcome === null) break
      calls++
      outcomes.add(outcome)
      const allowed = allowedOutcomes(cell)
      if (!allowed.includes(outcome)) failures.push(`${nameOf(cell, nth)}: '${outcome}' is none of ${allowed.join(', ')}`)
    } catch (error) {
      calls++
      failures.push(
        `${nameOf(cell, nth)}: ${String((error as Error).message)
          .split('\n')
          .slice(0, 2)
          .join(' ')}`,
      )
    }
    if (failures.length >= 3) break
  }
  return { ...cell, calls, outcomes: [...outcomes], failures }
}

function nameOf({ phase, op, file, error, times }: Cell, nth: number): string {
  return `${phase}: ${error} ${times} at call ${nth} of ${op}${file === '' ? '' : ` on ${file}`}`
}

/** @returns null when there is no such call. */
async function runOnce(phase: Phase, { op, file, error, times }: Cell, nth: number): Promise<string | null> {
  const scene = await phase.begin()
  const fault = scene.disk.failNext({ op, path: file, nth, error, times })
  let told = await within(10_000, outcomeOf(phase.act(scene)))
  if (fault.fired === 0) {
    await scene.store?.close().catch(() => {})
    return null
  }
  fault.clear()
  if (scene.store === null) {
    if (scene.disk.openPaths.length > 0) throw new Error(`I12: left open: ${scene.disk.openPaths.join(' ')}`)
    // The disk is well again.
    scene.store = await open(scene)
    told += ', then opens'
  } else if (phase.isEnd !== true) {
    const next = await within(10_000, outcomeOf(append(scene, 'next')))
    told += next === 'done' ? ', goes on' : `, then ${next}`
    await readableTypes(scene.store)
  }
  await scene.store.close().catch(() => {})
  if (scene.disk.openPaths.length > 0) throw new Error(`I12: left open: ${scene.disk.openPaths.join(' ')}`)
  await checkRemains(scene, `${op}/${error}/${nth}`)
  return told
}

async function outcomeOf(step: Promise<void>): Promise<string> {
  try {
    await step
    return 'done'
  } catch (error) {
    if (error instanceof TailraceError) return `${error.code} ${error.outcome}`
    const { code, message } = error as { code?: string; message: string }
    if (code === undefined) throw new Error(`an error of no kind: ${message}`)
    return `the system's ${code}`
  }
}

async function readableTypes(store: EventStore): Promise<string[]> {
  const types: string[] = []
  for await (const batch of store.readAll().batches()) for (const { type } of batch) types.push(type)
  return types
}

/** What the next process finds, and what is left of three power cuts: all that was acknowledged, nothing that was refused. */
async function checkRemains({ disk, options, acked, refused, dropped }: Scene, seed: string): Promise<void> {
  for (const kept of ['process', 'none', 'all', new Random(seed)] as const) {
    const remains = kept === 'process' ? new MemoryDisk(disk.snapshot()) : powerCut(disk, kept)
    const store = await EventStore.openOn(impatient(remains), DIRECTORY, { ...options, clock: stillClock })
    const types = await readableTypes(store)
    for (const type of acked) if (!types.includes(type)) throw new Error(`I1: '${type}' was acknowledged and is lost`)
    for (const type of refused) if (types.includes(type)) throw new Error(`I4: '${type}' was refused and is there`)
    const order = types.filter(type => acked.includes(type) && !dropped.includes(type))
    if (order.join() !== acked.join()) throw new Error(`I3: out of order: ${order.join()} for ${acked.join()}`)
    await store.close()
  }
}

async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`I11: no end within ${ms / 1000} s`)), ms)
  })
  return Promise.race([work, late]).finally(() => clearTimeout(timer))
}
