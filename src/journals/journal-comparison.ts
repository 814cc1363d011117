import type { JournalLines } from './journal-lines.ts'

/** A place where a file and the log are not the same. */
export interface JournalDifference {
  readonly file: string
  /** From 1; null when it is about the file as a whole. */
  readonly line: number | null
  /** 'missing': in the log, not in the file. 'unknown': in the file, not in the log. */
  readonly kind: 'changed' | 'missing' | 'unknown'
  /** The beginning of what should stand there; null for 'unknown'. */
  readonly expected: string | null
  /** The beginning of what stands there; null for 'missing'. */
  readonly found: string | null
}

const SHOWN_SIZE = 200

/** One file on the way through the log: how far it was compared, and with which outcome. */
export class JournalComparison {
  readonly stream: string
  readonly #fileName: string
  readonly #report: (difference: JournalDifference) => void
  #offset = 0
  #line = 1

  constructor(stream: string, fileName: string, report: (difference: JournalDifference) => void) {
    this.stream = stream
    this.#fileName = fileName
    this.#report = report
  }

  /** Bytes of the file that were compared. */
  get offset(): number {
    return this.#offset
  }

  /** Compares rows that must be there. */
  async compare(lines: JournalLines, rows: readonly string[]): Promise<void> {
    const expected = Buffer.from(rows.join(''), 'utf8')
    if (expected.equals(await lines.bytesAt(this.#offset, expected.length))) {
      this.#offset += expected.length
      this.#line += rows.length
      return
    }
    for (const [index, row] of rows.entries()) await this.#compareRow(lines, Buffer.from(row, 'utf8'), rows[index + 1])
  }

  /**
   * Compares rows of events behind the checkpoint, which may be there: the file may end before any of them, and within one.
   * @param limit how far the file is looked at. @returns false when its end was reached.
   */
  async compareIfThere(lines: JournalLines, rows: readonly string[], limit: number): Promise<boolean> {
    for (const row of rows) {
      if (this.#offset >= limit) return false
      const expected = Buffer.from(row, 'utf8')
      const found = await lines.lineAt(this.#offset, limit)
      const isUnfinished = this.#offset + found.length === limit && found.length < expected.length
      if (isUnfinished && found.equals(expected.subarray(0, found.length))) {
        this.#offset = limit
        return false
      }
      if (!found.equals(expected)) this.#differs('changed', expected, found)
      this.#pass(found)
    }
    return this.#offset < limit
  }

  /** Reports all lines up to `limit`: there is nothing in the log that they could be. */
  async refuseRest(lines: JournalLines, limit: number): Promise<void> {
    while (this.#offset < limit) {
      const found = await lines.lineAt(this.#offset, limit)
      if (found.length === 0) return
      this.#differs('unknown', null, found)
      this.#pass(found)
    }
  }

  async #compareRow(lines: JournalLines, expected: Buffer, nextRow: string | undefined): Promise<void> {
    const found = await lines.lineAt(this.#offset)
    if (found.equals(expected)) return this.#pass(found)
    // A line that was taken out or put in must not make all behind it look changed.
    if (found.length === 0 || (nextRow !== undefined && found.equals(Buffer.from(nextRow, 'utf8')))) {
      this.#differs('missing', expected, null)
      return
    }
    const next = await lines.lineAt(this.#offset + found.length, this.#offset + found.length + expected.length)
    if (next.equals(expected)) {
      this.#differs('unknown', null, found)
      this.#pass(found)
      this.#pass(next)
      return
    }
    this.#differs('changed', expected, found)
    this.#pass(found)
  }

  #pass(line: Buffer): void {
    this.#offset += line.length
    this.#line++
  }

  #differs(kind: JournalDifference['kind'], expected: Buffer | null, found: Buffer | null): void {
    const shown = (line: Buffer | null): string | null =>
      line === null ? null : line.toString('utf8', 0, SHOWN_SIZE).replace(/\n$/, '')
    this.#report({ file: this.#fileName, line: this.#line, kind, expected: shown(expected), found: shown(found) })
  }
}
