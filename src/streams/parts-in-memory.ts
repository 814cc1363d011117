import type { ActiveIndex } from './active-index.ts'
import type { IndexPart } from './index-part.ts'
import type { PartKeeper } from './stream-index.ts'

/** Keeps every part as it is: for a store that may not write, and therefore has no files of its own. */
export class PartsInMemory implements PartKeeper {
  parts: readonly IndexPart[] = []

  async keep(part: ActiveIndex): Promise<void> {
    this.parts = [...this.parts, part]
  }
}
