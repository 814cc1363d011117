import Denque from 'denque'
import type { AppendPart } from '../writer/append-terms.ts'
import type { Lookup, LookupWaiter } from '../writer/lookup.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import type { PendingAppend } from './pending-appends.ts'

/** An append in the line. */
class Waiting implements LookupWaiter {
  readonly append: PendingAppend
  isReady: boolean
  readonly #onReady: (waiting: Waiting) => void

  constructor(append: PendingAppend, isReady: boolean, onReady: (waiting: Waiting) => void) {
    this.append = append
    this.isReady = isReady
    this.#onReady = onReady
  }

  lookedUp(): void {
    this.isReady = true
    this.#onReady(this)
  }

  lookupFailed(error: unknown): void {
    this.append.fail(error)
    this.lookedUp()
  }
}

/**
 * Appends in front of the queue, while something is looked up for them. Each stream has a line of its own, so that appends to
 * it go on in the order of their calls; an append to several streams goes on when it is the first in each line.
 */
export class WaitingLine {
  readonly #goOn: (append: PendingAppend) => void
  readonly #drained: (() => void)[] = []
  count = 0
  /** Of log, for all of them. */
  bytes = 0

  /** @param goOn called for each append that leaves, in order. */
  constructor(goOn: (append: PendingAppend) => void) {
    this.#goOn = goOn
  }

  /** Whether somebody waits in front of this append. */
  isBehind(append: PendingAppend): boolean {
    if (this.count === 0) return false
    const parts = partsOf(append)
    return parts === null ? append.head.line !== null : parts.some(({ head }) => head.line !== null)
  }

  /** @param ready null when only those in front hold it up. A failure settles the append. */
  enter(append: PendingAppend, ready: Lookup | null): void {
    const waiting = new Waiting(append, ready === null, this.#advance)
    const parts = partsOf(append)
    if (parts === null) this.#stand(append.head, waiting)
    else for (const { head } of parts) this.#stand(head, waiting)
    this.count++
    this.bytes += append.size
    ready?.wait(waiting)
  }

  /** Resolves when nobody waits. */
  drained(): Promise<void> {
    if (this.count === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#drained.push(resolve)
    })
  }

  #stand(head: StreamHead, waiting: Waiting): void {
    const line = lineOf(head)
    if (line === null) head.line = waiting
    else if (line instanceof Denque) line.push(waiting)
    else head.line = new Denque([line, waiting])
  }

  /** Lets go on who can, and then those behind them: one after the other, for a line may be long. */
  readonly #advance = (first: Waiting): void => {
    const others: Waiting[] = []
    for (let waiting: Waiting | undefined = first; waiting !== undefined; waiting = others.pop()) {
      while (waiting !== undefined && this.#canGoOn(waiting)) waiting = this.#letGoOn(waiting, others)
    }
    if (this.count === 0) for (const resolve of this.#drained.splice(0)) resolve()
  }

  #canGoOn(waiting: Waiting): boolean {
    if (!waiting.isReady) return false
    const parts = partsOf(waiting.append)
    return parts === null
      ? this.#front(waiting.append.head) === waiting
      : parts.every(({ head }) => this.#front(head) === waiting)
  }

  /** @returns who is in front now. Of several streams, it goes into `others`. */
  #letGoOn(waiting: Waiting, others: Waiting[]): Waiting | undefined {
    const { append } = waiting
    const parts = partsOf(append)
    let behind: Waiting | undefined
    if (parts === null) behind = this.#leave(append.head)
    else {
      for (const { head } of parts) {
        const next = this.#leave(head)
        if (next !== undefined) others.push(next)
      }
    }
    this.count--
    this.bytes -= append.size
    this.#goOn(append)
    return behind
  }

  #front(head: StreamHead): Waiting | null | undefined {
    const line = lineOf(head)
    return line instanceof Denque ? line.peekFront() : line
  }

  /** The one in front leaves the line. @returns who is in front now. */
  #leave(head: StreamHead): Waiting | undefined {
    const line = lineOf(head)
    if (line instanceof Denque) {
      line.shift()
      if (line.length > 0) return line.peekFront()
    }
    head.line = null
    return undefined
  }
}

/** Mostly one waits alone. */
function lineOf({ line }: StreamHead): Waiting | Denque<Waiting> | null {
  return line as Waiting | Denque<Waiting> | null
}

/** Null: it goes to one stream, that of its head. */
function partsOf({ terms }: PendingAppend): readonly AppendPart[] | null {
  return terms !== null && terms.parts.length > 0 ? terms.parts : null
}
