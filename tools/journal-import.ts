import { readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { EventStore } from 'tailrace'
import { systemClock } from '#engine/core/clock.ts'
import { absoluteDirectory, leadsInto } from '#engine/disk/directory.ts'
import { NodeDisk } from '#engine/disk/node-disk.ts'
import { readCheckpoint } from '#engine/journals/journal-checkpoint.ts'
import { JOURNAL_SUFFIX } from '#engine/journals/journal-names.ts'
import { streamOfFile } from '#engine/journals/journal-stream.ts'
import { ExitStatus, UsageError } from './arguments.ts'
import { complain, count, printResult, type Terminal } from './output.ts'
import { Progress } from './progress.ts'
import { type BadRow, badRowOf, RowAppending } from './row-appending.ts'
import { RowClock } from './row-clock.ts'
import { RowCursor } from './row-cursor.ts'
import { RowMerge } from './row-merge.ts'
import { pathKind } from './survey/store-survey.ts'
import { verboseLogger } from './verbose-logger.ts'

/** Bytes of all files together that are in memory at the same time. */
const PIECES_SIZE = 64 * 1024 * 1024
const MAX_PIECE_SIZE = 256 * 1024
const MIN_PIECE_SIZE = 4 * 1024

interface ImportResult {
  readonly imported: number
  /** Events that were in the store already. */
  readonly skipped: number
  /** Rows with an id that a row before them has. */
  readonly repeated: number
  readonly streams: number
  /** Events whose time is not that of their line: the store had later ones, or the line one before that of the line above. */
  readonly otherTimes: number
  readonly interrupted: boolean
  readonly error: BadRow | null
}

/** Appends what is in a directory of journals to the store in `directory`. @returns the exit status. */
export async function importJournals(
  journals: string,
  directory: string,
  options: { readonly json: boolean; readonly verbose: boolean },
  terminal: Terminal,
): Promise<number> {
  const startedMs = systemClock.monotonic()
  if ((await pathKind(journals)) === 'file') throw new UsageError(`${journals} is no directory`)
  await refuseAmong(journals, directory)
  const cursors = await cursorsIn(journals)
  const clock = new RowClock()
  const result = await importRows(cursors, clock, directory, options.verbose, terminal)
  const ms = Math.round(systemClock.monotonic() - startedMs)
  if (result.error !== null) {
    const { file, line, message } = result.error
    await complain(terminal, `tailrace journal: ${file}:${line}: ${message}`)
  }
  await printResult(terminal, options.json, { store: directory, ...result, ms }, resultLines(directory, result, ms))
  if (result.error !== null) return ExitStatus.damage
  return result.interrupted ? ExitStatus.interrupted : ExitStatus.fine
}

/** Text files and chunks in one directory would each be unknown files to whoever looks at the others. */
async function refuseAmong(journals: string, store: string): Promise<void> {
  if (await leadsInto(new NodeDisk(), absoluteDirectory(journals), absoluteDirectory(store)))
    throw new UsageError(`${store} lies among the journals; the store needs a directory of its own`)
}

/** A cursor for each file. What a follower that was killed left behind the checkpoint is left out. */
async function cursorsIn(journals: string): Promise<RowCursor[]> {
  const disk = new NodeDisk()
  const checkpoint = await readCheckpoint(disk, journals)
  const files = (await readdir(journals)).filter(name => name.endsWith(JOURNAL_SUFFIX)).sort()
  if (files.length === 0) throw new UsageError(`there are no journals in ${journals}`)
  const pieceSize = Math.min(MAX_PIECE_SIZE, Math.max(MIN_PIECE_SIZE, Math.floor(PIECES_SIZE / files.length)))
  const cursors: RowCursor[] = []
  for (const file of files) {
    const path = join(journals, file)
    const size = checkpoint?.files.get(file) ?? (await stat(path)).size
    if (size === 0) continue
    const stream = await streamOfFile(disk, journals, file)
    if (stream === null) throw new UsageError(`${path}: a file name that no stream has, or its .name file is missing`)
    cursors.push(new RowCursor(stream, file, path, size, pieceSize))
  }
  return cursors
}

async function importRows(
  cursors: readonly RowCursor[],
  clock: RowClock,
  directory: string,
  isVerbose: boolean,
  terminal: Terminal,
): Promise<ImportResult> {
  const result = { imported: 0, skipped: 0, repeated: 0, streams: cursors.length, otherTimes: 0, interrupted: false, error: null }
  // Before the store is made: a first line that is none must not leave an empty store behind.
  for (const cursor of cursors) {
    const error = await badRowOf(cursor.next())
    if (error !== null) return { ...result, error }
  }
  clock.ms = firstTime(cursors)
  // Acks need not wait for the disk one by one: an import that a crash ended begins anew. Closing syncs.
  const options = { clock, durability: 'memory', logger: verboseLogger(isVerbose, terminal) } as const
  const store = await EventStore.open(directory, options)
  const progress = new Progress(
    terminal.stderr,
    cursors.reduce((sum, { size }) => sum + size, 0),
  )
  try {
    await noteNewest(store, clock)
    const merge = new RowMerge()
    let passedSize = 0
    let skipped = 0
    for (const cursor of cursors) {
      const error = await badRowOf(skipKnown(store, cursor, () => skipped++))
      if (error !== null) return { ...result, skipped, error }
      merge.add(cursor)
    }
    const appending = new RowAppending(store, clock, terminal.signal)
    const error = await appending.run(merge, size => {
      passedSize += size
      progress.update(passedSize, () => count(appending.count, 'event'))
    })
    const { aborted: interrupted } = terminal.signal
    const { count: imported, repeatedCount: repeated } = appending
    return { ...result, imported, skipped, repeated, otherTimes: clock.otherCount, interrupted, error }
  } finally {
    progress.clear()
    await store.close()
  }
}

/** In a loop: there may be more files than a call can have arguments. */
function firstTime(cursors: readonly RowCursor[]): number {
  let ms = Number.POSITIVE_INFINITY
  for (const { row } of cursors) if (row !== null) ms = Math.min(ms, row.createdMs)
  return ms
}

/**
 * Passes over the rows whose events the store has already, from an import that did not come to its end.
 * @param onSkipped called for each. @throws UsageError when the stream has others, since nobody knows which come first; BadRowError
 */
async function skipKnown(store: EventStore, cursor: RowCursor, onSkipped: () => void): Promise<void> {
  const { stream, file } = cursor
  if (!(await store.exists(stream))) return
  for await (const { id, type } of store.readStream(stream)) {
    const event = cursor.row?.event
    if (event?.id === undefined || event.id.toLowerCase() !== id || event.type !== type) {
      throw new UsageError(`the store has a stream '${stream}' already, with other events than ${file}`)
    }
    onSkipped()
    await cursor.next()
  }
}

/** No event of the import can get an earlier time than the newest in the store. */
async function noteNewest(store: EventStore, clock: RowClock): Promise<void> {
  const newest = store.readAll({ direction: 'backwards', maxCount: 1, includeSystem: true })
  for await (const { created } of newest) clock.note(created.getTime())
}

function* resultLines(directory: string, result: ImportResult, ms: number): Iterable<string> {
  const { imported, skipped, repeated, streams, otherTimes, interrupted, error } = result
  const what = `${count(imported, 'event')} in ${count(streams, 'stream')}`
  yield `${interrupted ? 'interrupted; ' : ''}${what} imported into ${directory} in ${(ms / 1000).toFixed(1)} s`
  if (skipped > 0) yield `${count(skipped, 'event')} had been imported before`
  if (repeated > 0) yield `${count(repeated, 'line')} passed over: the stream had an event with that id already`
  if (otherTimes > 0)
    yield `${count(otherTimes, 'event')} could not keep the time of the line: a later one was in the store before, or it lies before 1970`
  if (error !== null || interrupted) yield 'the same command goes on'
}
