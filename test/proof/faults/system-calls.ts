import fs from 'node:fs'
import { join } from 'node:path'
import { NodeDisk } from '../../../src/disk/node-disk.ts'
import { EventStore } from '../../../src/store/event-store.ts'

/** Faults below the seam, which hides them: short writes and reads, calls that take nothing, slow ones; on real files. */
export const CALL_FAULTS = ['short', 'zero', 'delay'] as const
export type CallFault = (typeof CALL_FAULTS)[number]

const CALLS = ['write', 'read', 'fdatasync', 'fsync'] as const
type CallName = (typeof CALLS)[number]

export interface CallCell {
  readonly call: CallName
  readonly fault: CallFault
  readonly times: 'once' | 'forever'
}

export interface CallResult extends CallCell {
  readonly calls: number
  readonly outcomes: readonly string[]
  readonly failures: readonly string[]
}

/** A read that gives nothing is at the end of the file: no fault. */
const FAULTS_OF: Readonly<Record<CallName, readonly CallFault[]>> = {
  write: ['short', 'zero', 'delay'],
  read: ['short', 'delay'],
  fdatasync: ['delay'],
  fsync: ['delay'],
}

const MOST_CALLS = 12
const MOST_REPEATS = 500
const DELAY_MS = 15

export function callCells(): CallCell[] {
  return CALLS.flatMap(call =>
    FAULTS_OF[call].flatMap(fault => (['once', 'forever'] as const).map(times => ({ call, fault, times }))),
  )
}

type Callback = (error: Error | null, count?: number) => void
type AnyCall = (...args: unknown[]) => void

/**
 * Works with a store in a directory of its own while the n-th call of its kind, or all from there on, are disturbed; of reads,
 * while it is opened again and read.
 */
export async function runCallCell(cell: CallCell, directory: string): Promise<CallResult> {
  const outcomes = new Set<string>()
  const failures: string[] = []
  let calls = 0
  for (let nth = 1; nth <= MOST_CALLS; nth++) {
    const path = join(directory, `${cell.call}-${cell.fault}-${cell.times}-${nth}`)
    const name = `${cell.fault} ${cell.times} at call ${nth} of ${cell.call}`
    try {
      const outcome = await runOnce(cell, nth, path)
      if (outcome === null) break
      calls++
      outcomes.add(outcome)
    } catch (error) {
      calls++
      failures.push(`${name}: ${(error as Error).message}`)
    } finally {
      fs.rmSync(path, { recursive: true, force: true })
    }
  }
  return { ...cell, calls, outcomes: [...outcomes], failures }
}

async function runOnce(cell: CallCell, nth: number, path: string): Promise<string | null> {
  const acked: string[] = []
  const found: string[] = []
  const steps = [() => appendAll(path, acked), () => readAll(path, found)]
  let told = 'done'
  for (const [at, step] of steps.entries()) {
    if (at !== (cell.call === 'read' ? 1 : 0)) {
      await step()
      continue
    }
    const disturbance = disturb(cell, nth)
    try {
      await step()
    } catch (error) {
      told = (error as { code?: string }).code ?? String(error)
    } finally {
      disturbance.end()
    }
    if (disturbance.count === 0) return null
    if (disturbance.count > MOST_REPEATS) throw new Error(`F12: the call was repeated ${disturbance.count} times`)
    // A call that takes nothing, again and again, is an error; everything else is only slow.
    const isExpected = told === 'done' || (cell.fault === 'zero' && cell.times === 'forever')
    if (!isExpected) throw new Error(`it led to ${told}`)
  }
  if (!fs.existsSync(join(path, 'lock')))
    throw new Error('F15: the lock file is gone: the next two openers would not exclude each other')
  if (acked.some((type, at) => found[at] !== type))
    throw new Error(`I1: acked were ${acked.join(' ')}, there are ${found.join(' ')}`)
  return told
}

async function appendAll(path: string, acked: string[]): Promise<void> {
  const store = await EventStore.openOn(new NodeDisk(), path, { chunkSizeBytes: 16_384 })
  try {
    for (let turn = 0; turn < 6; turn++) {
      await store.append('orders', { type: `event-${turn}`, data: Buffer.alloc(4000, turn) })
      acked.push(`event-${turn}`)
    }
  } finally {
    await store.close()
  }
}

async function readAll(path: string, found: string[]): Promise<void> {
  const store = await EventStore.openOn(new NodeDisk(), path, { chunkSizeBytes: 16_384 })
  for await (const { type, bytes } of store.readAll()) {
    const turn = Number(type.slice(6))
    if (Buffer.compare(bytes, Buffer.alloc(4000, turn)) !== 0) throw new Error(`${type} has other bytes`)
    found.push(type)
  }
  await store.close()
}

/** Replaces a function of node:fs, which the disk calls by name. */
function disturb({ call, fault, times }: CallCell, nth: number): { readonly count: number; end(): void } {
  const real = fs[call] as AnyCall
  let seen = 0
  let count = 0
  const replacement: AnyCall = (...args) => {
    const isHit = ++seen === nth || (times === 'forever' && seen > nth)
    const done = args.at(-1) as Callback
    if (!isHit) return real(...args)
    count++
    if (count > 2 * MOST_REPEATS) return done(Object.assign(new Error('EIO: this never ends'), { code: 'EIO' }))
    if (fault === 'delay') return void setTimeout(() => real(...args), DELAY_MS)
    if (fault === 'zero') return void setImmediate(() => done(null, 0))
    const size = args[3] as number
    return real(...args.slice(0, 3), Math.max(1, size >> 1), ...args.slice(4))
  }
  Object.assign(fs, { [call]: replacement })
  return {
    get count() {
      return count
    },
    end: () => void Object.assign(fs, { [call]: real }),
  }
}
