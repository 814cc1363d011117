import type { Clock } from '../core/clock.ts'
import type { LogPosition } from '../core/positions.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import { MemoryDisk } from '../disk/memory-disk.ts'
import type { IndexCoverage } from '../format/index-layout.ts'
import { closeAll } from '../log/close-all.ts'
import type { ActiveIndex } from './active-index.ts'
import { nextMerge, SHARE_AT_REST, SHARE_UNDER_LOAD } from './chunk-ranges.ts'
import { FilePart, mendAmong } from './file-part.ts'
import { type CompletedChunk, findIndexFiles, type IndexedLog } from './find-index-files.ts'
import type { IndexFile } from './index-file.ts'
import { indexFileName, partialIndexFileName } from './index-file-names.ts'
import { writeIndexFile } from './index-file-writer.ts'
import { IndexPageCache } from './index-page-cache.ts'
import type { IndexPart } from './index-part.ts'
import { IndexWork } from './index-work.ts'
import { openIndexFile } from './open-index-file.ts'
import { DamagedIndexError } from './page-reader.ts'
import { TimeSlices } from './time-slices.ts'

export interface IndexFilesOptions extends IndexedLog {
  /** How much of the files is kept in memory at most. */
  readonly cacheBytes: number
  readonly clock: Clock
  /** 'read': another process has the directory; what has to be made again is made in memory. */
  readonly mode: 'write' | 'read'
  /** Indexes the log from `start` on, below `end`; for files that are missing or damaged. */
  indexRange(start: LogPosition, end: LogPosition, onProgress?: (eventCount: number) => void): Promise<ActiveIndex>
  /** Told of failures that nobody waits for. The files that were there are still there. */
  onFailure(error: unknown): void
}

/** How often a file is made again before its damage is an error. */
const MAX_MENDS = 3

/** The index files of a store: which part of the log each covers, which are missing, and their merging. */
export class IndexFiles {
  readonly #disk: Disk
  /** Takes files that can't be written to the disk. */
  readonly #memory = new MemoryDisk()
  readonly #directory: string
  readonly #options: IndexFilesOptions
  readonly #cache: IndexPageCache
  readonly #chunks: CompletedChunk[]
  /** In order; those in memory are being written, or could not be. */
  #parts: readonly (FilePart | ActiveIndex)[] = []
  /** The parts that a merge began with last: if it failed, it is tried again when they are others. */
  #unmergeable: readonly IndexPart[] | null = null
  readonly #work = new IndexWork()
  /** Files that are being closed, because nobody asks them any more. */
  readonly #leaving = new Set<Promise<void>>()
  #isClosing = false

  private constructor(disk: Disk, directory: string, options: IndexFilesOptions) {
    this.#disk = disk
    this.#directory = directory
    this.#options = options
    this.#cache = new IndexPageCache(options.cacheBytes)
    this.#chunks = [...options.completedChunks]
  }

  /**
   * Reads the first page of each file, and keeps those that fit the log. If chunks are `missing`, `rebuild` has to be called
   * before anything is asked.
   * @throws CorruptLogError when a file knows more than the log has; ReadFailedError
   */
  static async open(disk: Disk, directory: string, options: IndexFilesOptions): Promise<IndexFiles> {
    const files = new IndexFiles(disk, directory, options)
    await files.#memory.makeDirectory(directory)
    const found = await findIndexFiles(disk, directory, options, files.#cache)
    files.#parts = found.files.map(file => files.#partOf(disk, file))
    if (options.mode === 'write') {
      for (const name of found.useless) await disk.remove(joinPath(directory, name)).catch(options.onFailure)
    }
    if (options.mode === 'write' && files.missing.length === 0) files.tidy(SHARE_AT_REST)
    return files
  }

  /** What can be asked, in the order of the log; a new array after each change. */
  get parts(): readonly IndexPart[] {
    return this.#parts
  }

  /** Up to here the parts cover the log from its beginning without a gap. */
  get end(): LogPosition {
    let end = this.#chunks[0]?.start ?? (0 as LogPosition)
    for (const part of this.#parts) if (part.start === end) end = part.end
    return end
  }

  /** Completed chunks that no file covers. */
  get missing(): readonly CompletedChunk[] {
    return this.#chunks.filter(({ start, end }) => !this.#parts.some(part => part.start <= start && end <= part.end))
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
        for (const { number, start, end } of this.missing) {
          const active = await this.#options.indexRange(start, end, onProgress)
          await written
          written = this.#writeSomewhere(this.#coverageOf(number, number), [active]).then(part => this.#replace([], part))
          written.catch(() => {}) // Heard when the next chunk has been indexed.
        }
      } finally {
        await written
      }
    })
    this.tidy(SHARE_AT_REST)
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
      const start = this.#chunks.at(-1)?.end ?? (0 as LogPosition)
      this.#chunks.push({ number: this.#nextChunk, start, end })
    }
    const write = async (): Promise<void> => {
      try {
        await this.#writeActive()
      } finally {
        if (kind === 'complete') this.tidy(SHARE_UNDER_LOAD)
      }
    }
    // Who follows another process may be given files for parts that are being written.
    return this.#options.mode === 'write' ? this.#work.write(write) : this.#work.alone(write)
  }

  /**
   * Makes the files anew that cover one of these completed chunks, which were rewritten. Until then the old ones answer, with
   * places where nothing is any more.
   * @throws CorruptLogError, ReadFailedError
   */
  refresh(chunkNumbers: readonly number[]): Promise<void> {
    const refreshed = this.#work.alone(async () => {
      for (const part of this.#fileParts) {
        const { firstChunk, lastChunk, isPartial } = part.header
        if (isPartial || !chunkNumbers.some(number => number >= firstChunk && number <= lastChunk)) continue
        this.#replace([part], await this.#work.make(() => this.#remade(part)))
      }
      // What could not be written is in memory.
      for (const { number, start, end } of this.#chunks.filter(chunk => chunkNumbers.includes(chunk.number))) {
        const parts = this.#parts.filter(part => part.start >= start && part.end <= end)
        if (parts.every(part => part instanceof FilePart)) continue
        this.#replace(parts, await this.#work.make(() => this.#made(this.#coverageOf(number, number))))
      }
    })
    this.tidy(SHARE_UNDER_LOAD)
    return refreshed
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

  get #nextChunk(): number {
    return (this.#chunks.at(-1)?.number ?? -1) + 1
  }

  /** Merges files by and by; see `nextMerge`. */
  tidy(share: number): void {
    const tidied =
      this.#options.mode === 'write' ? this.#work.merge(() => this.#merge(share)) : this.#work.alone(() => this.#takeOver())
    tidied.catch(this.#options.onFailure)
  }

  /** The files that the writing process has made since stand for what is in memory here, and for those that it has merged. */
  async #takeOver(): Promise<void> {
    if (this.#isClosing) return
    // It may be ahead.
    const log = { ...this.#options, completedChunks: this.#chunks, logEnd: Number.MAX_SAFE_INTEGER as LogPosition }
    const { files } = await findIndexFiles(this.#disk, this.#directory, log, this.#cache)
    for (const file of files) {
      const { start, end, isPartial } = file.header
      const covered = this.#parts.filter(part => part.start >= start && part.end <= end)
      const isKnown = covered.every(part => part instanceof FilePart && part.disk === this.#disk) && covered.length < 2
      if (isPartial || isKnown) await file.close()
      else this.#replace(covered, this.#partOf(this.#disk, file))
    }
  }

  async #merge(share: number): Promise<void> {
    while (!this.#isClosing && this.#parts !== this.#unmergeable) {
      const complete = this.#fileParts.filter(({ header }) => !header.isPartial)
      const sources = nextMerge(complete, share)
      if (sources === null) return
      // A chunk was rewritten since: its file is about to be made anew, and must not be taken for one of the new chunk.
      const { fingerprintOf } = this.#options
      if (sources.some(({ firstChunk, lastChunk, header }) => header.fingerprint !== fingerprintOf(firstChunk, lastChunk))) return
      const coverage = this.#coverageOf(sources[0]!.firstChunk, sources.at(-1)!.lastChunk)
      this.#unmergeable = this.#parts
      this.#replace(sources, await this.#write(this.#disk, coverage, sources))
    }
  }

  /** Writes what is only in memory, chunk by chunk, each together with the partial file before it. */
  async #writeActive(): Promise<void> {
    for (;;) {
      const first = this.#parts.findIndex(part => !(part instanceof FilePart))
      if (first < 0) return
      const chunk = this.#chunks.find(({ end }) => end > this.#parts[first]!.start)
      const start = chunk?.start ?? this.#chunks.at(-1)?.end ?? (0 as LogPosition)
      const sources = this.#parts.filter(part => part.start >= start && (chunk === undefined || part.start < chunk.end))
      const number = chunk?.number ?? this.#nextChunk
      const coverage =
        chunk === undefined
          ? { ...this.#coverage(number, number, start, sources.at(-1)!.end), isPartial: true }
          : this.#coverage(number, number, start, chunk.end)
      this.#replace(sources, await this.#write(this.#options.mode === 'write' ? this.#disk : this.#memory, coverage, sources))
    }
  }

  get #fileParts(): FilePart[] {
    return this.#parts.filter(part => part instanceof FilePart)
  }

  #coverageOf(firstChunk: number, lastChunk: number): IndexCoverage {
    const first = this.#chunks[0]!.number
    const { start } = this.#chunks[firstChunk - first]!
    return this.#coverage(firstChunk, lastChunk, start, this.#chunks[lastChunk - first]!.end)
  }

  #coverage(firstChunk: number, lastChunk: number, start: LogPosition, end: LogPosition): IndexCoverage {
    const { storeId } = this.#options
    const fingerprint = this.#options.fingerprintOf(firstChunk, lastChunk)
    return { storeId, firstChunk, lastChunk, isPartial: false, start, end, fingerprint }
  }

  /** Writes a file from parts, those that turn out to be damaged being mended, and opens it. */
  async #write(disk: Disk, coverage: IndexCoverage, sources: readonly IndexPart[]): Promise<FilePart> {
    const { firstChunk, lastChunk, isPartial, storeId } = coverage
    const name = isPartial ? partialIndexFileName(firstChunk) : indexFileName(firstChunk, lastChunk)
    for (let mends = 0; ; mends++) {
      try {
        await writeIndexFile(disk, this.#directory, name, coverage, sources, new TimeSlices(this.#options.clock))
        const file = await openIndexFile(disk, this.#directory, name, storeId, this.#cache)
        if (file === null) throw new DamagedIndexError(joinPath(this.#directory, name), 0)
        return this.#partOf(disk, file)
      } catch (error) {
        if (mends === MAX_MENDS) throw error
        await mendAmong(sources, error)
      }
    }
  }

  /** On the disk, or in memory when that is not possible. */
  async #writeSomewhere(coverage: IndexCoverage, sources: readonly IndexPart[]): Promise<FilePart> {
    if (this.#options.mode === 'write') {
      try {
        return await this.#write(this.#disk, coverage, sources)
      } catch (error) {
        this.#options.onFailure(error)
      }
    }
    return this.#write(this.#memory, coverage, sources)
  }

  #partOf(disk: Disk, file: IndexFile): FilePart {
    return new FilePart(disk, file, this.#work, part => this.#remade(part))
  }

  /** The file of a part made again from the log. */
  #remade({ header }: FilePart): Promise<FilePart> {
    return this.#made(header.isPartial ? header : this.#coverageOf(header.firstChunk, header.lastChunk))
  }

  /** A file made from the log alone. */
  async #made(coverage: IndexCoverage): Promise<FilePart> {
    const { firstChunk, lastChunk, start, end } = coverage
    if (firstChunk === lastChunk) return this.#writeSomewhere(coverage, [await this.#options.indexRange(start, end)])
    const pieces: FilePart[] = []
    try {
      for (const chunk of this.#chunks) {
        if (chunk.number < firstChunk || chunk.number > lastChunk) continue
        const active = await this.#options.indexRange(chunk.start, chunk.end)
        const piece = await this.#writeSomewhere(this.#coverageOf(chunk.number, chunk.number), [active])
        piece.markPiece()
        pieces.push(piece)
      }
      return await this.#writeSomewhere(coverage, pieces)
    } finally {
      // They are of no use any more: what can't be closed or removed is no reason to give up the file that was made of them.
      await closeAll(pieces.map(piece => ({ close: () => piece.letGo() }))).catch(this.#options.onFailure)
    }
  }

  /** The file of `part` stands for all of `replaced` from here on. */
  #replace(replaced: readonly IndexPart[], part: FilePart): void {
    const others = this.#parts.filter(other => !replaced.includes(other))
    this.#parts = [...others, part].sort((one, other) => one.start - other.start)
    for (const old of replaced) {
      if (!(old instanceof FilePart)) continue
      // A partial file that was written anew has the same name.
      const isOverwritten = old.disk === part.disk && old.path === part.path
      if (!isOverwritten && (old.disk !== this.#disk || this.#options.mode === 'write')) old.markObsolete()
      this.release([old])
    }
  }
}
