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
 * A file of which the disk may have lost some sectors (EIO): all the others are read, and nothing is tried twice. Any other error, and
 * too many bad sectors, are thrown as they are.
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
    const first = Math.floor(offset / SECTOR_SIZE)
    const count = Math.ceil((offset + target.length) / SECTOR_SIZE) - first
    if (!this.#isBadIn(first, count)) {
      try {
        return await this.#file.read(target, offset)
      } catch (error) {
        if (systemErrorCode(error) !== 'EIO' || this.#bad.size >= MAX_BAD_SECTORS) throw error
        if (count === 1) this.#bad.set(first, String(error))
      }
    }
    if (count === 1) return this.#fill(target, offset)
    const middle = (first + Math.floor(count / 2)) * SECTOR_SIZE - offset
    const filled = await this.read(target.subarray(0, middle), offset)
    return filled < middle ? filled : middle + (await this.read(target.subarray(middle), offset + middle))
  }

  size(): Promise<number> {
    return this.#file.size()
  }

  close(): Promise<void> {
    return this.#file.close()
  }

  /** How much of these bytes was found unreadable, and why; null when none was. */
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

  #isBadIn(first: number, count: number): boolean {
    if (this.#bad.size === 0) return false
    for (let sector = first; sector < first + count; sector++) if (this.#bad.has(sector)) return true
    return false
  }

  async #fill(target: Uint8Array, offset: number): Promise<number> {
    const size = Math.max(0, Math.min(target.length, (await this.size()) - offset))
    target.fill(FILLER, 0, size)
    return size
  }
}
