import assert from 'node:assert/strict'
import { isDiskFull } from '../../src/core/errors.ts'
import { type Disk, type DiskFile, type DiskLock, type OpenMode, readEachPiece } from '../../src/disk/disk.ts'
import { type DiskContent, MemoryDisk, systemError, trimPath } from '../../src/disk/memory-disk.ts'
import { type DiskOperation, type Fault, FaultPlan, type HeldCall, type PlannedFault } from './faults.ts'
import { filesOf, type LogEntry, type Recording } from './operation-log.ts'
import { Random } from './random.ts'

export interface SimulatedDiskOptions {
  readonly seed?: number | string
  readonly sectorSize?: 512 | 4096
  /** Calls take a seeded number of turns of the event loop, so that they overtake each other; without it, one microtask. */
  readonly shuffle?: boolean
  /** Each call waits for it before it takes effect: whoever drives a test lets calls go on in an order of its own. */
  readonly gate?: () => Promise<void>
  /** What is there at the start, all of it durable: for example what a crash left. */
  readonly content?: DiskContent
}

/**
 * A disk that fails when it is told to, and remembers what was done to it, so that a CrashModel can tell what a crash would leave.
 *
 * Readers see a write when it has returned, not before. What is durable is nothing of this class's business: it only keeps the
 * log of operations, from which crash-states.ts works it out.
 */
export class SimulatedDisk implements Disk, Recording {
  readonly readPieces = readEachPiece
  readonly initial: DiskContent
  readonly log: LogEntry[] = []
  readonly sectorSize: number
  readonly #live: MemoryDisk
  readonly #plan = new FaultPlan()
  readonly #random: Random
  readonly #shuffle: boolean
  readonly #gate: (() => Promise<void>) | undefined
  readonly #callCounts = new Map<DiskOperation, number>()
  readonly #inodes = new Map<string, number>()
  /** Open files, in the order of their opening. */
  readonly #open = new Set<SimulatedFile>()
  #nextInode: number
  #settling: Promise<void> = Promise.resolve()

  constructor({ seed = 1, sectorSize = 512, shuffle = false, gate, content = new Map() }: SimulatedDiskOptions = {}) {
    this.initial = new Map(content)
    this.sectorSize = sectorSize
    this.#live = new MemoryDisk(content)
    this.#random = new Random(seed)
    this.#shuffle = shuffle
    this.#gate = gate
    for (const [inode, [path]] of filesOf(this.initial).entries()) this.#inodes.set(path, inode)
    this.#nextInode = this.#inodes.size
  }

  /** Makes a call fail; see Fault. Several may wait at once. */
  failNext(fault: Fault): PlannedFault {
    return this.#plan.failNext(fault)
  }

  /** Holds the next such call in flight until it is released or made to fail. */
  hold(op: DiskOperation, which: { readonly path?: string; readonly nth?: number } = {}): HeldCall {
    return this.#plan.hold(op, which)
  }

  /** Notes in the log what the workload knows from here on. */
  mark(label: string, payload: unknown = null): void {
    this.log.push({ kind: 'mark', label, payload })
  }

  /** How often an operation was called, or all of them together: for failing each in turn. */
  callCount(op?: DiskOperation): number {
    return op === undefined
      ? [...this.#callCounts.values()].reduce((sum, count) => sum + count, 0)
      : (this.#callCounts.get(op) ?? 0)
  }

  /** Paths of the files that are open: a store that is closed, or failed to open, leaves none. */
  get openPaths(): string[] {
    return [...this.#open].map(file => file.path)
  }

  /** What readers see now: what a process finds that starts after this one was killed. */
  snapshot(): Map<string, Uint8Array> {
    return this.#live.snapshot()
  }

  open(path: string, mode: OpenMode): Promise<DiskFile> {
    const created = mode === 'create' ? this.#nextInode++ : null
    return this.#call('open', [path], created === null ? null : { kind: 'create', path, inode: created }, async () => {
      const file = await this.#live.open(path, mode)
      if (created !== null) this.#inodes.set(path, created)
      const opened = new SimulatedFile(this, file, this.#inodes.get(path) as number)
      this.#open.add(opened)
      return opened
    })
  }

  list(directory: string): Promise<string[]> {
    return this.#call('list', [directory], null, () => this.#live.list(directory))
  }

  makeDirectory(directory: string): Promise<void> {
    const entry = { kind: 'makeDirectory', directory: trimPath(directory) } as const
    return this.#call('makeDirectory', [directory], entry, () => this.#live.makeDirectory(directory))
  }

  rename(from: string, to: string): Promise<void> {
    return this.#call('rename', [from, to], { kind: 'rename', from, to }, async () => {
      await this.#live.rename(from, to)
      const inode = this.#inodes.get(from) as number
      this.#inodes.delete(from)
      this.#inodes.set(to, inode)
    })
  }

  remove(path: string): Promise<void> {
    return this.#call('remove', [path], { kind: 'remove', path }, async () => {
      await this.#live.remove(path)
      this.#inodes.delete(path)
    })
  }

  syncDirectory(directory: string): Promise<void> {
    const entry = { kind: 'syncDirectory', directory: trimPath(directory) } as const
    return this.#call('syncDirectory', [directory], entry, () => this.#live.syncDirectory(directory))
  }

  realPath(path: string): Promise<string> {
    return this.#live.realPath(path)
  }

  lock(path: string): Promise<DiskLock> {
    const inode = this.#inodes.has(path) ? null : this.#nextInode++
    return this.#call('lock', [path], inode === null ? null : { kind: 'create', path, inode }, async () => {
      const lock = await this.#live.lock(path)
      if (inode !== null) this.#inodes.set(path, inode)
      return lock
    })
  }

  /** A file's call that leaves no trace on disk. */
  look<T>(op: 'read' | 'readOnce' | 'size' | 'close', path: string, effect: () => Promise<T>): Promise<T> {
    return this.#call(op, [path], null, effect)
  }

  /** A close that fails closes all the same. */
  closed(file: SimulatedFile): void {
    this.#open.delete(file)
  }

  truncate(file: DiskFile, inode: number, size: number): Promise<void> {
    return this.#call('truncate', [file.path], { kind: 'truncate', inode, size }, () => file.truncate(size))
  }

  datasync(file: DiskFile, inode: number): Promise<void> {
    return this.#call('datasync', [file.path], { kind: 'datasync', inode }, () => file.datasync())
  }

  async write(op: 'write' | 'writeDurably', file: DiskFile, inode: number, bytes: Uint8Array, offset: number): Promise<void> {
    const { fault, held } = this.#meet(op, [file.path])
    // A full disk shows itself in the write, also in that of a writeDurably: what was taken lies in the cache, and no sync failed.
    const kind = fault !== null && isDiskFull({ code: fault.error }) ? 'write' : op
    const reaching =
      fault === null ? bytes.length : Math.min(bytes.length, fault.partialBytes ?? (kind === 'write' ? 0 : bytes.length))
    const copy = new Uint8Array(bytes.subarray(0, reaching))
    const begun = reaching === 0 ? null : this.log.push({ kind, inode, offset, bytes: copy }) - 1
    const heldFailure = await this.#inFlight(held)
    assert(kind === 'write' || !isDiskFull({ code: heldFailure }), 'plan a full disk with failNext')
    const failure = heldFailure ?? fault?.error ?? null
    // A plain write that was held and then failed has written nothing; one that was planned to fail, its part.
    const reaches = fault !== null || failure === null || kind === 'writeDurably'
    await this.#settle(begun, kind === 'write' ? reaches : failure === null, async () => {
      const changed = Buffer.compare(copy, bytes.subarray(0, reaching)) !== 0
      assert(!changed, `${file.path}: the buffer of a write at ${offset} was changed while the write was in flight`)
      if (reaching > 0 && reaches) await file[op](copy, offset)
    })
    if (failure !== null) throw systemError(failure, op, file.path)
  }

  /**
   * Every call but the writes. A failing one has no effect, except that a failed sync makes the kernel forget what it covered, and
   * that a failed close closes.
   */
  async #call<T>(op: DiskOperation, paths: readonly string[], entry: LogEntry | null, effect: () => Promise<T>): Promise<T> {
    const { fault, held } = this.#meet(op, paths)
    const isSync = entry?.kind === 'datasync' || entry?.kind === 'syncDirectory'
    const begun = entry === null || (fault !== null && !isSync) ? null : this.log.push(entry) - 1
    const failure = (await this.#inFlight(held)) ?? fault?.error ?? null
    return this.#settle(begun, true, async () => {
      if (failure !== null && op === 'close') await effect()
      if (failure !== null) throw systemError(failure, op, paths[0] as string)
      return effect()
    })
  }

  /** Calls take effect one after the other, each together with its entry: the log has the order that readers saw. */
  async #settle<T>(begun: number | null, ok: boolean, effect: () => Promise<T>): Promise<T> {
    const before = this.#settling
    let settle = () => {}
    this.#settling = new Promise(resolve => {
      settle = resolve
    })
    await before
    let done = false
    try {
      const result = await effect()
      done = ok
      return result
    } finally {
      if (begun !== null) this.log.push({ kind: 'done', begun, ok: done })
      settle()
    }
  }

  #meet(op: DiskOperation, paths: readonly string[]): { fault: Fault | null; held: HeldCall | null } {
    this.#callCounts.set(op, this.callCount(op) + 1)
    return this.#plan.meet(op, paths)
  }

  /** How much of it one call of the system fills. */
  givenAtOnce(target: Uint8Array): Uint8Array {
    return this.#shuffle && this.#random.int(4) === 0 ? target.subarray(0, this.#random.int(target.length + 1)) : target
  }

  /** The time between call and effect. Resolves with the error that a held call shall fail with. */
  async #inFlight(held: HeldCall | null): Promise<string | null> {
    const turns = this.#shuffle ? this.#random.int(8) : 0
    if (turns < 4) for (let turn = 0; turn < turns; turn++) await null
    else for (let turn = 4; turn < turns; turn++) await new Promise(resolve => setImmediate(resolve))
    if (this.#gate !== undefined) await this.#gate()
    return held === null ? null : held.arrive()
  }
}

/** An open file of a simulated disk: hands each call on, with the inode. */
class SimulatedFile implements DiskFile {
  readonly path: string
  readonly #disk: SimulatedDisk
  readonly #file: DiskFile
  readonly #inode: number
  readonly #underWay = new Set<Promise<unknown>>()

  constructor(disk: SimulatedDisk, file: DiskFile, inode: number) {
    this.path = file.path
    this.#disk = disk
    this.#file = file
    this.#inode = inode
  }

  write(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#call(this.#disk.write('write', this.#file, this.#inode, bytes, offset))
  }

  writeDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#call(this.#disk.write('writeDurably', this.#file, this.#inode, bytes, offset))
  }

  rewriteDurably(bytes: Uint8Array, offset: number): Promise<void> {
    return this.#call(this.#disk.write('writeDurably', this.#file, this.#inode, bytes, offset))
  }

  datasync(): Promise<void> {
    return this.#call(this.#disk.datasync(this.#file, this.#inode))
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.#call(this.#disk.look('read', this.path, () => this.#file.read(target, offset)))
  }

  readOnce(target: Uint8Array, offset: number): Promise<number> {
    const given = this.#disk.givenAtOnce(target)
    return this.#call(this.#disk.look('readOnce', this.path, () => this.#file.readOnce(given, offset)))
  }

  size(): Promise<number> {
    return this.#call(this.#disk.look('size', this.path, () => this.#file.size()))
  }

  truncate(size: number): Promise<void> {
    return this.#call(this.#disk.truncate(this.#file, this.#inode, size))
  }

  rest(path: string): void {
    this.#file.rest(path)
  }

  keepOpen(): Promise<void> {
    return this.#file.keepOpen()
  }

  #call<T>(call: Promise<T>): Promise<T> {
    this.#underWay.add(call)
    const ended = () => this.#underWay.delete(call)
    call.then(ended, ended)
    return call
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#underWay)
    return this.#disk.look('close', this.path, () => {
      this.#disk.closed(this)
      return this.#file.close()
    })
  }
}
