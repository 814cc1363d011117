import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { openIfThere } from '../disk/if-there.ts'

const PIECE_SIZE = 64 * 1024
const LF = 10

/** A file of lines that is read where it is wanted; one that is not there is one without lines. */
export class JournalLines {
  readonly #file: DiskFile | null

  private constructor(file: DiskFile | null) {
    this.#file = file
  }

  static async open(disk: Disk, directory: string, name: string): Promise<JournalLines> {
    return new JournalLines(await openIfThere(disk, joinPath(directory, name), 'read'))
  }

  async size(): Promise<number> {
    return (await this.#file?.size()) ?? 0
  }

  /** Up to `size` bytes; fewer at the end of the file. */
  async bytesAt(offset: number, size: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(size)
    return bytes.subarray(0, (await this.#file?.read(bytes, offset)) ?? 0)
  }

  /** The line that begins at `offset`, with its end if it has one; empty at the end of the file. */
  async lineAt(offset: number, limit = Number.POSITIVE_INFINITY): Promise<Buffer> {
    const pieces: Buffer[] = []
    for (let at = offset; at < limit; at += PIECE_SIZE) {
      const piece = await this.bytesAt(at, Math.min(PIECE_SIZE, limit - at))
      const end = piece.indexOf(LF)
      pieces.push(end === -1 ? piece : piece.subarray(0, end + 1))
      if (end !== -1 || piece.length < PIECE_SIZE) break
    }
    return Buffer.concat(pieces)
  }

  async close(): Promise<void> {
    await this.#file?.close()
  }
}
