import { isUtf8 } from 'node:buffer'
import { type FileHandle, open } from 'node:fs/promises'
import { type JournalRow, parseRow } from '#engine/journals/journal-row.ts'
import { refuseInfinity } from './event-line.ts'
import { lineId } from './line-id.ts'

/** The largest event, 16 MiB, and the longest escape: six bytes for two. */
const MAX_LINE_SIZE = 64 * 1024 * 1024
const LF = 10
const NOTHING = Buffer.alloc(0)

/** A line of a journal that can't be taken. */
export class BadRowError extends Error {
  readonly file: string
  readonly line: number

  constructor(file: string, line: number, message: string) {
    super(message)
    this.file = file
    this.line = line
  }
}

/**
 * Goes through one journal, row by row. Between the pieces it reads the file is closed: there may be more of them than a process
 * can have open.
 */
export class RowCursor {
  readonly stream: string
  readonly file: string
  /** How much of the file counts. */
  readonly size: number
  readonly #path: string
  readonly #pieceSize: number
  #piece: Buffer = NOTHING
  /** Up to where the piece has been taken, and up to where the file has been read. */
  #taken = 0
  #read = 0
  #line = 0
  #rowSize = 0
  #row: JournalRow | null = null

  constructor(stream: string, file: string, path: string, size: number, pieceSize: number) {
    this.stream = stream
    this.file = file
    this.#path = path
    this.size = size
    this.#pieceSize = pieceSize
  }

  /** Where it is now; null behind the last row. */
  get row(): JournalRow | null {
    return this.#row
  }

  /** Bytes of the row's line, without its end. */
  get rowSize(): number {
    return this.#rowSize
  }

  /** Number of the row's line, from 1. */
  get line(): number {
    return this.#line
  }

  /** Goes to the next row. @throws BadRowError */
  async next(): Promise<void> {
    this.#row = null
    const bytes = await this.#nextLine()
    if (bytes === null) return
    this.#line++
    this.#rowSize = bytes.length
    try {
      if (!isUtf8(bytes)) throw new Error('not UTF-8')
      this.#row = this.#rowOf(bytes.toString('utf8'))
    } catch (error) {
      throw new BadRowError(this.file, this.#line, (error as Error).message)
    }
  }

  /** A line without an id gets one that tells another import of it, from its text and its place. */
  #rowOf(line: string): JournalRow {
    const { createdMs, event } = parseRow(line)
    refuseInfinity(line, [event.data, event.metadata])
    return { createdMs, event: { ...event, id: event.id ?? lineId(`${this.file}\n${line}`, this.#line) } }
  }

  async #nextLine(): Promise<Buffer | null> {
    for (let searched = this.#taken; ; ) {
      const end = this.#piece.indexOf(LF, searched)
      if (end !== -1) {
        const line = this.#piece.subarray(this.#taken, end)
        this.#taken = end + 1
        return line
      }
      const rest = this.#piece.subarray(this.#taken)
      if (this.#read === this.size) {
        this.#piece = NOTHING
        this.#taken = 0
        if (rest.length === 0) return null
        throw new BadRowError(this.file, this.#line + 1, 'the line has no end')
      }
      if (rest.length > MAX_LINE_SIZE) throw new BadRowError(this.file, this.#line + 1, `longer than ${MAX_LINE_SIZE} bytes`)
      // As much again as there is, so that a long line is not copied for each piece.
      const more = await this.#readMore(Math.max(this.#pieceSize, rest.length))
      this.#piece = Buffer.concat([rest, more])
      this.#taken = 0
      searched = rest.length
    }
  }

  async #readMore(wanted: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(Math.min(wanted, this.size - this.#read))
    let handle: FileHandle | null = null
    try {
      handle = await open(this.#path)
      for (let filled = 0; filled < bytes.length; ) {
        const { bytesRead } = await handle.read(bytes, filled, bytes.length - filled, this.#read + filled)
        if (bytesRead === 0) throw new BadRowError(this.file, this.#line + 1, 'the file became shorter')
        filled += bytesRead
      }
    } finally {
      await handle?.close()
    }
    this.#read += bytes.length
    return bytes
  }
}
