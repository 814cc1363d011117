import { isPromise } from '../core/is-promise.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import type { Disk } from '../disk/disk.ts'
import { removeIfThere } from '../disk/if-there.ts'
import type { IndexHeader } from '../format/index-layout.ts'
import { FileStreamCursor, FileTypeCursor } from './file-cursors.ts'
import type { FileRun } from './file-run.ts'
import type { HeadSearch, SearchAnswer } from './head-search.ts'
import type { IndexFile } from './index-file.ts'
import type { EventList, IndexPart, StreamCursor, StreamRun, SuppliedIdList, TypeCursor } from './index-part.ts'
import { DamagedIndexError } from './page-reader.ts'

/** Makes the file of a part again from the log. */
export type Remake = (part: FilePart) => Promise<FilePart>

/** Does the work when no other file of the same names is being made or removed. */
export type Turn = <T>(work: () => Promise<T>) => Promise<T>

class PartRun implements StreamRun {
  readonly part: IndexPart
  /** Whose pages `found` speaks of. */
  file: IndexFile
  found: FileRun

  constructor(part: IndexPart, file: IndexFile, found: FileRun) {
    this.part = part
    this.file = file
    this.found = found
  }

  get firstRevision(): Revision {
    return this.found.firstRevision
  }

  get lastRevision(): Revision {
    return this.found.lastRevision
  }

  get eventCount(): number {
    return this.found.eventCount
  }

  get lastPosition(): LogPosition {
    return this.found.lastPosition
  }
}

/**
 * The part of the index that a file covers. When the file turns out to be damaged, it is made again, and the question that met
 * the damage is answered from the new one.
 *
 * Whoever uses a part for longer than one call holds it: a merge may replace it. The first holder is who got it made: the list of
 * parts until another part stands for it, or, of a piece, the file that is made of it. The last one to let go closes the file, and
 * removes it if it is obsolete by then.
 */
export class FilePart implements IndexPart {
  /** Where the file is. */
  disk: Disk
  #file: IndexFile
  readonly #inTurn: Turn
  readonly #remake: Remake
  #mending: Promise<void> | null = null
  #holderCount = 1
  /** To be removed once nobody holds the part. */
  #isObsolete = false
  #closing: Promise<void> | null = null

  /** @param inTurn in which its file is made again, and removed. */
  constructor(disk: Disk, file: IndexFile, inTurn: Turn, remake: Remake) {
    this.disk = disk
    this.#file = file
    this.#inTurn = inTurn
    this.#remake = remake
  }

  get header(): IndexHeader {
    return this.#file.header
  }

  get firstChunk(): number {
    return this.header.firstChunk
  }

  get lastChunk(): number {
    return this.header.lastChunk
  }

  get path(): string {
    return this.#file.path
  }

  get start(): LogPosition {
    return this.header.start
  }

  get end(): LogPosition {
    return this.header.end
  }

  get eventCount(): number {
    return this.header.eventCount
  }

  get streamCount(): number {
    return this.header.streamCount
  }

  get newStreamCount(): number {
    return this.header.newStreamCount
  }

  get typeCount(): number {
    return this.header.typeCount
  }

  get suppliedIdCount(): number {
    return this.header.idCount
  }

  get lastPosition(): LogPosition {
    return this.header.eventCount === 0 ? (0 as LogPosition) : this.header.lastPosition
  }

  get lastCreatedMs(): number {
    return this.header.lastCreatedMs
  }

  hold(): void {
    this.#holderCount++
  }

  /** The last one to let go closes the file. @returns null when somebody else still holds it. */
  letGo(): Promise<void> | null {
    if (--this.#holderCount > 0) return null
    this.#closing ??= this.#close()
    return this.#closing
  }

  /** The file is of no use any more; it is removed when it is closed. */
  markObsolete(): void {
    this.#isObsolete = true
  }

  find(name: Uint8Array, hash: number): StreamRun | null | Promise<StreamRun | null> {
    const file = this.#file
    const found = file.find(name, hash)
    if (!isPromise(found)) return found === null ? null : new PartRun(this, file, found)
    return found.then(
      run => (run === null ? null : new PartRun(this, file, run)),
      (error: unknown) => this.#askAgain(file, error, again => this.#findIn(again, name, hash)),
    )
  }

  async #findIn(file: IndexFile, name: Uint8Array, hash: number): Promise<StreamRun | null> {
    const run = await file.find(name, hash)
    return run === null ? null : new PartRun(this, file, run)
  }

  searchHead(search: HeadSearch): SearchAnswer {
    return this.#file.searchHead(search)
  }

  events(run: StreamRun, from: number, count: number): EventList | Promise<EventList> {
    return this.#askOf(run as PartRun, (file, found) => file.events(found, from, count))
  }

  indexOf(run: StreamRun, revision: number): number | Promise<number> {
    return this.#askOf(run as PartRun, (file, found) => file.indexOf(found, revision))
  }

  lastOfType(type: Uint8Array): LogPosition | null | Promise<LogPosition | null> {
    return this.#ask(file => file.lastOfType(type))
  }

  suppliedIds(from: number, count: number): SuppliedIdList | Promise<SuppliedIdList> {
    return this.#ask(file => file.suppliedIds(from, count))
  }

  /** A damaged file shows itself by a DamagedIndexError of the cursor: `mend` it, and begin anew. */
  async streams(): Promise<StreamCursor> {
    return new FileStreamCursor(this.#file)
  }

  async types(): Promise<TypeCursor> {
    return new FileTypeCursor(this.#file)
  }

  /** Makes the file again; calls at the same time share it. */
  mend(): Promise<void> {
    this.#mending ??= this.#replaceFile().finally(() => {
      this.#mending = null
    })
    return this.#mending
  }

  async #replaceFile(): Promise<void> {
    const damaged = this.#file
    const remade = await this.#inTurn(() => this.#remake(this))
    this.#file = remade.#file
    this.disk = remade.disk
    await damaged.close()
  }

  #ask<T>(question: (file: IndexFile) => T | Promise<T>): T | Promise<T> {
    const file = this.#file
    const answer = question(file)
    return isPromise(answer) ? answer.catch((error: unknown) => this.#askAgain(file, error, question)) : answer
  }

  /** Once: a new file that is damaged, too, is an error. So is damage met for one who does not hold the part, when nobody does any more. */
  async #askAgain<T>(damaged: IndexFile, error: unknown, question: (file: IndexFile) => T | Promise<T>): Promise<T> {
    if (!(error instanceof DamagedIndexError) || this.#closing !== null) throw error
    if (this.#file === damaged) await this.mend()
    return question(this.#file)
  }

  /** A run that was found in a file before it was made again is looked up in the new one. */
  #askOf<T>(run: PartRun, question: (file: IndexFile, found: FileRun) => T | Promise<T>): T | Promise<T> {
    return this.#ask(file => {
      if (run.file === file) return question(file, run.found)
      return Promise.resolve(file.find(run.found.name, run.found.hash)).then(found => {
        run.file = file
        // A stream of which nothing was left has no run any more.
        run.found = found ?? { ...run.found, eventCount: 0 }
        return question(file, run.found)
      })
    })
  }

  async #close(): Promise<void> {
    await this.#mending?.catch(() => {})
    await this.#file.close()
    if (this.#isObsolete) await this.#inTurn(() => removeIfThere(this.disk, this.path))
  }
}

/** Makes the file again whose cursor threw `error`, unless that was done meanwhile. @throws `error` when the file of none of these parts is damaged */
export async function mendAmong(parts: readonly IndexPart[], error: unknown): Promise<void> {
  const damaged =
    error instanceof DamagedIndexError ? parts.find(part => part instanceof FilePart && part.path === error.path) : null
  if (!(damaged instanceof FilePart)) throw error
  if (!(error as DamagedIndexError).isMended) await damaged.mend()
}
