import { systemErrorCode } from '#engine/core/errors.ts'
import { BLOCK_SIZE } from '#engine/core/limits.ts'
import { LogPosition } from '#engine/core/positions.ts'
import { CHUNK_HEADER_SIZE } from '#engine/format/chunk-header.ts'
import { isUnsupported, RecordType, typeOf } from '#engine/format/log-record.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'
import { ChunkMap, type MapMark } from './chunk-map.ts'
import { type ChunkItem, type InspectionItem, recordItem, type Totals } from './inspection-items.ts'
import { AppendAssembly } from './survey/append-assembly.ts'
import { wrongBlocks } from './survey/block-check.ts'
import type { ChunkSurvey, Gap, SurveyVisitor, Tail } from './survey/chunk-survey.ts'
import type { Damage, DamageKind } from './survey/damage.ts'
import { isPrepare, streamAt } from './survey/record-fields.ts'
import { idText } from './survey/store-survey.ts'

/** Which records are shown; damage always is. */
export interface InspectionFilter {
  readonly from: number
  /** Records over all chunks. */
  readonly limit: number
  readonly stream: string | undefined
  readonly withData: boolean
}

/** Takes the items; `ready` waits until there is room for more. */
export interface InspectionSink {
  show(item: InspectionItem): void
  ready(): Promise<void>
}

/** Shows one chunk file, all that can be shown of it. */
export class ChunkInspection implements SurveyVisitor {
  readonly totals: { -readonly [Key in keyof Totals]: number } = {
    prepares: 0,
    commits: 0,
    proofs: 0,
    stubs: 0,
    damages: 0,
    recordBytes: 0,
    damagedBytes: 0,
    zeroBytes: 0,
  }
  shownCount = 0
  #hiddenCount = 0
  /** A gap was met beyond which nothing is known to have been durable. */
  #isUnproven = false
  readonly #name: string
  readonly #survey: ChunkSurvey
  readonly #filter: InspectionFilter
  readonly #sink: InspectionSink
  readonly #map: ChunkMap
  readonly #start: LogPosition
  readonly #assembly: AppendAssembly<null>

  /** @param mapCells how many characters the map may have. */
  constructor(name: string, survey: ChunkSurvey, filter: InspectionFilter, sink: InspectionSink, mapCells: number) {
    this.#name = name
    this.#survey = survey
    this.#filter = filter
    this.#sink = sink
    this.#map = new ChunkMap(survey.fileSize, mapCells)
    this.#start = survey.frame?.start ?? LogPosition.start
    this.#assembly = new AppendAssembly<null>(this.#start, () => null, {
      whole: () => {},
      // Behind a gap that may be a torn tail, or in flight, so may be what lacks events.
      cut: (_items, position, what) => {
        if (!this.#isUnproven) this.#damage('append', position, null, `an append that ${what}`)
      },
    })
  }

  async run(): Promise<void> {
    const survey = this.#survey
    this.#sink.show(this.#chunkItem())
    const { head, frame, fileSize } = survey
    this.#map.mark(0, Math.min(CHUNK_HEADER_SIZE, fileSize), head.damage === null ? 'header' : 'damage')
    if (head.damage !== null) {
      this.#damage(head.isUnsupported ? 'unsupported' : 'header', frame?.start ?? null, CHUNK_HEADER_SIZE, head.damage)
    }
    if (frame === null) {
      this.#map.mark(CHUNK_HEADER_SIZE, fileSize, 'damage')
      this.#damage('record', null, fileSize, 'nothing in the file can be recognised')
    } else {
      await this.#showRecords()
    }
    this.#sink.show({
      kind: 'chunk-end',
      ...this.totals,
      cellSize: this.#map.cellSize,
      map: this.#map.text,
      hidden: this.#hiddenCount,
    })
    await this.#sink.ready()
  }

  /** As far as the disk gives them back: with too many bad sectors they end. */
  async #showRecords(): Promise<void> {
    const survey = this.#survey
    try {
      await survey.walk(this)
      await this.#showEnd()
    } catch (error) {
      if (systemErrorCode(error) !== 'EIO') throw error
      this.#damage('unreadable', survey.position, null, String(error))
    }
  }

  record(record: ScannedRecord): void {
    const { totals } = this
    const { size } = record
    const place = this.#survey.position
    totals.recordBytes += size
    this.#mark(place, place + size, 'records')
    const type = typeOf(record.window.view, record.offset)
    if (type === RecordType.prepare) totals.prepares++
    else if (type === RecordType.commit) totals.commits++
    else if (type === RecordType.stub) totals.stubs++
    else totals.proofs++
    const isFirst = !this.#assembly.isAmidAppend
    this.#assembly.record(record)
    if (!this.#isWanted(record)) return
    if (this.shownCount >= this.#filter.limit) {
      this.#hiddenCount++
      return
    }
    this.shownCount++
    this.#sink.show(recordItem(record, this.#survey.frame?.storeId ?? null, isFirst, this.#filter.withData))
  }

  gap(gap: Gap): boolean {
    this.#isUnproven ||= !gap.isProven
    this.#assembly.interrupt('has lost its commit record or further events')
    this.#showBad(gap, gap.end)
    return true
  }

  pause(): Promise<void> {
    return this.#sink.ready()
  }

  #isWanted(record: ScannedRecord): boolean {
    const { from, stream } = this.#filter
    if (record.position < from) return false
    return stream === undefined || (isPrepare(record) && streamAt(record.window, record.offset) === stream)
  }

  /** What stands behind the last record: zeros, a torn tail, damage, a footer. */
  async #showEnd(): Promise<void> {
    const survey = this.#survey
    const fileEnd = LogPosition.plus(this.#start, survey.fileSize)
    const { footer, tail } = survey
    if (footer !== null) {
      this.#assembly.interrupt('has no commit record in its chunk')
      this.#mark(survey.limit, fileEnd, 'footer')
      for await (const { position, size, what } of wrongBlocks(survey)) {
        this.#damage('block', position, size, what)
      }
      const { prepares, damages } = this.totals
      if (prepares !== footer.eventCount && damages === 0) {
        this.#damage('count', this.#start, null, `the footer counts ${footer.eventCount} events, there are ${prepares}`)
      }
      return
    }
    const badEnd = await survey.nonZeroEnd(survey.position)
    if (badEnd > survey.position || tail?.isProven === true) {
      const looks = survey.endsLikeFooter ? `${tail?.text}; it has the size of a footer that can't be read` : undefined
      if (tail !== null) this.#showBad(tail, badEnd, looks)
    }
    if (survey.isFollowed) {
      const what = survey.footerDamage ?? 'there is no whole footer'
      this.#damage('footer', survey.position, null, `${what}, though records stand in later chunks`)
    } else if (survey.missing !== null) this.#damage('record', survey.position, survey.missing.size, survey.missing.what)
    if (fileEnd > badEnd) {
      this.#mark(badEnd, fileEnd, 'zeros')
      this.totals.zeroBytes += fileEnd - badEnd
      this.#sink.show({ kind: 'zeros', position: badEnd, size: fileEnd - badEnd })
    }
  }

  #showBad({ position, what, text, isProven }: Tail, end: number, looks: string = text): void {
    const size = end - position
    this.#mark(position, end, isProven ? 'damage' : 'unproven')
    if (isProven) {
      this.totals.damagedBytes += size
      this.#damage(isUnsupported(what) ? 'unsupported' : 'record', position, size, looks)
    } else this.#sink.show({ kind: 'unproven', position, size, what: looks })
  }

  #mark(from: number, to: number, mark: MapMark): void {
    this.#map.mark(from - this.#start, to - this.#start, mark)
  }

  #damage(kind: DamageKind, position: number | null, size: number | null, what: string): void {
    this.totals.damages++
    const damage: Damage = { file: this.#name, position, size, kind, what }
    this.#sink.show({ kind: 'damage', damage })
  }

  #chunkItem(): ChunkItem {
    const { head, frame, footer, footerDamage, fileSize } = this.#survey
    const { header } = head
    return {
      kind: 'chunk',
      file: this.#name,
      size: fileSize,
      header: head.damage ?? 'ok',
      guessedFrom: frame?.guessedFrom ?? null,
      number: header?.number ?? null,
      generation: header?.generation ?? null,
      start: frame?.start ?? null,
      chunkSize: header?.chunkSize ?? null,
      storeId: frame?.storeId ? idText(frame.storeId) : null,
      created: header === null ? null : new Date(header.createdMs).toISOString(),
      footer: footer !== null ? 'ok' : (footerDamage ?? 'none'),
      dataSize: footer?.dataSize ?? null,
      eventCount: footer?.eventCount ?? null,
      blockCount: footer === null ? null : Math.ceil(footer.dataSize / BLOCK_SIZE),
    }
  }
}
