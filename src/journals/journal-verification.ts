import { InvalidArgumentError, StreamNotFoundError } from '../core/errors.ts'
import { isSystemStream } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { absoluteDirectory } from '../disk/directory.ts'
import type { Disk } from '../disk/disk.ts'
import type { EventStore, RecordedEvent } from '../index.ts'
import { hasHashedName, nameFileOf } from './journal-batch.ts'
import { type JournalCheckpoint, readCheckpoint } from './journal-checkpoint.ts'
import { JournalComparison, type JournalDifference } from './journal-comparison.ts'
import { GROUP_COUNT } from './journal-files.ts'
import { JournalLines } from './journal-lines.ts'
import { encodeName, JOURNAL_SUFFIX, journalNameOf } from './journal-names.ts'
import { checkOrigin } from './journal-origin.ts'
import { formatRow } from './journal-row.ts'
import { streamOfFile } from './journal-stream.ts'

export type { JournalDifference } from './journal-comparison.ts'

export interface VerifyOptions {
  readonly signal?: AbortSignal | undefined
  /** Told of the position up to which everything was compared. */
  readonly onProgress?: ((position: number) => void) | undefined
}

const OPTIONS: ReadonlySet<string> = new Set<keyof VerifyOptions>(['signal', 'onProgress'])

export interface JournalVerificationReport {
  /** Position of the last event that the journals say they have; null when they have none. */
  readonly position: number | null
  readonly fileCount: number
  readonly eventCount: number
  /** The first of them. */
  readonly differences: readonly JournalDifference[]
  readonly differenceCount: number
}

/** Characters of rows that are gathered before they are compared. */
const FULL_SIZE = 32 * 1024 * 1024
const LISTED_COUNT = 10_000

interface PendingRows {
  readonly rows: string[]
  lastRevision: number
}

/**
 * Compares journals with the log, both ways: everything up to the checkpoint must be in the files; what is in the files must be
 * in the log. A file may end within a line behind the checkpoint: somebody is writing it, or was killed when he did.
 */
export class JournalVerification {
  readonly #disk: Disk
  readonly #store: EventStore
  readonly #directory: string
  readonly #options: VerifyOptions
  /** By file name. */
  readonly #comparisons = new Map<string, JournalComparison>()
  readonly #differences: JournalDifference[] = []
  #differenceCount = 0
  #eventCount = 0

  constructor(disk: Disk, store: EventStore, directory: string, options: VerifyOptions) {
    this.#disk = disk
    this.#store = store
    this.#directory = absoluteDirectory(directory)
    checkOptionNames(options, OPTIONS)
    this.#options = options
  }

  async run(): Promise<JournalVerificationReport> {
    const checkpoint = await readCheckpoint(this.#disk, this.#directory)
    if (checkpoint === null) throw new InvalidArgumentError(`there are no journals in ${this.#directory}`)
    await checkOrigin(this.#store, checkpoint.event, this.#directory)
    const position = checkpoint.event?.position ?? null
    if (position !== null) await this.#compareLog(position, checkpoint.includeSystem)
    const names = await this.#disk.list(this.#directory)
    const fileNames = names.filter(name => name.endsWith(JOURNAL_SUFFIX))
    await inGroups(fileNames, fileName => this.#compareFile(fileName, checkpoint))
    return {
      position,
      fileCount: fileNames.length,
      eventCount: this.#eventCount,
      differences: this.#differences.sort(byPlace),
      differenceCount: this.#differenceCount,
    }
  }

  /** From the log to the files: whatever is in the log up to `position`. */
  async #compareLog(position: number, includeSystem: boolean): Promise<void> {
    const pending = new Map<string, PendingRows>()
    let size = 0
    for await (const events of this.#store.readAll({ includeSystem, signal: this.#options.signal }).batches()) {
      for (const event of events) {
        if (event.position > position) break
        size += addRow(pending, event)
        this.#eventCount++
      }
      const isEnd = events.at(-1)!.position >= position
      if (size >= FULL_SIZE || isEnd) {
        await this.#comparePending(pending)
        pending.clear()
        size = 0
        this.#options.onProgress?.(Math.min(position, events.at(-1)!.position))
      }
      if (isEnd) return
    }
  }

  async #comparePending(pending: ReadonlyMap<string, PendingRows>): Promise<void> {
    await inGroups([...pending], async ([stream, { rows, lastRevision }]) => {
      const fileName = journalNameOf(stream) + JOURNAL_SUFFIX
      const comparison = this.#comparisonOf(stream, fileName)
      await this.#withLines(fileName, lines => comparison.compare(lines, rows, lastRevision))
    })
  }

  /** From a file to the log: whatever was not compared. */
  async #compareFile(fileName: string, { includeSystem, files }: JournalCheckpoint): Promise<void> {
    this.#options.signal?.throwIfAborted()
    await this.#withLines(fileName, async lines => {
      // Looked at before the log: what a follower had written by now is in the log by then.
      const size = await lines.size()
      const known = this.#comparisons.get(fileName)
      const stream = known?.stream ?? (await streamOfFile(this.#disk, this.#directory, fileName))
      // A file that was about to be made may lack its name.
      if (stream === null && files.get(fileName) === 0) return
      if (stream === null) {
        const found = 'a file name that no stream has'
        this.#report({ file: fileName, line: null, kind: 'unknown', expected: null, found })
        return
      }
      if (hasHashedName(fileName)) await this.#compareName(fileName, stream)
      const comparison = known ?? this.#comparisonOf(stream, fileName)
      const isWanted = includeSystem || !isSystemStream(stream)
      if (comparison.offset < size && isWanted) await this.#compareBehind(comparison, lines, size)
      await comparison.refuseRest(lines, size)
    })
  }

  /** The events of one stream that came behind the checkpoint. */
  async #compareBehind(comparison: JournalComparison, lines: JournalLines, size: number): Promise<void> {
    const { stream, nextRevision } = comparison
    try {
      for await (const events of this.#store.readStream(stream, { from: nextRevision }).batches()) {
        if (!(await comparison.compareIfThere(lines, events.map(formatRow), size))) return
      }
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error
    }
  }

  async #compareName(fileName: string, stream: string): Promise<void> {
    const nameFile = nameFileOf(fileName)
    const expected = `${encodeName(stream)}\n`
    await this.#withLines(nameFile, async lines => {
      const found = (await lines.bytesAt(0, expected.length + 1)).toString('utf8')
      const kind = found === '' ? 'missing' : 'changed'
      if (found !== expected) this.#report({ file: nameFile, line: 1, kind, expected, found })
    })
  }

  #comparisonOf(stream: string, fileName: string): JournalComparison {
    let comparison = this.#comparisons.get(fileName)
    if (comparison === undefined) {
      comparison = new JournalComparison(stream, fileName, difference => this.#report(difference))
      this.#comparisons.set(fileName, comparison)
    }
    return comparison
  }

  async #withLines(fileName: string, work: (lines: JournalLines) => Promise<void>): Promise<void> {
    const lines = await JournalLines.open(this.#disk, this.#directory, fileName)
    try {
      await work(lines)
    } finally {
      await lines.close()
    }
  }

  #report(difference: JournalDifference): void {
    this.#differenceCount++
    if (this.#differences.length < LISTED_COUNT) this.#differences.push(difference)
  }
}

/** So many at the same time: each has one file open, or two. */
async function inGroups<T>(items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  for (let first = 0; first < items.length; first += GROUP_COUNT) {
    await Promise.all(items.slice(first, first + GROUP_COUNT).map(work))
  }
}

function byPlace(one: JournalDifference, other: JournalDifference): number {
  if (one.file !== other.file) return one.file < other.file ? -1 : 1
  return (one.line ?? 0) - (other.line ?? 0)
}

/** @returns the size of the row. */
function addRow(pending: Map<string, PendingRows>, event: RecordedEvent): number {
  const row = formatRow(event)
  const known = pending.get(event.stream)
  if (known === undefined) pending.set(event.stream, { rows: [row], lastRevision: event.revision })
  else {
    known.rows.push(row)
    known.lastRevision = event.revision
  }
  return row.length
}
