import Denque from 'denque'
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
    const { parts } = append
    return parts === null ? append.head.line !== null : parts.some(({ head }) => head.line !== null)
  }

  /** @param ready null when only those in front hold it up. A failure settles the append. */
  enter(append: PendingAppend, ready: Lookup | null): void {
    const waiting = new Waiting(append, ready === null, this.#advance)
    const { parts } = append
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

  /** Lets go on who can, and then those behind them: a list of who comes next, for a line may be long. */
  readonly #advance = (first: Waiting): void => {
    const next = [first]
    for (let waiting = next.pop(); waiting !== undefined; waiting = next.pop()) {
      if (this.#canGoOn(waiting)) this.#letGoOn(waiting, next)
    }
    if (this.count === 0) for (const resolve of this.#drained.splice(0)) resolve()
  }

  #canGoOn(waiting: Waiting): boolean {
    if (!waiting.isReady) return false
    const { parts } = waiting.append
    return parts === null
      ? this.#front(waiting.append.head) === waiting
      : parts.every(({ head }) => this.#front(head) === waiting)
  }

  /** @param next gets who is in front now. */
  #letGoOn({ append }: Waiting, next: Waiting[]): void {
    const { parts } = append
    if (parts === null) this.#leave(append.head, next)
    else for (const { head } of parts) this.#leave(head, next)
    this.count--
    this.bytes -= append.size
    this.#goOn(append)
  }

  #front(head: StreamHead): Waiting | null | undefined {
    const line = lineOf(head)
    return line instanceof Denque ? line.peekFront() : line
  }

  /** The one in front leaves the line. @param next gets who is in front now. */
  #leave(head: StreamHead, next: Waiting[]): void {
    const line = lineOf(head)
    if (line instanceof Denque) line.shift()
    const front = line instanceof Denque ? line.peekFront() : undefined
    if (front === undefined) head.line = null
    else next.push(front)
  }
}

/** Mostly one waits alone. */
function lineOf({ line }: StreamHead): Waiting | Denque<Waiting> | null {
  return line as Waiting | Denque<Waiting> | null
}
