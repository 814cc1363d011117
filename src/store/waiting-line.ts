import Denque from 'denque'
import type { StreamHead } from '../writer/stream-head.ts'
import { headsOf, type PendingAppend } from './pending-appends.ts'

interface Waiting {
  readonly append: PendingAppend
  readonly heads: readonly StreamHead[]
  isReady: boolean
}

/**
 * Appends in front of the queue, while something is looked up for them. Each stream has a line of its own, so that appends to
 * it go on in the order of their calls; an append to several streams goes on when it is the first in each line.
 */
export class WaitingLine {
  /** Mostly one waits alone. */
  readonly #lines = new Map<StreamHead, Waiting | Denque<Waiting>>()
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
    return this.count > 0 && headsOf(append).some(head => this.#lines.has(head))
  }

  /** @param ready null when only those in front hold it up. A rejection settles the append. */
  enter(append: PendingAppend, ready: Promise<void> | null): void {
    const waiting: Waiting = { append, heads: headsOf(append), isReady: ready === null }
    for (const head of waiting.heads) {
      const line = this.#lines.get(head)
      if (line === undefined) this.#lines.set(head, waiting)
      else if (line instanceof Denque) line.push(waiting)
      else this.#lines.set(head, new Denque([line, waiting]))
    }
    this.count++
    this.bytes += append.size
    ready?.then(
      () => {
        waiting.isReady = true
        this.#advance(waiting)
      },
      (error: unknown) => {
        append.fail(error)
        waiting.isReady = true
        this.#advance(waiting)
      },
    )
  }

  /** Resolves when nobody waits. */
  drained(): Promise<void> {
    if (this.count === 0) return Promise.resolve()
    return new Promise(resolve => {
      this.#drained.push(resolve)
    })
  }

  /** Lets go on who can, and then those behind them: a list of who comes next, for a line may be long. */
  #advance(first: Waiting): void {
    const next = [first]
    for (let waiting = next.pop(); waiting !== undefined; waiting = next.pop()) {
      if (!waiting.isReady || !waiting.heads.every(head => this.#front(head) === waiting)) continue
      for (const head of waiting.heads) {
        const behind = this.#leave(head)
        if (behind !== undefined) next.push(behind)
      }
      this.count--
      this.bytes -= waiting.append.size
      this.#goOn(waiting.append)
    }
    if (this.count === 0) for (const resolve of this.#drained.splice(0)) resolve()
  }

  #front(head: StreamHead): Waiting | undefined {
    const line = this.#lines.get(head)
    return line instanceof Denque ? line.peekFront() : line
  }

  /** The one in front leaves the line. @returns who is in front now. */
  #leave(head: StreamHead): Waiting | undefined {
    const line = this.#lines.get(head)
    if (line instanceof Denque) {
      line.shift()
      if (line.length > 0) return line.peekFront()
    }
    this.#lines.delete(head)
    return undefined
  }
}
