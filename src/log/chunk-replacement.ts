import assert from 'node:assert'
import { BLOCK_SIZE, KIB, MIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { type DiskFile, joinPath } from '../disk/disk.ts'
import { removeIfThere } from '../disk/if-there.ts'
import { BlockDirectory } from '../format/block-directory.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { blockCountOf, type ChunkFooter, encodeChunkFooter } from '../format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE, type ChunkHeader, encodeChunkHeader } from '../format/chunk-header.ts'
import { BlockChecksums } from './block-checksums.ts'
import { ChunkFile } from './chunk-file.ts'
import { chunkFileName, TEMPORARY_SUFFIX } from './chunk-file-names.ts'
import type { LogFiles } from './log-files.ts'

const WRITE_SIZE = 256 * KIB
/** Synced in pieces: one sync of a whole chunk would hold up the writer's, which share the disk with it. */
const SYNC_SIZE = 4 * MIB

/**
 * The file that is to stand for a completed chunk: written beside it under a temporary name, and renamed over it when it is
 * durable. A crash at any point leaves the old file or the new one under the chunk's name, both whole.
 */
export class ChunkReplacement {
  readonly #files: LogFiles
  readonly #file: DiskFile
  readonly #temporaryPath: string
  readonly #header: ChunkHeader
  readonly #old: ChunkFile
  readonly #checksums = new BlockChecksums()
  readonly #blockOffsets: number[] = []
  readonly #blockDistances: number[] = []
  #window = ByteWindow.allocate(WRITE_SIZE)
  /** Of the window, filled and not written. */
  #filled = 0
  #writtenSize = 0
  #syncedSize = 0
  #endDistance = CHUNK_HEADER_SIZE

  private constructor(files: LogFiles, file: DiskFile, temporaryPath: string, old: ChunkFile) {
    this.#files = files
    this.#file = file
    this.#temporaryPath = temporaryPath
    this.#old = old
    this.#header = { ...old.header, generation: old.header.generation + 1 }
    this.#window.bytes.set(encodeChunkHeader(this.#header))
    this.#filled = CHUNK_HEADER_SIZE
  }

  /** Begins the next generation of `old`. */
  static async begin(files: LogFiles, old: ChunkFile): Promise<ChunkReplacement> {
    const path = joinPath(files.directory, chunkFileName(old.header.number) + TEMPORARY_SUFFIX)
    await removeIfThere(files.disk, path)
    const file = await files.disk.open(path, 'create')
    return new ChunkReplacement(files, file, path, old)
  }

  /** Where `place` puts records. Another one after each `write`. */
  get window(): ByteWindow {
    return this.#window
  }

  fits(size: number): boolean {
    return this.#filled + size <= this.#window.size
  }

  /** Takes room for the next record, which must fit. @returns its offset in the window; encode it before the next call. */
  place(position: LogPosition, size: number): number {
    const distance = position - this.#header.start
    assert(this.fits(size) && distance >= this.#endDistance)
    const at = this.#filled
    const offset = this.#writtenSize + at
    while (this.#blockOffsets.length * BLOCK_SIZE <= offset) {
      this.#blockOffsets.push(offset)
      this.#blockDistances.push(distance)
    }
    this.#filled += size
    this.#endDistance = distance + size
    return at
  }

  /** Writes what was placed. Then a record of `size` bytes fits. */
  async write(size: number): Promise<void> {
    const bytes = this.#window.bytes.subarray(0, this.#filled)
    this.#checksums.add(bytes)
    await this.#file.write(bytes, this.#writtenSize)
    this.#writtenSize += bytes.length
    this.#filled = 0
    if (size > this.#window.size || this.#window.size > WRITE_SIZE) this.#window = ByteWindow.allocate(Math.max(WRITE_SIZE, size))
    if (this.#writtenSize - this.#syncedSize < SYNC_SIZE) return
    await this.#file.datasync()
    this.#syncedSize = this.#writtenSize
  }

  /**
   * Writes the footer, makes the file durable and puts it in the old one's place, on disk and in the sequence. Until the directory
   * has been synced, a crash may bring the old one back.
   */
  async finish(eventCount: number): Promise<ChunkFile> {
    await this.write(0)
    const footer = this.#footer(eventCount)
    const bytes = encodeChunkFooter(footer)
    await this.#file.write(bytes, footer.dataSize)
    await this.#file.datasync()
    const { disk, directory, chunks } = this.#files
    const path = joinPath(directory, chunkFileName(this.#header.number))
    await this.#old.keepOpen()
    await disk.rename(this.#temporaryPath, path)
    const chunk = ChunkFile.compact(this.#header, path, this.#file, footer, footer.dataSize + bytes.length)
    chunks.replace(chunk)
    chunk.rest()
    return chunk
  }

  /** Leaves the old file as it is. */
  async abandon(): Promise<void> {
    await this.#file.close().catch(() => {})
    // What can't be removed now goes at the next open.
    await removeIfThere(this.#files.disk, this.#temporaryPath).catch(() => {})
  }

  #footer(eventCount: number): ChunkFooter {
    const dataSize = this.#writtenSize
    const { start, storeId } = this.#header
    while (this.#blockOffsets.length < blockCountOf(dataSize)) {
      this.#blockOffsets.push(dataSize)
      this.#blockDistances.push(this.#endDistance)
    }
    const directory = new BlockDirectory(
      Uint32Array.from(this.#blockOffsets),
      Uint32Array.from(this.#blockDistances),
      this.#endDistance,
    )
    return { start, dataSize, eventCount, storeId, blockChecksums: this.#checksums.all(), directory }
  }
}
