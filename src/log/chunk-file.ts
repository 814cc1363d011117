import { isDiskFull, UnsupportedFormatError } from '../core/errors.ts'
import { KIB, MAX_CHUNK_SIZE, ZERO_RUN_MIN_SIZE } from '../core/limits.ts'
import { ChunkNumber, LogPosition } from '../core/positions.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { removeIfThere } from '../disk/if-there.ts'
import { type ChunkFooter, encodeChunkFooter, footerReserve } from '../format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE, type ChunkHeader, decodeChunkHeader, encodeChunkHeader } from '../format/chunk-header.ts'
import { PROOF_RECORD_SIZE } from '../format/log-record.ts'
import { readChunkEnd, readFooter } from './chunk-end.ts'
import { chunkFileName, TEMPORARY_SUFFIX } from './chunk-file-names.ts'

/** The most that an append of a chunk of `chunkSize` can have: behind it, a proof, the block table and the footer still fit. */
export function chunkCapacity(chunkSize: number): number {
  return chunkSize - CHUNK_HEADER_SIZE - PROOF_RECORD_SIZE - footerReserve(chunkSize)
}

/**
 * For all runs of all stores. A run is written in such pieces: while the system takes one from us it lets no group write to the file,
 * and one of 2 MiB took it 5 ms.
 */
const ZEROS = Buffer.alloc(128 * KIB)

/** Cached blocks of compact chunks have keys below zero: no position, and no two files that stood for one chunk share any. */
let nextCacheKey = -1

/**
 * One file of the log: header, records, and a footer once it is completed. It knows nothing of what the records say.
 *
 * A completed chunk may be replaced by a compact one. Who reads it holds it meanwhile: the file is closed when the sequence, its
 * first holder, and all readers have let go.
 */
export class ChunkFile {
  readonly header: ChunkHeader
  readonly path: string
  readonly file: DiskFile
  /** Null while the chunk is being filled. */
  #footer: ChunkFooter | null
  /** The file is filled up to here: with records, then with zeros. Writes below it do not change the size of the file. */
  #filledSize: number
  readonly #cacheKey: number
  #holderCount = 1
  #closing: Promise<void> | null = null

  private constructor(header: ChunkHeader, path: string, file: DiskFile, footer: ChunkFooter | null, filledSize: number) {
    this.header = header
    this.path = path
    this.file = file
    this.#footer = footer
    this.#filledSize = filledSize
    if (header.generation === 0) this.#cacheKey = header.start
    else {
      nextCacheKey -= header.chunkSize
      this.#cacheKey = nextCacheKey
    }
  }

  /** A rewritten chunk whose file is whole and durable, and bears its name. */
  static compact(header: ChunkHeader, path: string, file: DiskFile, footer: ChunkFooter, fileSize: number): ChunkFile {
    return new ChunkFile(header, path, file, footer, fileSize)
  }

  /**
   * Makes the file under a temporary name, with its header and a first run of zeros, and renames it when it is durable: a
   * file that bears a chunk's name always has a whole header.
   */
  static async create(disk: Disk, directory: string, header: ChunkHeader): Promise<ChunkFile> {
    const path = joinPath(directory, chunkFileName(header.number))
    const temporaryPath = path + TEMPORARY_SUFFIX
    await removeIfThere(disk, temporaryPath)
    const file = await disk.open(temporaryPath, 'create')
    const first = Buffer.alloc(Math.min(ZERO_RUN_MIN_SIZE, header.chunkSize))
    first.set(encodeChunkHeader(header))
    let mayHaveName = false
    try {
      await file.write(first, 0)
      await file.datasync()
      mayHaveName = true
      await disk.rename(temporaryPath, path)
      await disk.syncDirectory(directory)
    } catch (error) {
      await file.close().catch(() => {})
      // On a full disk it would keep room from what is tried next. A name whose sync failed is proven by no later one: whoever opens
      // the store next must not find it, but give it again.
      for (const left of mayHaveName ? [temporaryPath, path] : [temporaryPath]) await disk.remove(left).catch(() => {})
      throw error
    }
    return new ChunkFile(header, path, file, null, first.length)
  }

  /** The chunk behind `active`, as `create` makes it. */
  static createBehind(
    disk: Disk,
    directory: string,
    active: ChunkFile,
    chunkSize: number,
    createdMs: number,
  ): Promise<ChunkFile> {
    const { storeId, number } = active.header
    const header = { storeId, number: ChunkNumber.next(number), generation: 0, start: active.end, chunkSize, createdMs }
    return ChunkFile.create(disk, directory, header)
  }

  /**
   * Opens an existing file and checks its header, and its footer if there is one.
   * @returns the chunk, or what stands where its header should be.
   * @throws UnsupportedFormatError
   */
  static async open(disk: Disk, directory: string, number: ChunkNumber, mode: 'read' | 'write'): Promise<ChunkFile | string> {
    const path = joinPath(directory, chunkFileName(number))
    const file = await disk.open(path, mode)
    try {
      const head = Buffer.alloc(CHUNK_HEADER_SIZE)
      const header = decodeChunkHeader(head.subarray(0, await file.read(head, 0)))
      if (typeof header === 'string') {
        await file.close()
        return header
      }
      const { size, footer } = await readChunkEnd(file, header)
      return new ChunkFile(header, path, file, footer, size)
    } catch (error) {
      await file.close().catch(() => {})
      if (error instanceof UnsupportedFormatError) throw new UnsupportedFormatError(`${path}: ${error.message}`)
      throw error
    }
  }

  /** Opens the file behind `previous` as if its header, which is damaged, said what it should. Only for looking at it. */
  static async openBehind(disk: Disk, directory: string, previous: ChunkFile, mode: 'read' | 'write'): Promise<ChunkFile> {
    const number = ChunkNumber.next(previous.header.number)
    const path = joinPath(directory, chunkFileName(number))
    const file = await disk.open(path, mode)
    const header: ChunkHeader = { ...previous.header, number, generation: 0, start: previous.end, chunkSize: MAX_CHUNK_SIZE }
    try {
      return new ChunkFile(header, path, file, null, await file.size())
    } catch (error) {
      await file.close().catch(() => {})
      throw error
    }
  }

  read(target: Uint8Array, offset: number): Promise<number> {
    return this.file.read(target, offset)
  }

  /** Keeps the file open until `release`, also when it is replaced. Only for who found it in the sequence or holds it. */
  retain(): this {
    this.#holderCount++
    return this
  }

  /** The last one to let go closes the file. An error of that concerns nobody: the file is not written any more. */
  release(): void {
    if (--this.#holderCount === 0) this.close().catch(() => {})
  }

  /** Holds the chunk while `use` runs. */
  async held<Result>(use: () => Promise<Result>): Promise<Result> {
    this.retain()
    try {
      return await use()
    } finally {
      this.release()
    }
  }

  /** Rewritten without its dead records: positions have gaps, and offsets are found with the block directory. */
  get isCompact(): boolean {
    return this.header.generation > 0
  }

  /** What the block cache knows the block at `offset` by. */
  cacheKeyOf(offset: number): number {
    return this.#cacheKey + offset
  }

  /** Completed: has its footer, is never written again. */
  get isComplete(): boolean {
    return this.#footer !== null
  }

  get footer(): ChunkFooter | null {
    return this.#footer
  }

  /** What was taken for it is part of a record. */
  dropFooter(): void {
    this.#footer = null
  }

  get start(): LogPosition {
    return this.header.start
  }

  /** Position of the first record. */
  get firstRecord(): LogPosition {
    return LogPosition.plus(this.header.start, CHUNK_HEADER_SIZE)
  }

  /** Where the next chunk starts. */
  get end(): LogPosition {
    return LogPosition.plus(this.header.start, this.header.chunkSize)
  }

  /** No record may reach beyond this. The last PROOF_RECORD_SIZE bytes below it are for a proof only. */
  get recordLimit(): LogPosition {
    return LogPosition.plus(this.header.start, this.header.chunkSize - footerReserve(this.header.chunkSize))
  }

  /** Behind the last record of a completed chunk. */
  get dataEnd(): LogPosition | null {
    if (this.#footer === null) return null
    return LogPosition.plus(this.header.start, this.#footer.directory?.endDistance ?? this.#footer.dataSize)
  }

  get filledSize(): number {
    return this.#filledSize
  }

  /** Where `position` is in the file of a chunk that is not compact. */
  offsetOf(position: LogPosition): number {
    return LogPosition.minus(position, this.header.start)
  }

  async write(bytes: Uint8Array, position: LogPosition): Promise<void> {
    const offset = this.offsetOf(position)
    await this.file.write(bytes, offset)
    this.#filledSize = Math.max(this.#filledSize, offset + bytes.length)
  }

  async writeDurably(bytes: Uint8Array, position: LogPosition): Promise<void> {
    const offset = this.offsetOf(position)
    await this.file.writeDurably(bytes, offset)
    this.#filledSize = Math.max(this.#filledSize, offset + bytes.length)
  }

  /** See `DiskFile.rewriteDurably`. */
  rewriteDurably(bytes: Uint8Array, position: LogPosition): Promise<void> {
    return this.file.rewriteDurably(bytes, this.offsetOf(position))
  }

  /**
   * Writes `size` zeros behind what the file has, which is not all of the chunk yet, and makes them durable.
   * @returns false when the disk is too full for them: the write was refused. A full disk in the sync is an error like any other:
   *   the sync may have been for records, too, and nobody would be told of it again.
   */
  async extendZeros(size: number): Promise<boolean> {
    const start = this.#filledSize
    const end = Math.min(start + size, this.header.chunkSize)
    try {
      for (let at = start; at < end; at += ZEROS.length) await this.file.write(ZEROS.subarray(0, end - at), at)
    } catch (error) {
      if (isDiskFull(error)) return false
      throw error
    }
    await this.file.datasync()
    this.#filledSize = Math.max(this.#filledSize, end)
    return true
  }

  /**
   * Gives back the zeros behind `end`, but for a first run: the next open would read them all. Not synced: should they come back
   * in a crash, they are the zeros that they were.
   */
  async trimZeros(end: LogPosition): Promise<void> {
    const size = this.offsetOf(end) + ZERO_RUN_MIN_SIZE
    if (size >= this.#filledSize) return
    await this.file.truncate(size)
    this.#filledSize = size
  }

  /** Cuts the file at `position`: what was behind is gone once this resolved. */
  async cut(position: LogPosition): Promise<void> {
    await this.file.truncate(this.offsetOf(position))
    this.#filledSize = this.offsetOf(position)
    await this.file.datasync()
  }

  /** Writes the footer behind the records, which must be durable already: a whole footer proves them. */
  async writeFooter(dataEnd: LogPosition, eventCount: number, blockChecksums: Uint32Array): Promise<ChunkFooter> {
    const dataSize = this.offsetOf(dataEnd)
    const { start, storeId } = this.header
    const footer: ChunkFooter = { start, dataSize, eventCount, storeId, blockChecksums, directory: null }
    const bytes = encodeChunkFooter(footer)
    await this.file.write(bytes, dataSize)
    await this.file.truncate(dataSize + bytes.length)
    this.#filledSize = dataSize + bytes.length
    return footer
  }

  /** The footer that was written is durable: from here on the chunk never changes. */
  complete(footer: ChunkFooter): void {
    this.#footer = footer
    this.rest()
  }

  /** A file that is not written any more need not be open all the time, until `keepOpen`. For a store that alone replaces its chunks. */
  rest(): void {
    this.file.rest(this.path)
  }

  /** The file stays open until it is closed: another one is about to get its name. */
  keepOpen(): Promise<void> {
    return this.file.keepOpen()
  }

  /**
   * Takes note of a footer that another process has written meanwhile.
   * @param dataEnd where the records are known to end: a footer that says otherwise is part of one.
   */
  async refresh(dataEnd?: LogPosition): Promise<void> {
    if (this.#footer !== null) return
    const size = await this.file.size()
    this.#filledSize = size
    const footer = await readFooter(this.file, size, this.header)
    if (dataEnd === undefined || footer?.dataSize === this.offsetOf(dataEnd)) this.#footer = footer
  }

  /** Once, however often it is called: an open that fails closes all that it found, also what it had no use for. */
  close(): Promise<void> {
    this.#closing ??= this.file.close()
    return this.#closing
  }
}
