import { realpath } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { LogPosition } from '#engine/core/positions.ts'
import type { Disk } from '#engine/disk/disk.ts'
import { NodeDisk } from '#engine/disk/node-disk.ts'
import { readFlushedHint } from '#engine/log/flushed-hint.ts'
import { isIndexFileName } from '#engine/streams/index-file-names.ts'
import { type Command, checkCount, ExitStatus, parseArguments, UsageError, wholeNumber } from './arguments.ts'
import { ChunkInspection, type InspectionFilter, type InspectionSink } from './chunk-inspection.ts'
import { type InspectionItem, indexItem, type Totals } from './inspection-items.ts'
import { InspectionText } from './inspection-text.ts'
import { Output, type Terminal } from './output.ts'
import { ChunkSurvey, NO_BOUNDS } from './survey/chunk-survey.ts'
import { surveyIndex } from './survey/index-survey.ts'
import {
  idText,
  isInUse,
  isOwnFile,
  missingBehind,
  openChunk,
  pathKind,
  type StoreSurvey,
  surveyStore,
} from './survey/store-survey.ts'

const DEFAULT_LIMIT = 50
/** A file by itself gets four rows of map, the chunks of a store one each. */
const FILE_MAP_CELLS = 256
const STORE_MAP_CELLS = 64

export const inspect: Command = {
  name: 'inspect',
  summary: 'show what stands in a store, a chunk or an index file, damage included',
  help: `Usage: tailrace inspect <store or file> [options]

Shows headers, records, footers and a map of each chunk, and of each index file what it covers. Takes no lock
and never writes; the store may be in use. Shows as much as it can of a damaged file: behind each damage it
goes on at the next whole record. <file> is a chunk or an index file, of any store or of none.

  --from <position>   records from this position on, beginning with the chunk that holds it
  --limit <n>         at most so many records (${DEFAULT_LIMIT}; 0 for all); damage is always shown
  --stream <name>     only the events of this stream
  --data              payloads, too
  --json              one JSON object a line: kind is store, chunk, record, damage, unproven, zeros,
                      chunk-end, index or totals
  --help              this text

Exit status: 0 nothing is damaged, 1 something is, 2 there is nothing to inspect. Of a store, only the log counts:
index files are derived from it.

Examples:
  tailrace inspect ./data
  tailrace inspect ./data/000003.chunk --from 201326720 --limit 0
  tailrace inspect ./data --stream order-42 --data --limit 0
  tailrace inspect ./data/000000-000003.index
  tailrace inspect ./copied.chunk --json | jq 'select(.kind == "damage")'
`,

  async run(argv: readonly string[], terminal: Terminal): Promise<number> {
    const { values, positionals } = parseArguments(argv, {
      from: { type: 'string' },
      limit: { type: 'string' },
      stream: { type: 'string' },
      data: { type: 'boolean' },
      json: { type: 'boolean' },
    })
    checkCount(positionals, ['store or file'])
    const path = positionals[0]!
    const limit = wholeNumber(values.limit, 'limit', DEFAULT_LIMIT)
    const filter: InspectionFilter = {
      from: wholeNumber(values.from, 'from', 0),
      limit: limit === 0 ? Number.POSITIVE_INFINITY : limit,
      stream: values.stream,
      withData: values.data === true,
    }
    const { signal } = terminal
    const output = new Output(terminal.stdout)
    const sink = sinkTo(output, values.json === true, signal)
    const disk = new NodeDisk()
    const kind = await pathKind(path)
    const damageCount = await (kind === 'file'
      ? inspectFile(disk, path, filter, sink, signal)
      : inspectStore(disk, path, filter, sink, signal))
    await output.end()
    return damageCount === 0 ? ExitStatus.fine : ExitStatus.damage
  },
}

function sinkTo(output: Output, isJson: boolean, signal: AbortSignal): InspectionSink {
  const text = new InspectionText()
  return {
    show(item: InspectionItem) {
      if (isJson) output.json(item)
      else for (const line of text.lines(item)) output.line(line)
    },
    async ready() {
      signal.throwIfAborted()
      if (output.isFull) await output.flush()
    },
  }
}

/** A chunk file by itself, wherever it lies and whatever it is called; an index file under its own name. @returns the number of damages. */
async function inspectFile(
  disk: Disk,
  path: string,
  filter: InspectionFilter,
  sink: InspectionSink,
  signal: AbortSignal,
): Promise<number> {
  const file = await realpath(path)
  if (isOwnFile(basename(file))) throw new UsageError(`${path} is neither a chunk nor an index file`)
  const isIndex = isIndexFileName(basename(file))
  if (isIndex) return (await inspectIndex(disk, dirname(file), basename(file), null, sink, signal)) ? 0 : 1
  const hint = await readFlushedHint(disk, dirname(file)).catch(() => null)
  // A hint beside the file speaks of it only if both are of one store; that shows once the file is open.
  let survey = await ChunkSurvey.open(disk, file, { start: null, storeId: null }, NO_BOUNDS)
  const storeId = survey.frame?.storeId ?? null
  if (hint !== null && storeId !== null && Buffer.compare(hint.storeId, storeId) === 0) {
    await survey.close()
    survey = await ChunkSurvey.open(disk, file, { start: null, storeId }, { ...NO_BOUNDS, hinted: hint.position })
  }
  try {
    const inspection = new ChunkInspection(basename(path), survey, filter, sink, FILE_MAP_CELLS)
    await inspection.run()
    sink.show({ kind: 'totals', chunks: 1, ...inspection.totals })
    return inspection.totals.damages
  } finally {
    await survey.close()
  }
}

/** @returns the number of damages. */
async function inspectStore(
  disk: Disk,
  path: string,
  filter: InspectionFilter,
  sink: InspectionSink,
  signal: AbortSignal,
): Promise<number> {
  const store = await surveyStore(disk, path)
  const { storeId, hint, holderPid, notes } = store
  const id = storeId === null ? null : idText(storeId)
  sink.show({ kind: 'store', path, id, chunks: store.chunks.length, hinted: hint?.position ?? null, holderPid, notes })
  const lost = missingBehind(store)
  const damages = lost === null ? store.damages : [...store.damages, lost]
  for (const damage of damages) sink.show({ kind: 'damage', damage })
  const none = { prepares: 0, commits: 0, proofs: 0, stubs: 0, recordBytes: 0, damagedBytes: 0, zeroBytes: 0 }
  const sum = { ...none, damages: damages.length }
  let chunkCount = 0
  let left = filter.limit
  for (const [index, { name, unreadable, start }] of store.chunks.entries()) {
    if (endsBefore(store, index, filter.from)) continue
    if (unreadable !== null) {
      sum.damages++
      sink.show({ kind: 'damage', damage: { file: name, position: start, size: null, kind: 'unreadable', what: unreadable } })
      continue
    }
    const inspection = await inspectChunk(disk, store, index, { ...filter, limit: left }, sink)
    if (inspection === null) continue
    chunkCount++
    left -= inspection.shownCount
    for (const key of Object.keys(sum) as (keyof Totals)[]) sum[key] += inspection.totals[key]
  }
  for (const name of store.indexNames) await inspectIndex(disk, path, name, storeId, sink, signal)
  sink.show({ kind: 'totals', chunks: chunkCount, ...sum })
  return sum.damages
}

/** An index file is derived from the log: what is wrong with it is no damage of the store. @returns whether it is whole. */
async function inspectIndex(
  disk: Disk,
  directory: string,
  name: string,
  storeId: Uint8Array | null,
  sink: InspectionSink,
  signal: AbortSignal,
): Promise<boolean> {
  const survey = await surveyIndex(disk, directory, name, storeId, signal)
  if (survey === null) return true
  sink.show(indexItem(survey))
  await sink.ready()
  return survey.damage === null
}

/** The chunk behind begins at or before `position`. */
function endsBefore(store: StoreSurvey, index: number, position: number): boolean {
  const next = store.chunks[index + 1]
  return next !== undefined && next.start !== null && next.start <= position
}

/** @returns null when the chunk is not there any more. */
async function inspectChunk(
  disk: Disk,
  store: StoreSurvey,
  index: number,
  filter: InspectionFilter,
  sink: InspectionSink,
): Promise<ChunkInspection | null> {
  const { chunks, bounds } = store
  const { name, start } = chunks[index]!
  // What a process is writing is shown, too, as in flight.
  const shown = { ...bounds, trustedEnd: NO_BOUNDS.trustedEnd }
  const survey = await openChunk(disk, store, index, shown, start ?? LogPosition.start)
  if (survey === null) return null
  try {
    survey.isFollowed = index < chunks.length - 1 && survey.footer === null && (await isInUse(disk, store, index + 1))
    if (survey.isFollowed) await survey.refresh()
    const inspection = new ChunkInspection(name, survey, filter, sink, STORE_MAP_CELLS)
    await inspection.run()
    return inspection
  } finally {
    await survey.close()
  }
}
