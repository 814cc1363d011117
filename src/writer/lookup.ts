/**
 * Something that is being looked up for appends. Not a promise: appends wait by the thousand, and what promises are made of would be
 * most of the garbage.
 */
export interface Lookup {
  /** The waiter is told once, later. */
  wait(waiter: LookupWaiter): void
}

export interface LookupWaiter {
  lookedUp(): void
  lookupFailed(error: unknown): void
}

/** For one who can only wait for a promise. */
export function promiseOf(lookup: Lookup): Promise<void> {
  return new Promise((lookedUp, lookupFailed) => lookup.wait({ lookedUp, lookupFailed }))
}

/** Looked up when the promise resolves. */
export function lookupOf(promise: Promise<unknown>): Lookup {
  return {
    wait(waiter) {
      promise.then(
        () => waiter.lookedUp(),
        (error: unknown) => waiter.lookupFailed(error),
      )
    },
  }
}
