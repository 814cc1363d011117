import type { Disk, DiskFile } from '../../src/disk/disk.ts'

/** The kinds of call that can fail, or be held: the methods of the seam. Locks are released without faults. */
export type DiskOperation = keyof Disk | Exclude<keyof DiskFile, 'path'>

export interface Fault {
  /** Without it, any operation. */
  readonly op?: DiskOperation
  /** Only calls with this in their path; for a rename, in one of its two. */
  readonly path?: string
  /** Counted from now on, from 1. */
  readonly nth?: number
  /** The errno name: 'EIO', 'ENOSPC', ... */
  readonly error: string
  /** 'forever': that call and all that match after it. */
  readonly times?: 'once' | 'forever'
  /**
   * How much of a failing write gets into the file all the same. Without it: nothing of a `write`, or when the disk is full; all
   * of a `writeDurably` that fails otherwise, which means that its sync failed.
   */
  readonly partialBytes?: number
}

/** Matches calls, and counts them. */
class Trigger {
  /** How many calls it fired on. */
  fired = 0
  #seen = 0
  readonly #op: DiskOperation | undefined
  readonly #path: string
  readonly #nth: number
  readonly #forever: boolean

  constructor({ op, path = '', nth = 1, times = 'once' }: Omit<Fault, 'error'>) {
    this.#op = op
    this.#path = path
    this.#nth = nth
    this.#forever = times === 'forever'
  }

  isFiredBy(op: DiskOperation, paths: readonly string[]): boolean {
    if (this.#op !== undefined && this.#op !== op) return false
    if (!paths.some(path => path.includes(this.#path))) return false
    this.#seen++
    const fires = this.#forever ? this.#seen >= this.#nth : this.#seen === this.#nth
    if (fires) this.fired++
    return fires
  }
}

/** A fault that waits for its call. */
export interface PlannedFault {
  /** How many calls it has made fail. */
  readonly fired: number
  /** From now on it makes no call fail. */
  clear(): void
}

/** A call that is held in flight: begun, not yet returned, and nobody can see its effect. */
export class HeldCall {
  /** Resolves when the call has come. */
  readonly reached: Promise<void>
  isReached = false
  readonly #outcome: Promise<string | null>
  #reach: () => void = () => {}
  #settle: (errno: string | null) => void = () => {}

  constructor() {
    this.reached = new Promise(resolve => {
      this.#reach = resolve
    })
    this.#outcome = new Promise(resolve => {
      this.#settle = resolve
    })
  }

  /** Lets the call go on; also before it has come. */
  release(): void {
    this.#settle(null)
  }

  fail(errno: string): void {
    this.#settle(errno)
  }

  /** For the disk: waits here. Resolves with the error to fail with, or null. */
  arrive(): Promise<string | null> {
    this.isReached = true
    this.#reach()
    return this.#outcome
  }
}

/** What awaits the calls of one disk. */
export class FaultPlan {
  readonly #faults = new Map<Trigger, Fault>()
  readonly #holds = new Map<Trigger, HeldCall>()

  failNext(fault: Fault): PlannedFault {
    const trigger = new Trigger(fault)
    this.#faults.set(trigger, fault)
    return {
      get fired() {
        return trigger.fired
      },
      clear: () => this.#faults.delete(trigger),
    }
  }

  hold(op: DiskOperation, which: { readonly path?: string; readonly nth?: number }): HeldCall {
    const call = new HeldCall()
    this.#holds.set(new Trigger({ op, ...which }), call)
    return call
  }

  /** What happens to this call. Every plan counts it, the oldest that fires wins. */
  meet(op: DiskOperation, paths: readonly string[]): { fault: Fault | null; held: HeldCall | null } {
    const firing = <T>(plans: Map<Trigger, T>) =>
      [...plans].filter(([trigger]) => trigger.isFiredBy(op, paths)).map(([, plan]) => plan)
    return { fault: firing(this.#faults)[0] ?? null, held: firing(this.#holds)[0] ?? null }
  }
}
