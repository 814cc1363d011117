import type { Lookup, LookupWaiter } from '../writer/lookup.ts'

/** The looking up of one head. Mostly one append waits for it. */
export class HeadLookup implements Lookup, LookupWaiter {
  #first: LookupWaiter | null = null
  #others: LookupWaiter[] | null = null

  wait(waiter: LookupWaiter): void {
    if (this.#first === null) this.#first = waiter
    else if (this.#others === null) this.#others = [waiter]
    else this.#others.push(waiter)
  }

  lookedUp(): void {
    this.#first?.lookedUp()
    if (this.#others !== null) for (const waiter of this.#others) waiter.lookedUp()
  }

  lookupFailed(error: unknown): void {
    this.#first?.lookupFailed(error)
    if (this.#others !== null) for (const waiter of this.#others) waiter.lookupFailed(error)
  }
}
