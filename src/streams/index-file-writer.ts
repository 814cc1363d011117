import { EVENT_ID_SIZE } from '../core/event-id.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { removeIfThere } from '../disk/if-there.ts'
import { writeU48 } from '../format/byte-window.ts'
import { checksumBytes } from '../format/checksum.ts'
import {
  FIRST_FILTER_PAGE,
  ID_ENTRY_SIZE,
  ID_POSITION,
  ID_REVISION,
  ID_STREAM_HASH,
  IDS_PER_PAGE,
  type IndexCoverage,
  typeEntrySize,
  writeIndexHeader,
} from '../format/index-layout.ts'
import { pageSeed, SortedPageBuilder } from '../format/index-pages.ts'
import { TEMPORARY_SUFFIX } from '../log/chunk-file-names.ts'
import { blockCountFor, FilterOutput, filterPageCount } from './filter-output.ts'
import { type IndexPart, KEPT_ID_COUNT } from './index-part.ts'
import { MergedNames } from './merged-names.ts'
import { newPage, PageOutput } from './page-output.ts'
import { StreamPagesOutput } from './stream-pages-output.ts'
import type { TimeSlices } from './time-slices.ts'

/** Streams written before the clock is asked. */
const STEP = 64

/**
 * Writes an index file from parts that lie behind one another, in log order: their streams and types are merged by name, their
 * supplied ids follow one another. It is written under a temporary name, and renamed when it is durable. Needs some hundred KiB,
 * and 16 bytes for each page of streams.
 */
export async function writeIndexFile(
  disk: Disk,
  directory: string,
  name: string,
  coverage: IndexCoverage,
  sources: readonly IndexPart[],
  slices: TimeSlices,
): Promise<void> {
  const path = joinPath(directory, name)
  const temporaryPath = path + TEMPORARY_SUFFIX
  await removeIfThere(disk, temporaryPath)
  const file = await disk.open(temporaryPath, 'create')
  try {
    try {
      await writePages(file, coverage, sources, slices)
      await file.datasync()
    } finally {
      await file.close()
    }
    await disk.rename(temporaryPath, path)
  } catch (error) {
    await disk.remove(temporaryPath).catch(() => {})
    throw error
  }
  await disk.syncDirectory(directory)
}

async function writePages(
  file: DiskFile,
  coverage: IndexCoverage,
  sources: readonly IndexPart[],
  slices: TimeSlices,
): Promise<void> {
  // Streams in several sources are counted several times: the filter may come out larger than it need be.
  const filterBlockCount = blockCountFor(sources.reduce((sum, { streamCount }) => sum + streamCount, 0))
  const firstPage = FIRST_FILTER_PAGE + filterPageCount(filterBlockCount)
  const output = new PageOutput(file, checksumBytes(coverage.storeId), pageSeed(coverage.storeId, coverage), firstPage)
  const streams = await writeStreams(output, sources, filterBlockCount, slices)
  const types = await writeTypes(output, sources, slices)
  const ids = await writeIds(output, sources, slices)
  await output.flush()
  const lastSource = sources.filter(({ eventCount }) => eventCount > 0).at(-1)
  const header = newPage()
  writeIndexHeader(header, {
    ...coverage,
    pageCount: output.pageCount,
    eventCount: streams.eventCount,
    streamCount: streams.streamCount,
    newStreamCount: streams.newStreamCount,
    lastPosition: lastSource?.lastPosition ?? coverage.start,
    lastCreatedMs: Math.max(0, ...sources.map(source => source.lastCreatedMs)),
    filterBlockCount,
    firstStreamPage: streams.firstPage,
    rootPage: streams.rootPage,
    levelCount: streams.levelCount,
    ...types,
    ...ids,
  })
  await output.put(0, header)
}

async function writeStreams(
  output: PageOutput,
  sources: readonly IndexPart[],
  filterBlockCount: number,
  slices: TimeSlices,
): Promise<StreamPagesOutput> {
  const streams = new StreamPagesOutput(output)
  const filter = new FilterOutput(output, filterBlockCount)
  const cursors = []
  for (const source of sources) cursors.push(await source.streams(slices))
  const merged = await MergedNames.begin(cursors)
  for (let step = 1; !merged.isDone; step++) {
    const filtered = filter.add(merged.current[0]!.hash)
    if (filtered !== null) await filtered
    const added = streams.add(merged.current)
    if (added !== null) await added
    const advanced = merged.advance()
    if (advanced !== null) await advanced
    if (step % STEP === 0 && slices.isOver) await slices.pause()
  }
  await filter.finish()
  await streams.finish()
  return streams
}

async function writeTypes(
  output: PageOutput,
  sources: readonly IndexPart[],
  slices: TimeSlices,
): Promise<{ typeCount: number; firstTypePage: number; typePageCount: number }> {
  const page = new SortedPageBuilder(newPage())
  let typeCount = 0
  let firstTypePage = 0
  let typePageCount = 0
  const endPage = async () => {
    const pageNumber = output.reserve()
    if (typePageCount++ === 0) firstTypePage = pageNumber
    await output.put(pageNumber, page.page)
    page.clear()
  }
  const cursors = []
  for (const source of sources) cursors.push(await source.types(slices))
  const merged = await MergedNames.begin(cursors)
  while (!merged.isDone) {
    const { hash, nameBytes, nameOffset, nameSize } = merged.current[0]!
    const size = typeEntrySize(nameSize)
    if (!page.fits(size)) await endPage()
    const offset = page.add(hash, size)
    const { bytes, view } = page.page
    bytes[offset] = nameSize
    for (let i = 0; i < nameSize; i++) bytes[offset + 1 + i] = nameBytes[nameOffset + i]!
    writeU48(view, offset + 1 + nameSize, merged.current[merged.current.length - 1]!.lastPosition)
    const advanced = merged.advance()
    if (advanced !== null) await advanced
    if (++typeCount % STEP === 0 && slices.isOver) await slices.pause()
  }
  if (page.count > 0) await endPage()
  return { typeCount, firstTypePage, typePageCount }
}

async function writeIds(
  output: PageOutput,
  sources: readonly IndexPart[],
  slices: TimeSlices,
): Promise<{ idCount: number; firstIdPage: number }> {
  const total = sources.reduce((sum, { suppliedIdCount }) => sum + suppliedIdCount, 0)
  let skipped = Math.max(0, total - KEPT_ID_COUNT)
  const page = newPage()
  let idCount = 0
  let firstIdPage = 0
  const endPage = async () => {
    const pageNumber = output.reserve()
    if (firstIdPage === 0) firstIdPage = pageNumber
    await output.put(pageNumber, page)
    page.bytes.fill(0)
  }
  for (const source of sources) {
    const first = Math.min(skipped, source.suppliedIdCount)
    skipped -= first
    for (let from = first; from < source.suppliedIdCount; from += IDS_PER_PAGE * 8) {
      const { ids, streamHashes, revisions, positions } = await source.suppliedIds(from, IDS_PER_PAGE * 8)
      for (let i = 0; i < positions.length; i++) {
        const offset = (idCount % IDS_PER_PAGE) * ID_ENTRY_SIZE
        for (let byte = 0; byte < EVENT_ID_SIZE; byte++) page.bytes[offset + byte] = ids[i * EVENT_ID_SIZE + byte]!
        page.view.setInt32(offset + ID_STREAM_HASH, streamHashes[i]!, true)
        writeU48(page.view, offset + ID_REVISION, revisions[i]!)
        writeU48(page.view, offset + ID_POSITION, positions[i]!)
        if (++idCount % IDS_PER_PAGE === 0) await endPage()
      }
      if (slices.isOver) await slices.pause()
    }
  }
  if (idCount % IDS_PER_PAGE !== 0) await endPage()
  return { idCount, firstIdPage }
}
