import { parentOf } from '../../src/disk/memory-disk.ts'
import { DiskRemains, type Layout } from './disk-remains.ts'
import { mix } from './hashed-image.ts'
import { filesOf, type LogEntry, type Recording } from './operation-log.ts'
import { type Change, CrashingFile, type NameChange } from './pending-changes.ts'

type NameOperation = Extract<LogEntry, { kind: 'create' | 'rename' | 'remove' | 'makeDirectory' }>
type Node = CrashingFile | 'directory'

/**
 * A disk as a crash would find it, moved on entry by entry through an operation log: what is durable, and which changes are not.
 * Give each change of `changes()` a fate, then `afterCrash()` is what the next open finds.
 */
export class CrashingDisk {
  readonly #files: CrashingFile[]
  /** The durable names. */
  readonly #names = new Map<string, Node>()
  /** The names as readers see them. */
  readonly #live: Map<string, Node>
  #nameChanges: NameChange[] = []
  readonly #sectorSize: number
  /** For each sync in flight, the operations that had settled when it was called. */
  readonly #covered = new Map<number, ReadonlySet<number>>()
  readonly #log: readonly LogEntry[]
  /** By the fates of the changes of names as they are. */
  readonly #layouts = new Map<string, Layout<CrashingFile>>()

  constructor(recording: Recording) {
    this.#log = recording.log
    this.#sectorSize = recording.sectorSize
    for (const path of recording.initial.keys()) {
      for (let parent = parentOf(path); parent !== parentOf(parent); parent = parentOf(parent))
        this.#names.set(parent, 'directory')
    }
    this.#files = filesOf(recording.initial).map(([path, bytes], inode) => new CrashingFile(path, inode, bytes, this.#sectorSize))
    for (const file of this.#files) this.#names.set(file.path, file)
    this.#live = new Map(this.#names)
  }

  /** Goes on by one entry. Returns whether a crash after it can leave something, or break a promise, that one before it can't. */
  advance(index: number): boolean {
    const entry = this.#log[index] as LogEntry
    this.#layouts.clear()
    switch (entry.kind) {
      case 'mark':
        return true
      case 'done':
        return entry.ok ? this.#succeed(entry.begun) : this.#fail(entry.begun)
      case 'create':
        this.#files[entry.inode] = new CrashingFile(entry.path, entry.inode, new Uint8Array(0), this.#sectorSize)
        return this.#name(index, entry)
      case 'rename':
      case 'remove':
      case 'makeDirectory':
        return this.#name(index, entry)
      case 'write':
      case 'writeDurably':
        this.#file(entry.inode).write(index, entry.bytes, entry.offset)
        return true
      case 'truncate':
        this.#file(entry.inode).truncate(index, entry.size)
        return true
      case 'datasync':
        this.#covered.set(index, this.#file(entry.inode).settledOperations())
        return false
      case 'syncDirectory': {
        const settled = this.#nameChanges.filter(change => change.settled && change.directory === entry.directory)
        this.#covered.set(index, new Set(settled.map(change => change.operation)))
        return false
      }
    }
  }

  /** What is not durable, in the order of the operations. Only of files that some crash can leave a name for. */
  changes(): Change[] {
    const reachable = new Set<Node>(this.#names.values())
    for (const change of this.#nameChanges) if (change.put !== null) reachable.add(change.put.node)
    const files = this.#files.filter(file => reachable.has(file))
    return [...this.#nameChanges, ...files.flatMap(file => file.changes)].sort((one, other) => one.operation - other.operation)
  }

  /** The disk after a crash in which each change met its fate. `seed` decides what damage looks like. */
  afterCrash(seed: string): DiskRemains {
    let kept = ''
    for (const { fate } of this.#nameChanges) kept += fate === 'kept' ? '1' : '0'
    let layout = this.#layouts.get(kept)
    if (layout === undefined) {
      layout = this.#layout()
      this.#layouts.set(kept, layout)
    }
    return DiskRemains.of(layout, file => file.afterCrash(seed))
  }

  /** Which names there are. */
  #layout(): Layout<CrashingFile> {
    const names = new Map(this.#names)
    for (const change of this.#nameChanges) if (change.fate === 'kept') apply(change, names)
    const found = new Map<string, CrashingFile | null>()
    let [laneA, laneB] = [0, 0]
    // Shorter paths first: what is in a directory that was lost is lost with it.
    for (const [path, node] of [...names].sort(([one], [other]) => one.length - other.length)) {
      const parent = parentOf(path)
      if (parent !== parentOf(parent) && names.get(parent) !== 'directory') {
        names.delete(path)
        continue
      }
      found.delete(`${parent}/`)
      found.set(node === 'directory' ? `${path}/` : path, node === 'directory' ? null : node)
      if (node !== 'directory') continue
      laneA = (laneA + mix(1, hashOf(path))) | 0
      laneB = (laneB + mix(2, ~hashOf(path))) | 0
    }
    const places = [...found].map(([path, file]) => ({ path, hash: hashOf(path), file }))
    return { places, laneA, laneB }
  }

  #file(inode: number): CrashingFile {
    const file = this.#files[inode]
    if (file === undefined) throw new Error(`the log names inode ${inode} before it creates it`)
    return file
  }

  /** Adds what the operation does to the names as they are now. */
  #name(operation: number, entry: NameOperation): boolean {
    const changes: Pick<NameChange, 'dropped' | 'put'>[] = []
    if (entry.kind === 'create') {
      if (!this.#live.has(entry.path)) changes.push({ dropped: null, put: { path: entry.path, node: this.#file(entry.inode) } })
    } else if (entry.kind === 'rename') {
      if (parentOf(entry.from) !== parentOf(entry.to)) throw new Error(`no model of a rename across directories: ${entry.from}`)
      const node = this.#live.get(entry.from)
      if (node !== undefined && entry.from !== entry.to) changes.push({ dropped: entry.from, put: { path: entry.to, node } })
    } else if (entry.kind === 'remove') {
      if (this.#live.has(entry.path)) changes.push({ dropped: entry.path, put: null })
    } else {
      let path = entry.directory
      for (; path !== parentOf(path) && !this.#live.has(path); path = parentOf(path)) {
        changes.unshift({ dropped: null, put: { path, node: 'directory' } })
      }
    }
    for (const change of changes) {
      const directory = parentOf(change.put?.path ?? (change.dropped as string))
      this.#nameChanges.push({ kind: 'name', operation, directory, ...change, settled: false, forgotten: false, fate: 'lost' })
    }
    return changes.length > 0
  }

  #succeed(begun: number): boolean {
    const entry = this.#log[begun] as LogEntry
    switch (entry.kind) {
      case 'datasync':
        this.#file(entry.inode).prove(this.#take(begun))
        return true
      case 'writeDurably':
        this.#file(entry.inode).proveOwn(begun)
        return true
      case 'syncDirectory':
        this.#proveNames(this.#take(begun))
        return true
      case 'write':
      case 'truncate':
        this.#file(entry.inode).settle(begun)
        return false
      case 'mark':
      case 'done':
        throw new Error(`entry ${begun} is a ${entry.kind}, and no operation`)
      default: {
        // It met the names as they are now, which may not be those of when it was called.
        this.#nameChanges = this.#nameChanges.filter(change => change.operation !== begun)
        this.#name(begun, entry)
        for (const change of this.#nameChanges) {
          if (change.operation !== begun) continue
          change.settled = true
          apply(change, this.#live)
        }
        if (entry.kind === 'makeDirectory') this.#proveNames(new Set([begun]))
        return entry.kind === 'makeDirectory'
      }
    }
  }

  #fail(begun: number): boolean {
    const entry = this.#log[begun] as LogEntry
    switch (entry.kind) {
      case 'datasync':
        this.#file(entry.inode).forget(this.#take(begun))
        return false
      case 'writeDurably':
        this.#file(entry.inode).settle(begun)
        this.#file(entry.inode).forget(new Set([begun]))
        return false
      case 'syncDirectory': {
        const covered = this.#take(begun)
        for (const change of this.#nameChanges) if (covered.has(change.operation)) change.forgotten = true
        return false
      }
      case 'write':
      case 'truncate':
        this.#file(entry.inode).drop(begun)
        return true
      default:
        this.#nameChanges = this.#nameChanges.filter(change => change.operation !== begun)
        return true
    }
  }

  #take(sync: number): ReadonlySet<number> {
    const covered = this.#covered.get(sync)
    if (covered === undefined) throw new Error(`the sync of entry ${sync} settles twice`)
    this.#covered.delete(sync)
    return covered
  }

  #proveNames(operations: ReadonlySet<number>): void {
    let rest: NameChange[] = []
    for (const change of this.#nameChanges) {
      if (change.forgotten || !operations.has(change.operation)) {
        rest.push(change)
        continue
      }
      apply(change, this.#names)
      // An earlier change that is not proven must not undo this one.
      const touched = [change.dropped, change.put?.path]
      rest = rest.filter(({ dropped, put }) => !touched.some(path => path != null && (path === dropped || path === put?.path)))
    }
    this.#nameChanges = rest
  }
}

const hashes = new Map<string, number>()

function apply({ dropped, put }: NameChange, names: Map<string, Node>): void {
  if (dropped !== null) names.delete(dropped)
  if (put !== null) names.set(put.path, put.node)
}

function hashOf(path: string): number {
  let hash = hashes.get(path)
  if (hash === undefined) {
    hash = 0
    for (let index = 0; index < path.length; index++) hash = mix(hash, path.charCodeAt(index))
    hashes.set(path, hash)
  }
  return hash
}
