import { endOf, type Fate, type FileChange, type PendingChange, type Piece } from './file-changes.ts'
import { FileOutcomes } from './file-outcomes.ts'
import type { FileRemains } from './file-remains.ts'
import { HashedImage } from './hashed-image.ts'

/** A name that appears, disappears, or both at once (a rename). */
export interface NameChange extends PendingChange {
  readonly kind: 'name'
  readonly directory: string
  readonly dropped: string | null
  readonly put: { readonly path: string; readonly node: CrashingFile | 'directory' } | null
}

export type Change = FileChange | NameChange

const FATES: Record<Change['kind'], readonly Fate[]> = {
  piece: ['kept', 'zeros', 'garbage', 'torn'],
  growth: ['kept', 'torn'],
  truncation: ['kept'],
  name: ['kept'],
}

/** What can become of a change that is not wholly lost; the first is 'kept'. */
export function fatesOf(change: Change): readonly Fate[] {
  return FATES[change.kind]
}

/**
 * One file as a crash would find it: what is durable, and the changes that are not, in the order in which they reached the
 * file. After a crash each change is there or not, alone; bytes that are not covered by a lost or damaged change are intact
 * ("powersafe overwrite"), and so are bytes that a write replaced by the same bytes.
 */
export class CrashingFile {
  /** Never changed in place: crash states share its bytes. */
  #durable: HashedImage
  #changes: FileChange[] = []
  /** Of the durable bytes and changes as they are. */
  #outcomes: FileOutcomes | null = null
  readonly path: string
  readonly inode: number
  readonly #sectorSize: number

  constructor(path: string, inode: number, bytes: Uint8Array, sectorSize: number) {
    this.path = path
    this.inode = inode
    this.#durable = HashedImage.of(bytes)
    this.#sectorSize = sectorSize
  }

  /** In the order in which they reached the file. */
  get changes(): readonly FileChange[] {
    return this.#changes
  }

  write(operation: number, bytes: Uint8Array, offset: number): void {
    const { path } = this
    const end = offset + bytes.length
    const from = this.#liveSize()
    this.#outcomes = null
    if (end > from)
      this.#changes.push({ kind: 'growth', path, operation, from, size: end, settled: false, forgotten: false, fate: 'lost' })
    for (let start = offset; start < end; ) {
      const next = Math.min(end, start - (start % this.#sectorSize) + this.#sectorSize)
      const part = bytes.subarray(start - offset, next - offset)
      // Spelled out: a large write has hundreds of them.
      this.#changes.push({ kind: 'piece', path, operation, start, bytes: part, settled: false, forgotten: false, fate: 'lost' })
      start = next
    }
  }

  truncate(operation: number, size: number): void {
    this.#outcomes = null
    this.#changes.push({ kind: 'truncation', path: this.path, operation, size, settled: false, forgotten: false, fate: 'lost' })
  }

  /** The operation has returned. Changes reach the file in the order in which they settle. */
  settle(operation: number): void {
    const settled = this.#changes.filter(change => change.operation === operation)
    for (const change of settled) change.settled = true
    this.#outcomes = null
    this.#changes = [...this.#changes.filter(change => change.operation !== operation), ...settled]
  }

  /** The operation failed without a trace. */
  drop(operation: number): void {
    this.#outcomes = null
    this.#changes = this.#changes.filter(change => change.operation !== operation)
  }

  /** The operations that a datasync covers when it is called now. */
  settledOperations(): Set<number> {
    return new Set(this.#changes.filter(change => change.settled).map(change => change.operation))
  }

  /** A datasync returned, or a writeDurably: what these operations did, and was not forgotten, is durable from now on. */
  prove(operations: ReadonlySet<number>): void {
    this.#prove(change => operations.has(change.operation))
  }

  /** A writeDurably returned. If the file was cut before, the new size is proven with it: the size of a file is one field. */
  proveOwn(operation: number): void {
    const cuts = this.#changes.filter(change => change.kind === 'truncation' && change.settled)
    const sizes = this.#changes.slice(0, this.#changes.lastIndexOf(cuts[cuts.length - 1] as FileChange) + 1)
    this.#prove(change => change.operation === operation || (change.kind !== 'piece' && change.settled && sizes.includes(change)))
  }

  /** A sync over these operations failed. Truncations stay pending: they go through the file system's journal, not the page cache. */
  forget(operations: ReadonlySet<number>): void {
    for (const change of this.#changes) {
      if (operations.has(change.operation) && change.kind !== 'truncation') change.forgotten = true
    }
  }

  #prove(isProven: (change: FileChange) => boolean): void {
    const image = this.#durable.copy(this.#reach())
    let rest: FileChange[] = []
    for (const change of this.#changes) {
      if (change.forgotten || !isProven(change)) {
        rest.push(change)
        continue
      }
      // What came before and is not proven must not undo this: it survives only where this says nothing.
      if (change.kind === 'piece') {
        image.put(change.bytes, change.start)
        image.size = Math.max(image.size, endOf(change))
        rest = rest.flatMap(earlier => without(earlier, change.start, endOf(change)))
      } else if (change.kind === 'truncation') {
        image.zeroFrom(change.size)
        image.size = change.size
        rest = rest.flatMap(earlier => (earlier.kind === 'growth' ? [] : without(earlier, change.size, Number.MAX_SAFE_INTEGER)))
      } else {
        image.size = Math.max(image.size, change.size)
        rest = rest.filter(earlier => earlier.kind !== 'growth' || earlier.size > change.size)
      }
    }
    this.#outcomes = null
    this.#durable = image.seal()
    this.#changes = rest
  }

  /** The file after a crash in which each change met its fate. `seed` decides what damage looks like. */
  afterCrash(seed: string): FileRemains {
    if (this.#outcomes === null || this.#outcomes.seed !== seed) {
      this.#outcomes = new FileOutcomes(this.#durable, this.#changes, this.#sectorSize, seed)
    }
    return this.#outcomes.remains()
  }

  /** Where the file ends if all changes are kept, or later. */
  #reach(): number {
    let reach = this.#durable.size
    for (const change of this.#changes) reach = Math.max(reach, endOf(change))
    return reach
  }

  #liveSize(): number {
    let size = this.#durable.size
    for (const change of this.#changes) {
      if (change.kind === 'growth') size = Math.max(size, change.size)
      else if (change.kind === 'truncation') size = change.size
    }
    return size
  }
}

/** What remains of an earlier change when [from, to) is settled otherwise. */
function without(change: FileChange, from: number, to: number): FileChange[] {
  if (change.kind !== 'piece' || change.start >= to || endOf(change) <= from) return [change]
  const rest: Piece[] = []
  const { start, bytes } = change
  if (start < from) rest.push({ ...change, bytes: bytes.subarray(0, from - start) })
  if (endOf(change) > to) rest.push({ ...change, start: to, bytes: bytes.subarray(to - start) })
  return rest
}
