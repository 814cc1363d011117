import { EventStore } from '../../src/store/event-store.ts'
import type { LoadBook } from './load-book.ts'
import type { LoadPlan } from './load-plan.ts'

/**
 * Opens what a load left behind, compares it with the book, closes it; and now and then looks whether a second open finds nothing
 * more to do. @returns broken promises.
 */
export async function checkStore(plan: LoadPlan, book: LoadBook, isThorough: boolean): Promise<string[]> {
  const options = { chunkSizeBytes: plan.chunkSizeBytes }
  try {
    const store = await EventStore.open(plan.directory, options)
    try {
      await book.check(store)
    } finally {
      await store.close()
    }
    if (isThorough) {
      const again = await EventStore.open(plan.directory, options)
      const { clean } = again.recovery
      await book.check(again)
      await again.close()
      if (!clean) return [...book.takeFailures(), 'I9: a closed store was not clean when it was opened again']
    }
  } catch (error) {
    return [...book.takeFailures(), `it cannot be opened or read: ${String(error)}`]
  }
  return book.takeFailures()
}
