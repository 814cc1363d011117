/**
 * What the pages of an index file hold. Byte tables: docs/format.md, "Index files".
 */
import type { LogPosition } from '../core/positions.ts'
import { type ByteWindow, readU48, readU64, writeU48, writeU64 } from './byte-window.ts'
import { CHECKSUM_CRC32 } from './checksum.ts'
import { STORE_ID_SIZE } from './chunk-header.ts'
import { CELL_SIZE, INDEX_PAGE_SIZE } from './index-pages.ts'

const MAGIC = Buffer.from('TRSINDEX')
const INDEX_VERSION = 1

const OFFSET_VERSION = 8
const OFFSET_IS_PARTIAL = 10
const OFFSET_CHECKSUM_ALGORITHM = 11
const OFFSET_PAGE_SIZE = 12
const OFFSET_STORE_ID = 16
const OFFSET_FIRST_CHUNK = 32
const OFFSET_LAST_CHUNK = 36
const OFFSET_START = 40
const OFFSET_END = 48
const OFFSET_FINGERPRINT = 56
const OFFSET_PAGE_COUNT = 60
const OFFSET_EVENT_COUNT = 64
const OFFSET_STREAM_COUNT = 72
const OFFSET_NEW_STREAM_COUNT = 80
const OFFSET_LAST_POSITION = 88
const OFFSET_LAST_CREATED = 96
const OFFSET_FILTER_BLOCK_COUNT = 104
const OFFSET_FIRST_STREAM_PAGE = 108
const OFFSET_ROOT_PAGE = 112
const OFFSET_LEVEL_COUNT = 116
const OFFSET_TYPE_COUNT = 120
const OFFSET_FIRST_TYPE_PAGE = 124
const OFFSET_TYPE_PAGE_COUNT = 128
const OFFSET_ID_COUNT = 132
const OFFSET_FIRST_ID_PAGE = 136

/** The filter begins right behind the header. */
export const FIRST_FILTER_PAGE = 1

/** What the whole file is about. */
export interface IndexCoverage {
  readonly storeId: Uint8Array
  readonly firstChunk: number
  readonly lastChunk: number
  /** The file covers the beginning of an unfinished chunk. */
  readonly isPartial: boolean
  /** Positions covered: from `start` on, below `end`. */
  readonly start: LogPosition
  readonly end: LogPosition
  /** Of the chunks as they were when the file was written. */
  readonly fingerprint: number
}

export interface IndexHeader extends IndexCoverage {
  readonly pageCount: number
  readonly eventCount: number
  readonly streamCount: number
  readonly newStreamCount: number
  readonly lastPosition: LogPosition
  readonly lastCreatedMs: number
  /** 0: there is no filter. */
  readonly filterBlockCount: number
  /** 0 when there are no streams. */
  readonly firstStreamPage: number
  /** The topmost directory page, or the only page of streams. */
  readonly rootPage: number
  /** Levels of directory pages. */
  readonly levelCount: number
  readonly typeCount: number
  readonly firstTypePage: number
  readonly typePageCount: number
  readonly idCount: number
  readonly firstIdPage: number
}

export function writeIndexHeader(page: ByteWindow, header: IndexHeader): void {
  const { bytes, view } = page
  bytes.fill(0)
  bytes.set(MAGIC, 0)
  view.setUint16(OFFSET_VERSION, INDEX_VERSION, true)
  view.setUint8(OFFSET_IS_PARTIAL, header.isPartial ? 1 : 0)
  view.setUint8(OFFSET_CHECKSUM_ALGORITHM, CHECKSUM_CRC32)
  view.setUint32(OFFSET_PAGE_SIZE, INDEX_PAGE_SIZE, true)
  bytes.set(header.storeId, OFFSET_STORE_ID)
  view.setUint32(OFFSET_FIRST_CHUNK, header.firstChunk, true)
  view.setUint32(OFFSET_LAST_CHUNK, header.lastChunk, true)
  writeU64(view, OFFSET_START, header.start)
  writeU64(view, OFFSET_END, header.end)
  view.setUint32(OFFSET_FINGERPRINT, header.fingerprint, true)
  view.setUint32(OFFSET_PAGE_COUNT, header.pageCount, true)
  writeU64(view, OFFSET_EVENT_COUNT, header.eventCount)
  writeU64(view, OFFSET_STREAM_COUNT, header.streamCount)
  writeU64(view, OFFSET_NEW_STREAM_COUNT, header.newStreamCount)
  writeU64(view, OFFSET_LAST_POSITION, header.lastPosition)
  writeU48(view, OFFSET_LAST_CREATED, header.lastCreatedMs)
  view.setUint32(OFFSET_FILTER_BLOCK_COUNT, header.filterBlockCount, true)
  view.setUint32(OFFSET_FIRST_STREAM_PAGE, header.firstStreamPage, true)
  view.setUint32(OFFSET_ROOT_PAGE, header.rootPage, true)
  view.setUint32(OFFSET_LEVEL_COUNT, header.levelCount, true)
  view.setUint32(OFFSET_TYPE_COUNT, header.typeCount, true)
  view.setUint32(OFFSET_FIRST_TYPE_PAGE, header.firstTypePage, true)
  view.setUint32(OFFSET_TYPE_PAGE_COUNT, header.typePageCount, true)
  view.setUint32(OFFSET_ID_COUNT, header.idCount, true)
  view.setUint32(OFFSET_FIRST_ID_PAGE, header.firstIdPage, true)
}

/** @param page whole, by its checksum. @returns the header, or null when a version wrote it that this one does not know. */
export function readIndexHeader({ bytes, view }: ByteWindow): IndexHeader | null {
  if (MAGIC.compare(bytes, 0, MAGIC.length) !== 0 || view.getUint16(OFFSET_VERSION, true) !== INDEX_VERSION) return null
  return {
    storeId: new Uint8Array(bytes.subarray(OFFSET_STORE_ID, OFFSET_STORE_ID + STORE_ID_SIZE)),
    firstChunk: view.getUint32(OFFSET_FIRST_CHUNK, true),
    lastChunk: view.getUint32(OFFSET_LAST_CHUNK, true),
    isPartial: view.getUint8(OFFSET_IS_PARTIAL) === 1,
    start: readU64(view, OFFSET_START) as LogPosition,
    end: readU64(view, OFFSET_END) as LogPosition,
    fingerprint: view.getUint32(OFFSET_FINGERPRINT, true),
    pageCount: view.getUint32(OFFSET_PAGE_COUNT, true),
    eventCount: readU64(view, OFFSET_EVENT_COUNT),
    streamCount: readU64(view, OFFSET_STREAM_COUNT),
    newStreamCount: readU64(view, OFFSET_NEW_STREAM_COUNT),
    lastPosition: readU64(view, OFFSET_LAST_POSITION) as LogPosition,
    lastCreatedMs: readU48(view, OFFSET_LAST_CREATED),
    filterBlockCount: view.getUint32(OFFSET_FILTER_BLOCK_COUNT, true),
    firstStreamPage: view.getUint32(OFFSET_FIRST_STREAM_PAGE, true),
    rootPage: view.getUint32(OFFSET_ROOT_PAGE, true),
    levelCount: view.getUint32(OFFSET_LEVEL_COUNT, true),
    typeCount: view.getUint32(OFFSET_TYPE_COUNT, true),
    firstTypePage: view.getUint32(OFFSET_FIRST_TYPE_PAGE, true),
    typePageCount: view.getUint32(OFFSET_TYPE_PAGE_COUNT, true),
    idCount: view.getUint32(OFFSET_ID_COUNT, true),
    firstIdPage: view.getUint32(OFFSET_FIRST_ID_PAGE, true),
  }
}

// A stream's entry: its name, and where its events are; the few events of a short run stand in the entry itself.

export const INLINE_EVENT_COUNT = 16
const FLAG_HOLES = 1
const OFFSET_FLAGS = 0
const OFFSET_INLINE_COUNT = 1
const OFFSET_NAME_SIZE = 2
const OFFSET_FIRST_REVISION = 4
const OFFSET_NAME = 10

// Behind the name of a run that is too long to stand in its entry.
const RUN_EVENT_COUNT = 0
const RUN_LAST_REVISION = 6
const RUN_LAST_POSITION = 12
const RUN_FIRST_PAGE = 18
const RUN_FIRST_CELL = 22
const RUN_REST_PAGE = 24
const RUN_SIZE = 28

/** Where the events of a long run are: cells of the first page from `firstCell` to its end, then pages in a row. */
export interface LongRun {
  readonly eventCount: number
  readonly lastRevision: number
  readonly lastPosition: number
  readonly firstPage: number
  readonly firstCell: number
  readonly restPage: number
}

export function shortEntrySize(nameSize: number, eventCount: number, hasHoles: boolean): number {
  return OFFSET_NAME + nameSize + eventCount * CELL_SIZE * (hasHoles ? 2 : 1)
}

export function longEntrySize(nameSize: number): number {
  return OFFSET_NAME + nameSize + RUN_SIZE
}

export function writeEntryHead(
  { bytes, view }: ByteWindow,
  offset: number,
  hasHoles: boolean,
  inlineCount: number,
  firstRevision: number,
  name: Uint8Array,
  nameOffset: number,
  nameSize: number,
): void {
  view.setUint8(offset + OFFSET_FLAGS, hasHoles ? FLAG_HOLES : 0)
  view.setUint8(offset + OFFSET_INLINE_COUNT, inlineCount)
  view.setUint16(offset + OFFSET_NAME_SIZE, nameSize, true)
  writeU48(view, offset + OFFSET_FIRST_REVISION, firstRevision)
  for (let i = 0, to = offset + OFFSET_NAME; i < nameSize; i++) bytes[to + i] = name[nameOffset + i]!
}

export function writeLongRun({ view }: ByteWindow, offset: number, nameSize: number, run: LongRun): void {
  const at = offset + OFFSET_NAME + nameSize
  writeU48(view, at + RUN_EVENT_COUNT, run.eventCount)
  writeU48(view, at + RUN_LAST_REVISION, run.lastRevision)
  writeU48(view, at + RUN_LAST_POSITION, run.lastPosition)
  view.setUint32(at + RUN_FIRST_PAGE, run.firstPage, true)
  view.setUint16(at + RUN_FIRST_CELL, run.firstCell, true)
  view.setUint32(at + RUN_REST_PAGE, run.restPage, true)
}

export function readLongRun(view: DataView, offset: number): LongRun {
  const at = inlineOffsetOf(view, offset)
  return {
    eventCount: readU48(view, at + RUN_EVENT_COUNT),
    lastRevision: readU48(view, at + RUN_LAST_REVISION),
    lastPosition: readU48(view, at + RUN_LAST_POSITION),
    firstPage: view.getUint32(at + RUN_FIRST_PAGE, true),
    firstCell: view.getUint16(at + RUN_FIRST_CELL, true),
    restPage: view.getUint32(at + RUN_REST_PAGE, true),
  }
}

export function entryHasHoles(view: DataView, offset: number): boolean {
  return (view.getUint8(offset + OFFSET_FLAGS) & FLAG_HOLES) !== 0
}

/** 0: it is a long run. */
export function inlineCountOf(view: DataView, offset: number): number {
  return view.getUint8(offset + OFFSET_INLINE_COUNT)
}

export function firstRevisionOf(view: DataView, offset: number): number {
  return readU48(view, offset + OFFSET_FIRST_REVISION)
}

export function entryNameOffset(offset: number): number {
  return offset + OFFSET_NAME
}

export function entryNameSize(view: DataView, offset: number): number {
  return view.getUint16(offset + OFFSET_NAME_SIZE, true)
}

/** Where the positions of a short run stand, and behind them its revisions if it has holes. */
export function inlineOffsetOf(view: DataView, offset: number): number {
  return offset + OFFSET_NAME + entryNameSize(view, offset)
}

/** Of the stream's last event in the file. */
export function lastRevisionOf(view: DataView, offset: number): number {
  const count = inlineCountOf(view, offset)
  if (count === 0) return readU48(view, inlineOffsetOf(view, offset) + RUN_LAST_REVISION)
  if (!entryHasHoles(view, offset)) return firstRevisionOf(view, offset) + count - 1
  return readU48(view, inlineOffsetOf(view, offset) + (2 * count - 1) * CELL_SIZE)
}

/** The same event's position. */
export function lastPositionOf(view: DataView, offset: number): number {
  const count = inlineCountOf(view, offset)
  return readU48(view, inlineOffsetOf(view, offset) + (count === 0 ? RUN_LAST_POSITION : (count - 1) * CELL_SIZE))
}

// An event type's entry: its size, its bytes, the position of its last event.

export function typeEntrySize(nameSize: number): number {
  return 1 + nameSize + CELL_SIZE
}

// A supplied id: 16 bytes, the hash of the stream name, revision, position.

export const ID_ENTRY_SIZE = 32
export const IDS_PER_PAGE = Math.floor((INDEX_PAGE_SIZE - 4) / ID_ENTRY_SIZE)
export const ID_STREAM_HASH = 16
export const ID_REVISION = 20
export const ID_POSITION = 26
