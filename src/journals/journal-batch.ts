import type { RecordedEvent } from '../index.ts'
import { inGroups } from './in-groups.ts'
import { type CheckpointEvent, checkpointEventOf } from './journal-checkpoint.ts'
import type { JournalEnds } from './journal-ends.ts'
import type { JournalFiles } from './journal-files.ts'
import { encodeName, isHashed, JOURNAL_SUFFIX, journalNameOf, NAME_SUFFIX } from './journal-names.ts'
import { formatRow } from './journal-row.ts'

/** Characters that are gathered before they are written: what an export has in memory, and repeats after a crash. */
const FULL_SIZE = 32 * 1024 * 1024
/** Streams in one batch: each is a line in the checkpoint. */
const FULL_COUNT = 65_536

interface PendingRows {
  readonly fileName: string
  readonly stream: string
  /** The revision of the first event that is gathered. */
  readonly firstRevision: number
  readonly rows: string[]
}

/** Rows of successive events, gathered by stream, so that each file is written to once. */
export class JournalBatch {
  readonly #streams = new Map<string, PendingRows>()
  #size = 0
  #eventCount = 0
  #lastEvent: CheckpointEvent | null = null

  add(event: RecordedEvent): void {
    let pending = this.#streams.get(event.stream)
    if (pending === undefined) {
      const { stream, revision } = event
      pending = { fileName: journalNameOf(stream) + JOURNAL_SUFFIX, stream, firstRevision: revision, rows: [] }
      this.#streams.set(stream, pending)
    }
    const row = formatRow(event)
    pending.rows.push(row)
    this.#size += row.length
    this.#eventCount++
    this.#lastEvent = checkpointEventOf(event)
  }

  get isFull(): boolean {
    return this.#size >= FULL_SIZE || this.#streams.size >= FULL_COUNT
  }

  get eventCount(): number {
    return this.#eventCount
  }

  /** The last event that was gathered; null for an empty batch. */
  get lastEvent(): CheckpointEvent | null {
    return this.#lastEvent
  }

  /** The files that will be written to, and their sizes. @throws DamagedJournalError when one can't be the stream's. */
  async sizesIn(files: JournalFiles, ends: JournalEnds): Promise<Map<string, number>> {
    const sizes = new Map<string, number>()
    await this.#eachFile(files, async ({ fileName, stream, firstRevision }) => {
      const size = await files.sizeOf(fileName)
      await ends.check(fileName, stream, firstRevision, size)
      sizes.set(fileName, size)
      if (size === 0 && hasHashedName(fileName)) sizes.set(nameFileOf(fileName), 0)
    })
    return sizes
  }

  /** Writes the rows behind the sizes. */
  async writeTo(files: JournalFiles, sizes: ReadonlyMap<string, number>): Promise<void> {
    await this.#eachFile(files, async ({ fileName, stream, rows }) => {
      const nameFile = nameFileOf(fileName)
      if (sizes.has(nameFile)) await files.append(nameFile, Buffer.from(`${encodeName(stream)}\n`, 'utf8'), 0)
      await files.append(fileName, Buffer.from(rows.join(''), 'utf8'), sizes.get(fileName)!)
    })
  }

  #eachFile(files: JournalFiles, work: (pending: PendingRows) => Promise<void>): Promise<void> {
    return inGroups([...this.#streams.values()], work, () => files.trim())
  }
}

/** The file that has the stream's name, for a journal whose own name does not tell it. */
export function nameFileOf(fileName: string): string {
  return fileName.slice(0, -JOURNAL_SUFFIX.length) + NAME_SUFFIX
}

export function hasHashedName(fileName: string): boolean {
  return isHashed(fileName.slice(0, -JOURNAL_SUFFIX.length))
}
