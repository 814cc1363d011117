import type { Clock } from '../core/clock.ts'
import type { LogPosition } from '../core/positions.ts'
import { type Disk, joinPath } from '../disk/disk.ts'
import { MemoryDisk } from '../disk/memory-disk.ts'
import type { IndexCoverage } from '../format/index-layout.ts'
import { closeAll } from '../log/close-all.ts'
import type { ActiveIndex } from './active-index.ts'
import type { CompletedChunks } from './completed-chunks.ts'
import { FilePart, mendAmong, type Turn } from './file-part.ts'
import type { IndexFile } from './index-file.ts'
import { indexFileName, partialIndexFileName } from './index-file-names.ts'
import { writeIndexFile } from './index-file-writer.ts'
import type { IndexPageCache } from './index-page-cache.ts'
import type { IndexPart } from './index-part.ts'
import { openIndexFile } from './open-index-file.ts'
import { DamagedIndexError } from './page-reader.ts'
import { TimeSlices } from './time-slices.ts'

export interface IndexFileMakerOptions {
  readonly clock: Clock
  /** 'read': another process has the directory; what has to be made is made in memory. */
  readonly mode: 'write' | 'read'
  /** Indexes the log from `start` on, below `end`; for files that are missing or damaged. */
  indexRange(start: LogPosition, end: LogPosition, onProgress?: (eventCount: number) => void): Promise<ActiveIndex>
  /** Told of failures that nobody waits for. The files that were there are still there. */
  onFailure(error: unknown): void
}

/** How often files are made again before their damage is an error, for each that is merged. */
const MAX_MENDS = 3

/** Each is open until the file is made of them. Of more chunks than that a piece has several. */
const MAX_PIECE_COUNT = 64

/** What a piece is made for has its turn already. */
const now: Turn = work => work()

/**
 * Makes index files, of parts or of the log alone. A store that writes makes them on the disk; one that follows another process
 * makes them in memory.
 */
export class IndexFileMaker {
  readonly #disk: Disk
  readonly #memory = new MemoryDisk()
  readonly #directory: string
  readonly #options: IndexFileMakerOptions
  readonly #chunks: CompletedChunks
  readonly #cache: IndexPageCache
  /**
   * What is made again from the log, and what is removed: parts that were replaced, but are still read, share names with pieces.
   * Who may wait for it: see IndexWork.
   */
  #makings: Promise<unknown> = Promise.resolve()

  constructor(disk: Disk, directory: string, options: IndexFileMakerOptions, chunks: CompletedChunks, cache: IndexPageCache) {
    this.#disk = disk
    this.#directory = directory
    this.#options = options
    this.#chunks = chunks
    this.#cache = cache
  }

  /** The part of a file that was found on the disk. */
  found(file: IndexFile): FilePart {
    return this.#partOf(this.#disk, file, this.#inTurn)
  }

  /** Whether its file is this store's to remove: those on the disk of another process are not. */
  isOwn(part: FilePart): boolean {
    return part.disk === this.#memory || this.#options.mode === 'write'
  }

  /** Makes a file of parts, those that turn out to be damaged being mended. Rejects when the disk does not take it. */
  write(coverage: IndexCoverage, sources: readonly IndexPart[]): Promise<FilePart> {
    if (this.#options.mode === 'write') return this.#writeTo(this.#disk, coverage, sources, this.#inTurn)
    return this.#writeToMemory(coverage, sources, this.#inTurn)
  }

  /**
   * The same; what the disk does not take is kept in memory.
   * @param turn in which the file is made again later, and removed.
   */
  async writeSomewhere(coverage: IndexCoverage, sources: readonly IndexPart[], turn = this.#inTurn): Promise<FilePart> {
    if (this.#options.mode === 'write') {
      try {
        return await this.#writeTo(this.#disk, coverage, sources, turn)
      } catch (error) {
        this.#options.onFailure(error)
      }
    }
    return this.#writeToMemory(coverage, sources, turn)
  }

  /** Makes a file from the log alone, in its turn. @throws CorruptLogError, ReadFailedError */
  make(coverage: IndexCoverage): Promise<FilePart> {
    return this.#inTurn(() => this.#made(coverage))
  }

  /** Makes the file of a part again from the log, of the chunks as they are now, in its turn. @throws CorruptLogError, ReadFailedError */
  remake(part: FilePart): Promise<FilePart> {
    return this.#inTurn(() => this.#remade(part))
  }

  readonly #inTurn: Turn = work => {
    const done = this.#makings.then(work)
    this.#makings = done.catch(() => {})
    return done
  }

  async #writeToMemory(coverage: IndexCoverage, sources: readonly IndexPart[], turn: Turn): Promise<FilePart> {
    await this.#memory.makeDirectory(this.#directory)
    return this.#writeTo(this.#memory, coverage, sources, turn)
  }

  async #writeTo(disk: Disk, coverage: IndexCoverage, sources: readonly IndexPart[], turn: Turn): Promise<FilePart> {
    const { firstChunk, lastChunk, isPartial, storeId } = coverage
    const name = isPartial ? partialIndexFileName(firstChunk) : indexFileName(firstChunk, lastChunk)
    for (let mends = 0; ; mends++) {
      try {
        await writeIndexFile(disk, this.#directory, name, coverage, sources, new TimeSlices(this.#options.clock))
        const file = await openIndexFile(disk, this.#directory, name, storeId, this.#cache)
        if (file === null) throw new DamagedIndexError(joinPath(this.#directory, name), 0)
        return this.#partOf(disk, file, turn)
      } catch (error) {
        if (mends === MAX_MENDS * sources.length) throw error
        await mendAmong(sources, error)
      }
    }
  }

  #partOf(disk: Disk, file: IndexFile, turn: Turn): FilePart {
    return new FilePart(disk, file, turn, part => this.#remade(part))
  }

  #remade({ header }: FilePart): Promise<FilePart> {
    return this.#made(header.isPartial ? header : this.#chunks.coverageOf(header.firstChunk, header.lastChunk))
  }

  /** A file of several chunks is made of pieces: files of a chunk each, or of some, which nobody else gets to see. */
  async #made(coverage: IndexCoverage, turn = this.#inTurn): Promise<FilePart> {
    const { firstChunk, lastChunk, start, end } = coverage
    if (firstChunk === lastChunk) return this.writeSomewhere(coverage, [await this.#options.indexRange(start, end)], turn)
    const step = Math.ceil((lastChunk - firstChunk + 1) / MAX_PIECE_COUNT)
    const pieces: FilePart[] = []
    try {
      for (let first = firstChunk; first <= lastChunk; first += step) {
        const last = Math.min(first + step - 1, lastChunk)
        const piece = await this.#made(this.#chunks.coverageOf(first, last), now)
        piece.markObsolete()
        pieces.push(piece)
      }
      return await this.writeSomewhere(coverage, pieces, turn)
    } finally {
      // They are of no use any more: what can't be closed or removed is no reason to give up the file that was made of them.
      await closeAll(pieces.map(piece => ({ close: () => piece.letGo() }))).catch(this.#options.onFailure)
    }
  }
}
