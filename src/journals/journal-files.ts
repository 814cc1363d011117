import { DamagedJournalError, systemErrorCode } from '../core/errors.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { openIfThere, removeIfThere } from '../disk/if-there.ts'

/** Files that stay open between groups and batches: most appends go to streams that were appended to a moment ago. */
const KEPT_OPEN = 128
const LF = 10

interface OpenFile {
  readonly file: DiskFile
  isDirty: boolean
}

/** The files of a directory of journals, of which only so many are open at a time, those that were used last. */
export class JournalFiles {
  readonly #disk: Disk
  readonly #directory: string
  /** In the order of their last use. */
  readonly #open = new Map<string, OpenFile>()
  /** Whether a file was made or removed since the directory was synced. */
  #isDirectoryDirty = false

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#directory = directory
  }

  /** Size of a file, 0 if there is none. @throws DamagedJournalError if its last line has no end. */
  async sizeOf(name: string): Promise<number> {
    return (await this.#look(name, file => this.#sizeOf(name, file))) ?? 0
  }

  /** Whether a file of that size ends with these bytes. */
  async endsWith(name: string, bytes: Buffer, size: number): Promise<boolean> {
    if (size < bytes.length) return false
    const found = Buffer.alloc(bytes.length)
    await this.#look(name, file => file.read(found, size - bytes.length))
    return bytes.equals(found)
  }

  /** Writes behind everything that is there. @param size of the file; 0 makes it if there is none. */
  async append(name: string, bytes: Uint8Array, size: number): Promise<void> {
    const opened = (size === 0 ? null : await this.#find(name)) ?? (await this.#create(name)) ?? (await this.#find(name))!
    opened.isDirty = true
    await opened.file.write(bytes, size)
  }

  /** Cuts off what a crash has left behind `size`, or removes the file that it has made. @returns whether there was anything. */
  async cut(name: string, size: number): Promise<boolean> {
    if (size === 0) return this.#remove(name)
    const opened = await this.#find(name)
    const actual = opened === null ? 0 : await opened.file.size()
    if (actual < size) throw new DamagedJournalError(this.#pathOf(name), `it has ${actual} bytes, and had ${size}`)
    if (opened === null || actual === size) return false
    opened.isDirty = true
    await opened.file.truncate(size)
    return true
  }

  /** Makes everything durable that was written. */
  async sync(): Promise<void> {
    await Promise.all([...this.#open.values()].map(syncFile))
    if (!this.#isDirectoryDirty) return
    await this.#disk.syncDirectory(this.#directory)
    this.#isDirectoryDirty = false
  }

  /** Closes those that were not used for longest. Not while any is in use. */
  async trim(keptCount = KEPT_OPEN): Promise<void> {
    const surplus = [...this.#open].slice(0, Math.max(0, this.#open.size - keptCount))
    await Promise.all(
      surplus.map(async ([name, opened]) => {
        await syncFile(opened)
        this.#open.delete(name)
        await opened.file.close()
      }),
    )
  }

  /** Closes all, without making anything durable. */
  async abandon(): Promise<void> {
    const files = [...this.#open.values()]
    this.#open.clear()
    await Promise.allSettled(files.map(({ file }) => file.close()))
  }

  async #find(name: string): Promise<OpenFile | null> {
    const known = this.#open.get(name)
    if (known !== undefined) {
      this.#open.delete(name)
      this.#open.set(name, known)
      return known
    }
    const file = await openIfThere(this.#disk, this.#pathOf(name), 'write')
    return file === null ? null : this.#keep(name, file)
  }

  /** Looks into a file, which stays as open as it was. @returns null when there is none. */
  async #look<T>(name: string, work: (file: DiskFile) => Promise<T>): Promise<T | null> {
    const opened = this.#open.get(name)
    if (opened !== undefined) return work(opened.file)
    const file = await openIfThere(this.#disk, this.#pathOf(name), 'read')
    if (file === null) return null
    try {
      return await work(file)
    } finally {
      await file.close()
    }
  }

  async #remove(name: string): Promise<boolean> {
    if (!(await removeIfThere(this.#disk, this.#pathOf(name)))) return false
    this.#isDirectoryDirty = true
    return true
  }

  async #sizeOf(name: string, file: DiskFile): Promise<number> {
    const size = await file.size()
    const last = new Uint8Array(1)
    if (size > 0) await file.read(last, size - 1)
    if (size > 0 && last[0] !== LF) throw new DamagedJournalError(this.#pathOf(name), 'its last line has no end')
    return size
  }

  /** @returns null if there is one. */
  async #create(name: string): Promise<OpenFile | null> {
    try {
      const file = await this.#disk.open(this.#pathOf(name), 'create')
      this.#isDirectoryDirty = true
      return this.#keep(name, file)
    } catch (error) {
      if (systemErrorCode(error) === 'EEXIST') return null
      throw error
    }
  }

  #keep(name: string, file: DiskFile): OpenFile {
    const opened = { file, isDirty: false }
    this.#open.set(name, opened)
    return opened
  }

  #pathOf(name: string): string {
    return joinPath(this.#directory, name)
  }
}

async function syncFile(opened: OpenFile): Promise<void> {
  if (!opened.isDirty) return
  await opened.file.datasync()
  opened.isDirty = false
}
