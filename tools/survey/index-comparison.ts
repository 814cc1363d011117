import { LogPosition } from '#engine/core/positions.ts'
import type { Disk } from '#engine/disk/disk.ts'
import type { ChunkHeader } from '#engine/format/chunk-header.ts'
import { closeAll } from '#engine/log/close-all.ts'
import { fingerprintOf, uncovered } from '#engine/streams/chunk-ranges.ts'
import type { CompletedChunk, IndexedLog } from '#engine/streams/completed-chunks.ts'
import { fitsLog, lostEndOf } from '#engine/streams/find-index-files.ts'
import type { IndexFile } from '#engine/streams/index-file.ts'
import { IndexPageCache } from '#engine/streams/index-page-cache.ts'
import { openIndexFile } from '#engine/streams/open-index-file.ts'
import type { Damage } from './damage.ts'
import { indexContent, type LogNames } from './index-content.ts'
import { type IndexSurvey, surveyIndex } from './index-survey.ts'
import { RangeContent } from './range-content.ts'
import type { StoreSurvey } from './store-survey.ts'

const CACHE_SIZE = 8 * 1024 * 1024

/**
 * 'whole': every page is as it was written, and says what the log says. 'damaged': made again by the next open, or when the page
 * is needed. 'stale': of chunks that were rewritten since. 'superseded': a larger file says the same. 'not compared': the log
 * itself is damaged there. 'contradicts the log': it reads well and is wrong, so that nobody would notice.
 */
export type IndexState = 'whole' | 'damaged' | 'stale' | 'superseded' | 'not compared' | 'contradicts the log'

export interface IndexReport {
  readonly file: string
  readonly size: number
  readonly state: IndexState
  /** More of it, if it is not whole. */
  readonly what: string | null
  /** The first and the last chunk that it is about; null when that can't be read. */
  readonly firstChunk: number | null
  readonly lastChunk: number | null
  readonly eventCount: number | null
  readonly streamCount: number | null
}

/** What an index should say of an event, or of the stub that has remained of one. */
export interface IndexedEvent {
  /** The number of the name; null when a stub does not remember it. */
  readonly stream: number | null
  readonly revision: number
  readonly position: LogPosition
  /** The number of the name; null when a stub does not remember it. */
  readonly type: number | null
  /** Of a supplied id, by `idHash`; null when there was none. */
  readonly id: number | null
}

/** An index file, and what the log has in its range, as far as it was walked. */
interface Candidate {
  readonly survey: IndexSurvey
  /** Null when it is damaged. */
  readonly file: IndexFile | null
  readonly logContent: RangeContent
  isLogDamaged: boolean
}

/** Compares the index files of a store with its log, which somebody else walks. Files that are open stay so, whoever merges them. */
export class IndexComparison {
  readonly #store: StoreSurvey
  readonly #signal: AbortSignal
  readonly #candidates: readonly Candidate[]
  /** In the range of the chunk that is being walked. */
  #current: readonly Candidate[] = []
  readonly #chunks: (CompletedChunk & { readonly generation: number })[] = []

  private constructor(store: StoreSurvey, signal: AbortSignal, candidates: readonly Candidate[]) {
    this.#store = store
    this.#signal = signal
    this.#candidates = candidates
  }

  static async open(disk: Disk, store: StoreSurvey, signal: AbortSignal): Promise<IndexComparison> {
    const cache = new IndexPageCache(CACHE_SIZE)
    const candidates: Candidate[] = []
    for (const name of store.indexNames) {
      const survey = await surveyIndex(disk, store.directory, name, store.storeId, signal)
      if (survey === null) continue
      const isWhole = survey.damage === null && survey.header !== null
      const file = isWhole
        ? await openIndexFile(disk, store.directory, name, survey.header.storeId, cache).catch(() => null)
        : null
      // It was whole a moment ago: another process has merged it.
      if (isWhole && file === null) continue
      candidates.push({ survey, file, logContent: new RangeContent(), isLogDamaged: store.damages.length > 0 })
    }
    return new IndexComparison(store, signal, candidates)
  }

  /** A chunk is going to be walked. */
  beginChunk(start: LogPosition | null, end: LogPosition | null): void {
    this.#current = this.#candidates.filter(
      ({ file }) => file !== null && (start === null || end === null || (file.header.start < end && start < file.header.end)),
    )
  }

  event({ stream, revision, position, type, id }: IndexedEvent): void {
    for (const { file, logContent } of this.#current) {
      if (position < file!.header.start || position >= file!.header.end) continue
      if (stream !== null) logContent.addEvent(stream, revision, position)
      if (type !== null) logContent.noteType(type, position)
      if (id !== null) logContent.addId(id, revision, position)
    }
  }

  /** The log is damaged; what it says there can't be held against an index. */
  logIsDamaged(position: number | null): void {
    for (const candidate of this.#candidates) {
      const header = candidate.file?.header
      if (header !== undefined && (position === null || (position >= header.start && position < header.end))) {
        candidate.isLogDamaged = true
      }
    }
  }

  /** A chunk that will get no more records was walked to its end. */
  chunkIsComplete({ number, start, chunkSize, generation }: ChunkHeader): void {
    this.#chunks.push({ number, start, end: LogPosition.plus(start, chunkSize), generation })
  }

  /** @param end of the log. @returns what each file is, and what they know of the log that it does not have. */
  async finish(
    end: LogPosition,
    names: LogNames,
    onFile: (name: string) => void,
  ): Promise<{ readonly reports: IndexReport[]; readonly losses: Damage[] }> {
    const log = this.#indexedLog(end)
    const fitting = this.#candidates.filter(({ file }) => file !== null && fitsLog(file.header, log))
    const ranges = fitting.filter(({ file }) => !file!.header.isPartial)
    const used = uncovered(ranges.map(candidate => ({ ...candidate.file!.header, candidate }))).map(range => range.candidate)
    const losses: Damage[] = []
    const reports: IndexReport[] = []
    for (const candidate of this.#candidates) {
      const { survey, file } = candidate
      onFile(survey.file)
      const report = (state: IndexState, what: string | null): void => void reports.push({ ...placeOf(survey), state, what })
      const known = file === null || this.#store.holderPid !== null ? null : lostEndOf(file.header, log)
      if (file === null) report('damaged', `${survey.damage}; ${remedyOf(survey)}`)
      else if (known !== null && !candidate.isLogDamaged) {
        // Up to the hint, the loss has been told.
        if (known > this.#store.bounds.hinted) losses.push(lossOf(survey.file, end, known))
        report('not compared', `it knows the log up to ${known}, which ends at ${end}`)
      } else if (candidate.isLogDamaged) report('not compared', 'the log itself is damaged there')
      else if (!fitting.includes(candidate))
        report('stale', 'made of other chunks than there are now; the next open makes it again')
      else if (!file.header.isPartial && !used.includes(candidate))
        report('superseded', 'a larger one covers it; the next open removes it')
      else {
        const content = await indexContent(file, names, this.#signal)
        const what = typeof content === 'string' ? content : candidate.logContent.differenceOf(content)
        if (what === null) report('whole', null)
        else report('contradicts the log', `${what}; remove it while no process has the store open, the next open makes it again`)
      }
    }
    return { reports, losses }
  }

  #indexedLog(logEnd: LogPosition): IndexedLog {
    const generations = new Map(this.#chunks.map(({ number, generation }) => [number, generation]))
    return {
      storeId: this.#store.storeId ?? new Uint8Array(),
      completedChunks: this.#chunks,
      logEnd,
      fingerprintOf: (firstChunk, lastChunk) => fingerprintOf({ firstChunk, lastChunk }, number => generations.get(number) ?? 0),
    }
  }

  close(): Promise<void> {
    return closeAll(this.#candidates.flatMap(({ file }) => (file === null ? [] : [file])))
  }
}

function placeOf({ file, size, header }: IndexSurvey): Omit<IndexReport, 'state' | 'what'> {
  const { firstChunk = null, lastChunk = null, eventCount = null, streamCount = null } = header ?? {}
  return { file, size, firstChunk, lastChunk, eventCount, streamCount }
}

/** The store looks at the header when it opens, and at the other pages when it needs them. */
function remedyOf({ isHeaderWhole }: IndexSurvey): string {
  return isHeaderWhole ? 'it is made again from the log when the page is needed' : 'the next open makes it again from the log'
}

function lossOf(file: string, end: LogPosition, known: LogPosition): Damage {
  const what = `an index knows the log up to ${known}, but the log ends here`
  return { file, position: end, size: known - end, kind: 'record', what }
}
