import { InvalidArgumentError } from '../core/errors.ts'
import { checkWorkOptions } from '../core/work-options.ts'
import { absoluteDirectory } from '../disk/directory.ts'
import type { Disk } from '../disk/disk.ts'
import type { EventStore, RecordedEvent } from '../index.ts'
import { inGroups } from './in-groups.ts'
import { hasHashedName, nameFileOf } from './journal-batch.ts'
import { type JournalCheckpoint, readCheckpoint } from './journal-checkpoint.ts'
import { JournalComparison, type JournalDifference } from './journal-comparison.ts'
import { JournalLines } from './journal-lines.ts'
import { encodeName, JOURNAL_SUFFIX, journalNameOf } from './journal-names.ts'
import { checkOrigin, checkStore } from './journal-origin.ts'
import { formatRow } from './journal-row.ts'
import { streamOfFile } from './journal-stream.ts'

export type { JournalDifference } from './journal-comparison.ts'

export interface VerifyOptions {
  /** Ends it: the promise rejects with the signal's reason. */
  readonly signal?: AbortSignal | undefined
  /** Told of the position up to which everything was compared. */
  readonly onProgress?: ((position: number) => void) | undefined
}

export interface JournalVerificationReport {
  /** Position of the last event that the journals say they have; null when they have none. */
  readonly position: number | null
  readonly fileCount: number
  /** Up to that position. */
  readonly eventCount: number
  /** The first 10,000 of them, by file and line. */
  readonly differences: readonly JournalDifference[]
  readonly differenceCount: number
}

/** Characters of rows that are gathered before they are compared. */
const FULL_SIZE = 32 * 1024 * 1024
const LISTED_COUNT = 10_000

/** Rows of successive events, by stream. */
type PendingRows = Map<string, string[]>

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
    checkStore(store)
    this.#disk = disk
    this.#store = store
    this.#directory = absoluteDirectory(directory)
    checkWorkOptions(options)
    this.#options = options
  }

  async run(): Promise<JournalVerificationReport> {
    const checkpoint = await readCheckpoint(this.#disk, this.#directory)
    if (checkpoint === null) throw new InvalidArgumentError(`there are no journals in ${this.#directory}`)
    await checkOrigin(this.#store, checkpoint, this.#directory)
    const position = checkpoint.event?.position ?? null
    if (position !== null) await this.#compareLog(position, checkpoint.includeSystem)
    // Looked at before the log behind the checkpoint: what a follower had written by now is in the log by then.
    const sizes = await this.#fileSizes()
    await this.#compareBehind(sizes, checkpoint)
    await inGroups([...sizes], ([fileName, size]) => this.#compareRest(fileName, size, checkpoint))
    return {
      position,
      fileCount: sizes.size,
      eventCount: this.#eventCount,
      differences: this.#differences.sort(byPlace),
      differenceCount: this.#differenceCount,
    }
  }

  /** From the log to the files: whatever is in the log up to `position` must be there. */
  async #compareLog(position: number, includeSystem: boolean): Promise<void> {
    const pending: PendingRows = new Map()
    let size = 0
    for await (const events of this.#store.readAll({ includeSystem, signal: this.#options.signal }).batches()) {
      for (const event of events) {
        if (event.position > position) break
        size += addRow(pending, event)
        this.#eventCount++
      }
      const last = events.at(-1)!.position
      if (last >= position) break
      if (size < FULL_SIZE) continue
      await this.#comparePending(pending)
      pending.clear()
      size = 0
      this.#options.onProgress?.(last)
    }
    // Also when the log ends before `position`: the event there was scavenged, and none is behind it.
    await this.#comparePending(pending)
    this.#options.onProgress?.(position)
  }

  async #comparePending(pending: PendingRows): Promise<void> {
    await inGroups([...pending], async ([stream, rows]) => {
      const fileName = journalNameOf(stream) + JOURNAL_SUFFIX
      await this.#withLines(fileName, lines => this.#comparisonOf(stream, fileName).compare(lines, rows))
    })
  }

  async #fileSizes(): Promise<ReadonlyMap<string, number>> {
    const names = await this.#disk.list(this.#directory)
    const sizes = new Map<string, number>()
    await inGroups(
      names.filter(name => name.endsWith(JOURNAL_SUFFIX)),
      fileName => this.#withLines(fileName, async lines => void sizes.set(fileName, await lines.size())),
    )
    return sizes
  }

  /**
   * From the log to the files: what came behind the checkpoint may be there, up to the sizes. It is taken from the log, as the journals
   * were, since a stream does not show all that it had. Each batch is compared at once: as a rule there are few, until all sizes are reached.
   */
  async #compareBehind(sizes: ReadonlyMap<string, number>, { event, includeSystem }: JournalCheckpoint): Promise<void> {
    const after = event?.position ?? -1
    const unfinished = new Map([...sizes].filter(([name, size]) => size > (this.#comparisons.get(name)?.offset ?? 0)))
    if (unfinished.size === 0) return
    const reading = this.#store.readAll({ from: event?.position, includeSystem, signal: this.#options.signal })
    for await (const events of reading.batches()) {
      const pending: PendingRows = new Map()
      for (const event of events) if (event.position > after) addRow(pending, event)
      await inGroups([...pending], async ([stream, rows]) => {
        const fileName = journalNameOf(stream) + JOURNAL_SUFFIX
        const size = unfinished.get(fileName)
        if (size === undefined) return
        const comparison = this.#comparisonOf(stream, fileName)
        const isMore = await this.#withLines(fileName, lines => comparison.compareIfThere(lines, rows, size))
        if (!isMore) unfinished.delete(fileName)
      })
      if (unfinished.size === 0) return
    }
  }

  /** From a file to the log: whatever was not compared is not in the log. */
  async #compareRest(fileName: string, size: number, { files }: JournalCheckpoint): Promise<void> {
    this.#options.signal?.throwIfAborted()
    const known = this.#comparisons.get(fileName)
    const stream = known?.stream ?? (await streamOfFile(this.#disk, this.#directory, fileName))
    // A file that was about to be made may lack its name.
    if (stream === null && files.get(fileName) === 0) return
    if (stream === null) {
      const found = 'a file name that no stream has'
      this.#report({ file: fileName, line: null, kind: 'unknown', expected: null, found })
      return
    }
    if (hasHashedName(fileName)) await this.#compareName(fileName, stream, files)
    const comparison = known ?? this.#comparisonOf(stream, fileName)
    if (comparison.offset < size) await this.#withLines(fileName, lines => comparison.refuseRest(lines, size))
  }

  async #compareName(fileName: string, stream: string, files: JournalCheckpoint['files']): Promise<void> {
    const nameFile = nameFileOf(fileName)
    const expected = `${encodeName(stream)}\n`
    await this.#withLines(nameFile, async lines => {
      const found = (await lines.bytesAt(0, expected.length + 1)).toString('utf8')
      if (found === expected || (files.get(nameFile) === 0 && expected.startsWith(found))) return
      this.#report({ file: nameFile, line: 1, kind: found === '' ? 'missing' : 'changed', expected, found })
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

  async #withLines<T>(fileName: string, work: (lines: JournalLines) => Promise<T>): Promise<T> {
    const lines = await JournalLines.open(this.#disk, this.#directory, fileName)
    try {
      return await work(lines)
    } finally {
      await lines.close()
    }
  }

  #report(difference: JournalDifference): void {
    this.#differenceCount++
    if (this.#differences.length < LISTED_COUNT) this.#differences.push(difference)
  }
}

function byPlace(one: JournalDifference, other: JournalDifference): number {
  if (one.file !== other.file) return one.file < other.file ? -1 : 1
  return (one.line ?? 0) - (other.line ?? 0)
}

/** @returns the size of the row. */
function addRow(pending: PendingRows, event: RecordedEvent): number {
  const row = formatRow(event)
  const rows = pending.get(event.stream)
  if (rows === undefined) pending.set(event.stream, [row])
  else rows.push(row)
  return row.length
}
