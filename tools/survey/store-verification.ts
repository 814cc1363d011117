import { LogPosition, Revision } from '#engine/core/positions.ts'
import type { Disk } from '#engine/disk/disk.ts'
import {
  eventTypeOffsetOf,
  eventTypeSizeOf,
  flagsOf,
  OFFSET_STUB_BODY,
  PrepareFlag,
  RecordType,
  revisionOf,
  suppliedIdOffsetOf,
  typeOf,
} from '#engine/format/log-record.ts'
import { stubEventTypeAt, stubHeadAt } from '#engine/format/stub.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'
import { NameTable } from '#engine/streams/name-table.ts'
import { hashOf } from '#engine/streams/stream-hash.ts'
import { AppendAssembly } from './append-assembly.ts'
import { wrongBlocks } from './block-check.ts'
import type { ChunkSurvey, Gap, Tail } from './chunk-survey.ts'
import { type Damage, type DamageKind, DamageList } from './damage.ts'
import { IndexComparison, type IndexedEvent, type IndexReport } from './index-comparison.ts'
import { idHash } from './index-content.ts'
import { isPrepare } from './record-fields.ts'
import { type ChunkPlace, missingBehind, type StoreSurvey } from './store-survey.ts'
import { type ChunkEnding, type StoreVisitor, walkStore } from './store-walk.ts'
import { type StreamNumber, StreamRevisions } from './stream-revisions.ts'

/** Behind such a damage nobody knows which chunks an index file is about. */
const OF_WHOLE_CHUNKS: ReadonlySet<DamageKind> = new Set(['header', 'unsupported', 'unreadable', 'missing chunk'])

/** Bytes behind the last whole append that nothing proves to have been durable: no damage. */
export interface UnprovenTail {
  /** Left by a crash, or being written by the process that has the store open. */
  readonly kind: 'torn tail' | 'in flight'
  readonly file: string
  readonly position: number
  readonly size: number
}

export interface VerificationReport {
  readonly chunkCount: number
  readonly eventCount: number
  readonly streamCount: number
  readonly verifiedSize: number
  /** Behind the last whole append. */
  readonly end: number
  /** Everything below was proven durable. */
  readonly proven: number
  readonly tail: UnprovenTail | null
  readonly damages: readonly Damage[]
  /** May be more than are listed. */
  readonly damageCount: number
  readonly indexFiles: readonly IndexReport[]
  readonly notes: readonly string[]
}

/** What a prepare means for its stream, and for the index. */
interface EventPlace extends IndexedEvent {
  readonly stream: StreamNumber
  readonly revision: Revision
}

/**
 * Reads every byte of a store and checks it. Needs no lock: of a store that is being written it believes what the flushed hint
 * covers, and looks again before it calls anything damaged.
 */
export class StoreVerification implements StoreVisitor {
  readonly #disk: Disk
  readonly #store: StoreSurvey
  readonly #signal: AbortSignal
  readonly #onProgress: (size: number, indexFile: string | null) => void
  readonly #damages = new DamageList()
  readonly #notes: string[] = []
  readonly #streams = new StreamRevisions()
  /** Of event types; the slot of a type is its number. */
  readonly #types = new NameTable()
  #indexes!: IndexComparison
  readonly #assembly: AppendAssembly<EventPlace>
  #place!: ChunkPlace
  /** Prepares of the chunk at hand. */
  #prepareCount = 0
  #chunkDamageCount = 0
  #verifiedSize = 0
  /** Of the chunks that are done. */
  #sizeBefore = 0
  #proven = LogPosition.start
  #tail: UnprovenTail | null = null
  /** A chunk that was walked lacks events on purpose: streams may lack revisions from then on. */
  #isScavenged = false

  /** @param onProgress called with the bytes of the log verified so far, and the index file that is being compared. */
  constructor(disk: Disk, store: StoreSurvey, signal: AbortSignal, onProgress: (size: number, indexFile: string | null) => void) {
    this.#disk = disk
    this.#store = store
    this.#signal = signal
    this.#onProgress = onProgress
    this.#proven = store.bounds.hinted
    for (const damage of store.damages) this.#damages.add(damage)
    this.#notes.push(...store.notes)
    this.#assembly = new AppendAssembly(LogPosition.start, record => this.#eventPlaceOf(record), {
      whole: items => {
        for (const item of items) {
          this.#checkRevision(item)
          this.#indexes.event(item)
        }
      },
      cut: (items, position, what) =>
        this.#damage('append', position, null, `an append of ${items.length} or more events ${what}`),
    })
  }

  async run(): Promise<VerificationReport> {
    this.#indexes = await IndexComparison.open(this.#disk, this.#store, this.#signal)
    try {
      return await this.#run()
    } finally {
      await this.#indexes.close()
    }
  }

  async #run(): Promise<VerificationReport> {
    for (const { name, head } of await walkStore(this.#disk, this.#store, this)) {
      // All that can be wrong with a chunk that was made ahead is its header.
      if (head.damage !== null) this.#notes.push(unusedText(name, head.damage))
    }
    const lost = missingBehind(this.#store)
    if (lost !== null) this.#damages.add(lost)
    const names = { streams: this.#streams.names, types: this.#types }
    const { reports, losses } = await this.#indexes.finish(this.#assembly.end, names, file =>
      this.#onProgress(this.#verifiedSize, file),
    )
    for (const loss of losses) this.#damages.add(loss)
    return {
      chunkCount: this.#store.chunks.length,
      eventCount: this.#assembly.eventCount,
      streamCount: this.#streams.count,
      verifiedSize: this.#verifiedSize,
      end: this.#assembly.end,
      proven: this.#proven,
      tail: this.#tail,
      damages: this.#damages.kept,
      damageCount: this.#damages.count,
      indexFiles: reports,
      notes: this.#notes,
    }
  }

  async beginChunk(place: ChunkPlace, survey: ChunkSurvey, isLast: boolean): Promise<boolean> {
    this.#place = place
    this.#prepareCount = 0
    this.#isScavenged ||= survey.isCompact
    this.#chunkDamageCount = this.#damages.count
    const { header } = survey.head
    this.#indexes.beginChunk(header?.start ?? null, header === null ? null : LogPosition.plus(header.start, header.chunkSize))
    if (!(await this.#checkHead(survey, isLast))) return false
    // A misplaced chunk may lie before what was walked; that it is misplaced has been said already.
    if (this.#assembly.end < survey.position) this.#assembly.end = survey.position
    return true
  }

  async endChunk(place: ChunkPlace, survey: ChunkSurvey, ending: ChunkEnding): Promise<void> {
    this.#proven = Math.max(this.#proven, survey.proven) as LogPosition
    this.#sizeBefore += place.size
    this.#verifiedSize = this.#sizeBefore
    if (ending === 'end of log') {
      await this.#checkEnd(survey)
      return
    }
    this.#assembly.interrupt('has no commit record in its chunk')
    if (survey.head.header !== null) this.#indexes.chunkIsComplete(survey.head.header)
    if (ending === 'without footer') {
      const what = survey.footerDamage ?? (survey.endsLikeFooter ? 'the footer is damaged' : 'there is no whole footer')
      this.#damage('footer', survey.position, null, `${what}, though records stand in later chunks`)
      return
    }
    this.#checkEventCount(survey.footer!.eventCount)
    for await (const { position, size, what } of wrongBlocks(survey)) {
      this.#damage('block', position, size, what)
    }
    this.#proven = Math.max(this.#proven, survey.limit) as LogPosition
  }

  unreadable(place: ChunkPlace, error: unknown): void {
    this.#place = place
    this.#damage('unreadable', place.start, null, String(error))
  }

  /** @returns whether there is anything to walk. */
  async #checkHead(survey: ChunkSurvey, isLast: boolean): Promise<boolean> {
    const { head, frame } = survey
    if (head.damage === null) return true
    if (head.isUnsupported) {
      this.#damage('unsupported', this.#place.start, survey.fileSize, head.damage)
      return false
    }
    if (isLast && (await this.#isUnused(survey))) {
      this.#notes.push(unusedText(this.#place.name, head.damage))
      return false
    }
    this.#damage('header', this.#place.start, null, head.damage)
    if (frame === null) this.#damage('record', this.#place.start, survey.fileSize, 'nothing in it can be recognised')
    return frame !== null
  }

  /** A last chunk without any record, and without a hint of one, was being made when the machine crashed. */
  async #isUnused(survey: ChunkSurvey): Promise<boolean> {
    const isHinted = this.#place.start !== null && this.#store.bounds.hinted > survey.position
    return this.#place.number > 0 && !isHinted && !(await survey.hasRecord())
  }

  record(record: ScannedRecord): void {
    this.#assembly.record(record)
    if (isPrepare(record)) this.#prepareCount++
    else this.#stub(record)
  }

  gap(gap: Gap): boolean {
    if (!gap.isProven) return false
    this.#assembly.interrupt('has lost its commit record or further events')
    const kind = gap.what === 'unknown type' || gap.what === 'unknown flags' ? 'unsupported' : 'record'
    this.#damage(kind, gap.position, gap.end - gap.position, gap.text)
    return true
  }

  async pause(size: number): Promise<void> {
    this.#signal.throwIfAborted()
    this.#verifiedSize += size
    this.#onProgress(this.#verifiedSize, null)
  }

  #checkRevision({ stream, revision, position }: EventPlace): void {
    const last = this.#streams.lastRevision(stream)
    const expected = last + 1
    if (revision < expected || (revision > expected && !this.#isScavenged)) {
      const what =
        revision < expected
          ? `goes back from revision ${expected - 1} to ${revision}`
          : `lacks ${revision === expected + 1 ? `revision ${expected}` : `revisions ${expected} to ${revision - 1}`}`
      this.#damage('revision', position, null, `stream '${this.#streams.nameOf(stream)}' ${what}`)
    }
    if (revision > last) this.#streams.advance(stream, revision)
  }

  /** The head of a stream stays known when its event is gone. */
  #stub({ window, offset, position }: ScannedRecord): void {
    if (typeOf(window.view, offset) !== RecordType.stub) return
    const eventType = stubEventTypeAt(window, offset)
    const type = eventType === null ? null : this.#typeNumberOf(eventType, 0, eventType.length)
    const head = stubHeadAt(window, offset)
    if (head === null) {
      this.#indexes.event({ stream: null, revision: Revision.none, position, type, id: null })
      return
    }
    const stream = this.#streams.numberOf(window.bytes, offset + OFFSET_STUB_BODY, head.stream.length)
    const place = { stream, revision: head.revision, position, type, id: null }
    this.#checkRevision(place)
    this.#indexes.event(place)
  }

  #eventPlaceOf({ window, offset, position }: ScannedRecord): EventPlace {
    const { bytes, view } = window
    const stream = this.#streams.ofEvent(window, offset)
    const hasId = (flagsOf(view, offset) & PrepareFlag.suppliedId) !== 0
    return {
      stream,
      revision: revisionOf(view, offset),
      position,
      type: this.#typeNumberOf(bytes, eventTypeOffsetOf(view, offset), eventTypeSizeOf(view, offset)),
      id: hasId ? idHash(bytes, suppliedIdOffsetOf(offset), this.#streams.names.hashOf(stream)) : null,
    }
  }

  #typeNumberOf(bytes: Uint8Array, offset: number, size: number): number {
    const hash = hashOf(bytes, offset, size)
    const found = this.#types.find(bytes, offset, size, hash)
    return found >= 0 ? found : this.#types.add(bytes, offset, size, hash)
  }

  #checkEventCount(expected: number): void {
    if (this.#prepareCount === expected || this.#damages.count > this.#chunkDamageCount) return
    this.#damage('count', this.#place.start, null, `the footer counts ${expected} events, there are ${this.#prepareCount}`)
  }

  /** What stands where the records end, in the chunk that is being filled. */
  async #checkEnd(survey: ChunkSurvey): Promise<void> {
    const { end } = this.#assembly
    const { tail } = survey
    if (tail?.isUnreadable) {
      this.#damage('record', tail.position, (await survey.nonZeroEnd(tail.position)) - tail.position, tail.text)
      return
    }
    if (this.#proven > end) {
      const isCut = survey.position >= this.#proven
      const what = isCut ? 'an append without its commit record' : endText(tail)
      this.#damage('record', isCut ? end : survey.position, null, `${what}, though everything before ${this.#proven} was durable`)
      return
    }
    const tailEnd = await survey.nonZeroEnd(end)
    if (tailEnd <= end) return
    const kind = this.#store.holderPid === null ? 'torn tail' : 'in flight'
    this.#tail = { kind, file: this.#place.name, position: end, size: tailEnd - end }
  }

  #damage(kind: DamageKind, position: number | null, size: number | null, what: string): void {
    this.#indexes.logIsDamaged(OF_WHOLE_CHUNKS.has(kind) ? null : position)
    this.#damages.add({ file: this.#place.name, position, size, kind, what })
  }
}

function unusedText(name: string, damage: string): string {
  return `${name}: ${damage}; it holds nothing, the next open replaces it`
}

function endText(tail: Tail | null): string {
  if (tail === null) return 'the file ends'
  if (tail.what === 'zeros') return 'zeros'
  return `no record (${tail.text})`
}
