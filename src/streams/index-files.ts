import type { LogPosition } from '../core/positions.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import type { IndexCoverage } from '../format/index-layout.ts'
import { closeAll } from '../log/close-all.ts'
import type { ActiveIndex } from './active-index.ts'
import { nextMerge, SHARE_AT_REST, SHARE_UNDER_LOAD } from './chunk-ranges.ts'
import { type CompletedChunk, CompletedChunks, type IndexedLog } from './completed-chunks.ts'
import { FilePart } from './file-part.ts'
import { findIndexFiles } from './find-index-files.ts'
import { IndexFileMaker, type IndexFileMakerOptions } from './index-file-maker.ts'
import { IndexPageCache } from './index-page-cache.ts'
import type { IndexPart } from './index-part.ts'
import { IndexWork } from './index-work.ts'

export interface IndexFilesOptions extends IndexedLog, IndexFileMakerOptions {
  /** How much of the files is kept in memory at most. */
  readonly cacheBytes: number
}

/** Files that are made of missing chunks before they are merged: each is open. */
const REBUILT_COUNT = 64

/** The index files of a store: which part of the log each covers, which are missing, and which is to be made next of which. */
export class IndexFiles {
  readonly #disk: Disk
  readonly #directory: string
  readonly #options: IndexFilesOptions
  readonly #cache: IndexPageCache
  readonly #chunks: CompletedChunks
  readonly #maker: IndexFileMaker
  /** In order; those in memory are being written, or could not be. */
  #parts: readonly (FilePart | ActiveIndex)[] = []
  /** The parts that a merge began with last: if it failed, it is tried again when they are others. */
  #unmergeable: readonly IndexPart[] | null = null
  /** How far is merged: as under load from the completion of a chunk on, until the writer rests. */
  #share = SHARE_AT_REST
  readonly #work = new IndexWork()
  /** What the parts that completed a chunk cover of it, as it was then: it may be rewritten before a file of it is written. */
  readonly #completed = new WeakMap<IndexPart, IndexCoverage>()
  /** Files that are being closed, because nobody asks them any more. */
  readonly #leaving = new Set<Promise<void>>()
  #isClosing = false

  private constructor(disk: Disk, directory: string, options: IndexFilesOptions) {
    this.#disk = disk
    this.#directory = directory
    this.#options = options
    this.#cache = new IndexPageCache(options.cacheBytes)
    this.#chunks = new CompletedChunks(options)
    this.#maker = new IndexFileMaker(disk, directory, options, this.#chunks, this.#cache)
  }

  /**
   * Reads the first page of each file, and keeps those that fit the log. If chunks are `missing`, `rebuild` has to be called
   * before anything is asked.
   * @throws CorruptLogError when a file knows more than the log has; ReadFailedError
   */
  static async open(disk: Disk, directory: string, options: IndexFilesOptions): Promise<IndexFiles> {
    const files = new IndexFiles(disk, directory, options)
    const found = await findIndexFiles(disk, directory, options, files.#cache)
    files.#parts = found.files.map(file => files.#maker.found(file))
    if (options.mode === 'write') {
      for (const name of found.useless) await disk.remove(joinPath(directory, name)).catch(options.onFailure)
      if (files.missing.length === 0) files.#tidy()
    }
    return files
  }

  /** What can be asked, in the order of the log; a new array after each change. */
  get parts(): readonly IndexPart[] {
    return this.#parts
  }

  /** Up to here the parts cover the log from its beginning without a gap. */
  get end(): LogPosition {
    let end = this.#chunks.start
    for (const part of this.#parts) if (part.start === end) end = part.end
    return end
  }

  /** Completed chunks that no file covers. */
  get missing(): readonly CompletedChunk[] {
    return this.#chunks.all.filter(({ start, end }) => !this.#parts.some(part => part.start <= start && end <= part.end))
  }

  get cachedBytes(): number {
    return this.#cache.sizeBytes
  }

  /** The parts as they are now; they can be asked until they are released, whatever is merged meanwhile. */
  retain(): readonly IndexPart[] {
    for (const part of this.#parts) if (part instanceof FilePart) part.hold()
    return this.#parts
  }

  /** Closes the files that nobody else holds. */
  release(parts: readonly IndexPart[]): void {
    for (const part of parts) {
      const closing = part instanceof FilePart ? part.letGo() : null
      if (closing === null) continue
      const leaving: Promise<void> = closing.catch(this.#options.onFailure).finally(() => this.#leaving.delete(leaving))
      this.#leaving.add(leaving)
    }
  }

  /**
   * Makes the files of the missing chunks, and only those. Those that can't be written are kept in memory.
   * @param onProgress called with how many events were indexed since the last call.
   * @throws CorruptLogError, ReadFailedError
   */
  rebuild(onProgress?: (eventCount: number) => void): Promise<void> {
    const rebuilt = this.#work.alone(async () => {
      // One chunk is indexed while the file of the one before is written: half of that is waiting for the disk.
      let written: Promise<void> = Promise.resolve()
      try {
        for (const [index, { number, start, end }] of this.missing.entries()) {
          const active = await this.#options.indexRange(start, end, onProgress)
          await written
          const coverage = this.#chunks.coverageOf(number, number)
          written = this.#maker.writeSomewhere(coverage, [active]).then(part => {
            this.#replace([], part)
            // In memory no file takes a descriptor.
            const isDue = (index + 1) % REBUILT_COUNT === 0 && this.#options.mode === 'write'
            return isDue ? this.#merge().catch(this.#options.onFailure) : undefined
          })
          written.catch(() => {}) // Heard when the next chunk has been indexed.
        }
      } finally {
        await written
      }
    })
    this.#tidy()
    return rebuilt
  }

  /**
   * Takes an index that lies behind all parts and to which nobody adds any more: it answers from memory until its file is written.
   * 'complete': with it, the chunk that was unfinished is covered up to its end, `end`. 'partial': it goes on behind `end`, which
   * must be durable.
   * Resolves when the file is durable. Rejects when it could not be written; the part stays in memory, and the next call tries
   * again.
   */
  add(active: ActiveIndex, end: LogPosition, kind: 'complete' | 'partial'): Promise<void> {
    active.coverTo(end)
    if (kind === 'partial' && active.isEmpty) return this.settled()
    this.#parts = [...this.#parts, active]
    if (kind === 'complete') {
      this.#share = SHARE_UNDER_LOAD
      this.#completed.set(active, this.#chunks.add(end))
    }
    const write = async (): Promise<void> => {
      try {
        await this.#writeActive()
      } finally {
        if (kind === 'complete') this.#tidy()
      }
    }
    // Who follows another process may be given files for parts that are being written.
    return this.#options.mode === 'write' ? this.#work.write(write) : this.#work.alone(write)
  }

  /**
   * Makes the files anew that cover one of these completed chunks, which were rewritten. Until then the old ones answer, with
   * places where nothing is any more. Resolves when these are gone, but for those that somebody holds.
   * @throws CorruptLogError, ReadFailedError
   */
  async refresh(chunkNumbers: readonly number[]): Promise<void> {
    const refreshed = this.#work.alone(async () => {
      for (const part of this.#fileParts) {
        const { firstChunk, lastChunk, isPartial } = part.header
        if (isPartial || !chunkNumbers.some(number => number >= firstChunk && number <= lastChunk)) continue
        this.#replace([part], await this.#maker.remake(part))
      }
      // What could not be written is in memory.
      for (const { number, start, end } of this.#chunks.all.filter(chunk => chunkNumbers.includes(chunk.number))) {
        const parts = this.#parts.filter(part => part.start >= start && part.end <= end)
        if (parts.every(part => part instanceof FilePart)) continue
        this.#replace(parts, await this.#maker.make(this.#chunks.coverageOf(number, number)))
      }
    })
    this.#tidy()
    await refreshed
    await Promise.all(this.#leaving)
  }

  /** Resolves when there is nothing left to write or merge, or it failed, and what nobody asks any more is gone. */
  async settled(): Promise<void> {
    await this.#work.settled()
    await Promise.all(this.#leaving)
  }

  /** Lets a merge under way come to its end. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.settled()
    const parts = this.#parts
    this.#parts = []
    await closeAll(parts.flatMap(part => (part instanceof FilePart ? [{ close: () => part.letGo() }] : [])))
    await Promise.all(this.#leaving)
  }

  /** Nobody appends just now: files are merged further, also those that are still being written. */
  rested(): void {
    this.#share = SHARE_AT_REST
    this.#tidy()
  }

  /** Merges files by and by; see `nextMerge`. Whoever follows another process first takes what that has made. */
  #tidy(): void {
    const tidied =
      this.#options.mode === 'write'
        ? this.#work.merge(() => this.#merge())
        : this.#work.alone(async () => this.#merge(await this.#takeOver()))
    tidied.catch(this.#options.onFailure)
  }

  /**
   * The files that the writing process has made since stand for what is in memory here, and for those that it has merged.
   * @returns the last chunk that it has come to: up to there, what stays in memory will stay.
   */
  async #takeOver(): Promise<number> {
    if (this.#isClosing) return -1
    // It may be ahead.
    const log = { ...this.#options, completedChunks: this.#chunks.all, logEnd: Number.MAX_SAFE_INTEGER as LogPosition }
    const { files, lastChunk } = await findIndexFiles(this.#disk, this.#directory, log, this.#cache)
    for (const file of files) {
      const { start, end, isPartial } = file.header
      const covered = this.#parts.filter(part => part.start >= start && part.end <= end)
      const isKnown = covered.every(part => part instanceof FilePart && part.disk === this.#disk) && covered.length < 2
      // What was merged here may begin or end within it.
      const isWhole = covered[0]?.start === start && covered.at(-1)!.end === end
      if (isPartial || isKnown || !isWhole) await file.close().catch(this.#options.onFailure)
      else this.#replace(covered, this.#maker.found(file))
    }
    return lastChunk
  }

  /**
   * Files of another process are left to that. But those of chunks that it has rewritten since never fit here again; what is made
   * here in their place is merged, and nothing that it has not come to, for none of its files would fit that.
   * @param upTo number of the last chunk whose files are merged
   */
  async #merge(upTo = Number.POSITIVE_INFINITY): Promise<void> {
    while (!this.#isClosing && this.#parts !== this.#unmergeable) {
      const complete = this.#fileParts.filter(part => !part.header.isPartial && this.#maker.isOwn(part) && part.lastChunk <= upTo)
      const sources = nextMerge(complete, this.#share)
      if (sources === null) return
      // A chunk was rewritten since: its file is about to be made anew, and must not be taken for one of the new chunk.
      const { fingerprintOf } = this.#options
      if (sources.some(({ firstChunk, lastChunk, header }) => header.fingerprint !== fingerprintOf(firstChunk, lastChunk))) return
      const coverage = this.#chunks.coverageOf(sources[0]!.firstChunk, sources.at(-1)!.lastChunk)
      this.#unmergeable = this.#parts
      this.#replace(sources, await this.#maker.write(coverage, sources))
    }
  }

  /** Writes what is only in memory, chunk by chunk, each together with the partial file before it. */
  async #writeActive(): Promise<void> {
    for (;;) {
      const unwritten = this.#parts.find(part => !(part instanceof FilePart))
      if (unwritten === undefined) return
      const chunk = this.#chunks.all.find(({ end }) => end > unwritten.start)
      const { start, end } = chunk ?? { start: this.#chunks.end, end: Number.POSITIVE_INFINITY }
      const sources = this.#parts.filter(part => part.start >= start && part.start < end)
      const coverage =
        chunk === undefined ? this.#chunks.partialCoverage(sources.at(-1)!.end) : this.#completed.get(sources.at(-1)!)!
      this.#replace(sources, await this.#maker.write(coverage, sources))
    }
  }

  get #fileParts(): FilePart[] {
    return this.#parts.filter(part => part instanceof FilePart)
  }

  /** The file of `part` stands for all of `replaced` from here on. */
  #replace(replaced: readonly IndexPart[], part: FilePart): void {
    const others = this.#parts.filter(other => !replaced.includes(other))
    this.#parts = [...others, part].sort((one, other) => one.start - other.start)
    for (const old of replaced) {
      if (!(old instanceof FilePart)) continue
      // A partial file that was written anew has the same name.
      const isOverwritten = old.disk === part.disk && old.path === part.path
      if (!isOverwritten && this.#maker.isOwn(old)) old.markObsolete()
      this.release([old])
    }
  }
}
