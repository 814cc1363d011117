import type { ByteWindow } from '#engine/format/byte-window.ts'
import {
  createdMsOf,
  dataEndOf,
  dataOffsetOf,
  eventCountOf,
  firstPrepareOf,
  flagsOf,
  metadataSizeOf,
  PrepareFlag,
  provenBy,
  RecordType,
  revisionOf,
  typeOf,
} from '#engine/format/log-record.ts'
import { stubEventTypeAt, stubHeadAt } from '#engine/format/stub.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'
import type { StoredEvent } from '#engine/streams/stored-event.ts'
import { base64 } from './event-line.ts'
import type { Damage } from './survey/damage.ts'
import type { IndexSurvey } from './survey/index-survey.ts'
import { eventTypeAt, storedEvent, streamAt } from './survey/record-fields.ts'
import { idText } from './survey/store-survey.ts'

/** What inspect shows, one after the other; with --json each is a line. */
export type InspectionItem =
  | StoreItem
  | ChunkItem
  | RecordItem
  | { readonly kind: 'damage'; readonly damage: Damage }
  | { readonly kind: 'unproven'; readonly position: number; readonly size: number; readonly what: string }
  | { readonly kind: 'zeros'; readonly position: number; readonly size: number }
  | ChunkEndItem
  | IndexItem
  | ({ readonly kind: 'totals'; readonly chunks: number } & Totals)

export interface StoreItem {
  readonly kind: 'store'
  readonly path: string
  readonly id: string | null
  readonly chunks: number
  readonly hinted: number | null
  readonly holderPid: number | null
  readonly notes: readonly string[]
}

export interface ChunkItem {
  readonly kind: 'chunk'
  readonly file: string
  readonly size: number
  /** 'ok' or what stands there. */
  readonly header: string
  /** Where position and store id come from, when the header can't say. */
  readonly guessedFrom: string | null
  readonly number: number | null
  /** How often the chunk was rewritten. */
  readonly generation: number | null
  readonly start: number | null
  readonly chunkSize: number | null
  readonly storeId: string | null
  readonly created: string | null
  /** 'ok', 'none', or what stands there. */
  readonly footer: string
  readonly dataSize: number | null
  readonly eventCount: number | null
  readonly blockCount: number | null
}

export interface RecordItem {
  readonly kind: 'record'
  /** A stub stands for an event that is gone, and names what must be remembered of it: its stream, its type. */
  readonly type: 'prepare' | 'commit' | 'proof' | 'stub'
  readonly position: number
  readonly size: number
  /** Only whole records are shown as records. */
  readonly checksum: 'ok'
  /** Everything below was durable when the record was written; null when it says nothing of that. */
  readonly proves: number | null
  readonly stream?: string
  readonly revision?: number
  readonly eventType?: string
  readonly id?: string | null
  readonly created?: string
  readonly contentType?: 'json' | 'binary'
  readonly dataSize?: number
  readonly metadataSize?: number
  /** A prepare that is its own commit, or one of several that a commit record follows. */
  readonly commit?: 'alone' | 'begins' | 'goes on'
  readonly firstPrepare?: number
  readonly eventCount?: number
  readonly data?: unknown
  readonly dataBase64?: string
  readonly metadata?: unknown
  readonly metadataBase64?: string
}

export interface Totals {
  readonly prepares: number
  readonly commits: number
  readonly proofs: number
  readonly stubs: number
  readonly damages: number
  readonly recordBytes: number
  readonly damagedBytes: number
  readonly zeroBytes: number
}

export interface ChunkEndItem extends Totals {
  readonly kind: 'chunk-end'
  readonly cellSize: number
  readonly map: string
  /** Records that --limit kept back. */
  readonly hidden: number
}

export interface IndexItem {
  readonly kind: 'index'
  readonly file: string
  readonly size: number
  /** 'ok' or what is wrong with it. */
  readonly pages: string
  /** Of the header; null when it can't be read. */
  readonly storeId: string | null
  readonly firstChunk: number | null
  readonly lastChunk: number | null
  /** It covers the beginning of a chunk that is not completed. */
  readonly isPartial: boolean | null
  /** Positions from `start` on, below `end`. */
  readonly start: number | null
  readonly end: number | null
  readonly pageCount: number | null
  readonly eventCount: number | null
  readonly streamCount: number | null
  readonly typeCount: number | null
  /** Supplied ids. */
  readonly idCount: number | null
}

const NO_INDEX_HEADER = {
  ...{ storeId: null, firstChunk: null, lastChunk: null, isPartial: null, start: null, end: null },
  ...{ pageCount: null, eventCount: null, streamCount: null, typeCount: null, idCount: null },
}

export function indexItem({ file, size, header, damage }: IndexSurvey): IndexItem {
  const item = { kind: 'index', file, size, pages: damage ?? 'ok' } as const
  if (header === null) return { ...item, ...NO_INDEX_HEADER }
  const { firstChunk, lastChunk, isPartial, start, end, pageCount, eventCount, streamCount, typeCount, idCount } = header
  const counts = { pageCount, eventCount, streamCount, typeCount, idCount }
  return { ...item, storeId: idText(header.storeId), firstChunk, lastChunk, isPartial, start, end, ...counts }
}

/** A whole record for showing. @param storeId null when it is not known: then derived ids are not, either. */
export function recordItem(record: ScannedRecord, storeId: Uint8Array | null, isFirst: boolean, withData: boolean): RecordItem {
  const { window, offset, position, size } = record
  const { view } = window
  const proven = provenBy(view, offset)
  const item = { kind: 'record', position, size, checksum: 'ok', proves: proven === 0 ? null : proven } as const
  switch (typeOf(view, offset)) {
    case RecordType.commit:
      return { ...item, type: 'commit', firstPrepare: firstPrepareOf(view, offset), eventCount: eventCountOf(view, offset) }
    case RecordType.proof:
      return { ...item, type: 'proof' }
    case RecordType.stub:
      return { ...item, type: 'stub', ...stubNames(window, offset) }
    default:
  }
  const flags = flagsOf(view, offset)
  const isIdKnown = storeId !== null || (flags & PrepareFlag.suppliedId) !== 0
  const event = storedEvent(record, storeId)
  return {
    ...item,
    type: 'prepare',
    stream: streamAt(window, offset),
    revision: revisionOf(view, offset),
    eventType: eventTypeAt(window, offset),
    id: isIdKnown ? event.id : null,
    created: new Date(createdMsOf(view, offset)).toISOString(),
    contentType: event.contentType,
    dataSize: dataEndOf(view, offset) - dataOffsetOf(view, offset),
    metadataSize: metadataSizeOf(view, offset),
    commit: flags & PrepareFlag.committed ? 'alone' : isFirst ? 'begins' : 'goes on',
    ...(withData ? payloads(event) : {}),
  }
}

function stubNames(window: ByteWindow, offset: number): Pick<RecordItem, 'stream' | 'revision' | 'eventType'> {
  const head = stubHeadAt(window, offset)
  const eventType = stubEventTypeAt(window, offset)
  return {
    ...(head === null ? {} : { stream: Buffer.from(head.stream).toString(), revision: head.revision }),
    ...(eventType === null ? {} : { eventType: Buffer.from(eventType).toString() }),
  }
}

function payloads(event: StoredEvent): Pick<RecordItem, 'data' | 'dataBase64' | 'metadata' | 'metadataBase64'> {
  const { metadata } = event
  const data = event.contentType === 'json' ? { data: event.data } : { dataBase64: base64(event.bytes) }
  if (metadata === undefined) return data
  return metadata instanceof Uint8Array ? { ...data, metadataBase64: base64(metadata) } : { ...data, metadata }
}
