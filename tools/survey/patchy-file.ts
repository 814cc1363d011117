import { systemErrorCode } from '#engine/core/errors.ts'
import type { Disk, DiskFile } from '#engine/disk/disk.ts'

/** What is needed to look at a file. */
export type ReadableFile = Pick<DiskFile, 'read' | 'size'>

/** What a disk can't read, it can't read in pieces of this size, whatever it calls a sector. */
const SECTOR_SIZE = 4096
/** With more of them the disk is dying as a whole, and each try may take it seconds. */
const MAX_BAD_SECTORS = 1024
/** For bytes that can't be read: they are no record, and no zeros, which would say that nothing was ever written there. */
const FILLER = 0xff

/**
 * A file of which the disk may have lost some sectors (EIO): all the others are read, and what is known to be bad is not tried
 * again. Any other error, and too many bad sectors, are thrown as they are.
 */
export class PatchyFile implements ReadableFile {
  readonly path: string
  readonly #file: DiskFile
  /** The error of each sector that can't be read, by its number. */
  readonly #bad = new Map<number, string>()

  private constructor(file: DiskFile) {
    this.path = file.path
    this.#file = file
  }

  static async open(disk: Disk, path: string): Promise<PatchyFile> {
    return new PatchyFile(await disk.open(path, 'read'))
  }

  /** See `DiskFile.read`; what can't be read is filled with other bytes, see `failureIn`. */
  async read(target: Uint8Array, offset: number): Promise<number> {
    if (!this.#isBadIn(offset, offset + target.length)) {
      try {
        return await this.#file.read(target, offset)
      } catch (error) {
        if (systemErrorCode(error) !== 'EIO') throw error
      }
    }
    return this.#readBySector(target, offset)
  }

  /** Not in halves: each of them would try the bad sector again. */
  async #readBySector(target: Uint8Array, offset: number): Promise<number> {
    let filled = 0
    while (filled < target.length) {
      const at = offset + filled
      const sector = Math.floor(at / SECTOR_SIZE)
      const piece = target.subarray(filled, filled + (sector + 1) * SECTOR_SIZE - at)
      const count = await this.#readSector(sector, piece, at)
      filled += count
      if (count < piece.length) break
    }
    return filled
  }

  async #readSector(sector: number, piece: Uint8Array, offset: number): Promise<number> {
    if (!this.#bad.has(sector)) {
      try {
        return await this.#file.read(piece, offset)
      } catch (error) {
        if (systemErrorCode(error) !== 'EIO' || this.#bad.size >= MAX_BAD_SECTORS) throw error
        this.#bad.set(sector, String(error))
      }
    }
    const size = Math.max(0, Math.min(piece.length, (await this.size()) - offset))
    piece.fill(FILLER, 0, size)
    return size
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** How many of the bytes between two offsets were found unreadable, and why; null when none was. */
  failureIn(from: number, to: number): string | null {
    let size = 0
    let why: string | null = null
    for (const [sector, error] of this.#bad) {
      const start = Math.max(from, sector * SECTOR_SIZE)
      const end = Math.min(to, (sector + 1) * SECTOR_SIZE)
      if (start >= end) continue
      size += end - start
      why ??= error
    }
    return why === null ? null : `${size} bytes of it can't be read: ${why}`
  }

  #isBadIn(from: number, to: number): boolean {
    return this.#bad.size > 0 && this.failureIn(from, to) !== null
  }
}
