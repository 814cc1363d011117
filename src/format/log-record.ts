/**
 * What is framed in a chunk. Bytes and their meaning: docs/format.md, "Records". Pure: no I/O, no state.
 *
 *        0       4          8          16               20     21        22      24            size-4   size
 *        | size  | checksum | position | proof distance | type | (field) | flags | body ...    | size   |
 *
 * The checksum covers everything behind it, and begins with the checksum of the store's id: zeros, misplaced, foreign and
 * rotten bytes are refused. The size stands at both ends, so that one can walk backwards; type is never zero.
 */
import { MAX_APPEND_SIZE } from '../core/limits.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import { type ByteWindow, readU48, readU64 } from './byte-window.ts'
import { checksumBytes, checksumRange } from './checksum.ts'

export const RecordType = { prepare: 1, commit: 2, proof: 3, stub: 4 } as const
export type RecordType = (typeof RecordType)[keyof typeof RecordType]

/** Flags of a prepare. Bits not named here belong to features that this version does not know; a reader refuses them. */
export const PrepareFlag = {
  /** The lone prepare of its append: it is its own commit. */
  committed: 1,
  jsonData: 2,
  /** A supplied id of 16 bytes stands in front of the stream name. */
  suppliedId: 4,
  hasMetadata: 8,
  jsonMetadata: 16,
} as const
const KNOWN_PREPARE_FLAGS = 31

/** Flags of a stub: what it names. */
export const StubFlag = {
  /** The event was the last of its stream. */
  stream: 1,
  /** The event was the last of its type in the chunk. */
  eventType: 2,
} as const
const KNOWN_STUB_FLAGS = 3

/** Before the body: size, checksum, position, proof distance, type, field, flags. */
export const RECORD_HEAD_SIZE = 24
/** Everything of a prepare but id, stream name, event type, metadata and data. */
export const PREPARE_OVERHEAD = 46
export const COMMIT_RECORD_SIZE = 36
export const PROOF_RECORD_SIZE = 28
/** Everything of a stub but stream name and event type. */
export const STUB_OVERHEAD = 36
export const MIN_RECORD_SIZE = PROOF_RECORD_SIZE

/** Proof distance of a record that proves nothing: the distance did not fit, or nothing was proven yet. */
export const PROVES_NOTHING = 0xffff_ffff

export const OFFSET_CHECKSUM = 4
export const OFFSET_POSITION = 8
export const OFFSET_PROOF_DISTANCE = 16
export const OFFSET_TYPE = 20
export const OFFSET_EVENT_TYPE_SIZE = 21
export const OFFSET_FLAGS = 22
export const OFFSET_STREAM_SIZE = 24
export const OFFSET_CREATED = 26
export const OFFSET_REVISION = 32
export const OFFSET_METADATA_SIZE = 38
export const OFFSET_PREPARE_BODY = 42
export const OFFSET_FIRST_PREPARE_DISTANCE = 24
export const OFFSET_EVENT_COUNT = 28
export const OFFSET_STUB_REVISION = 26
export const OFFSET_STUB_BODY = 32

/** What the checksums of a store's records begin with. */
export function checksumSeed(storeId: Uint8Array): number {
  return checksumBytes(storeId) | 0
}

/** The place where a record that starts at `offset` says its own position. */
export function claimedPositionAt(view: DataView, offset: number): number {
  return readU64(view, offset + OFFSET_POSITION)
}

/** Why the bytes at a place are no record. */
export type RecordDamage =
  | 'zeros'
  | 'cut off'
  | 'implausible size'
  | 'sizes differ'
  | 'wrong position'
  | 'wrong checksum'
  | 'unknown type'
  | 'unknown flags'
  | 'fields exceed the record'

/**
 * Checks the whole record at `offset`, reading nothing at or beyond `limit`, before any of its fields is believed.
 * @returns its size, or why there is none.
 */
export function checkRecord(
  window: ByteWindow,
  offset: number,
  limit: number,
  position: LogPosition,
  seed: number,
): number | RecordDamage {
  const damage = checkFrame(window, offset, limit)
  if (typeof damage !== 'number') return damage
  if (readU64(window.view, offset + OFFSET_POSITION) !== position) return 'wrong position'
  return checkContent(window, offset, damage, seed)
}

/**
 * The same in a compact chunk, where nobody knows which position comes next: it must be from `from` on and below `to`.
 * The record's own position is `positionOf`.
 */
export function checkCompactRecord(
  window: ByteWindow,
  offset: number,
  limit: number,
  from: LogPosition,
  to: LogPosition,
  seed: number,
): number | RecordDamage {
  const size = checkCompactFrame(window, offset, limit, from, to)
  return typeof size === 'number' ? checkContent(window, offset, size, seed) : size
}

/** The same without the checksum: for bytes whose block's checksum has spoken for them. */
export function checkCompactFrame(
  window: ByteWindow,
  offset: number,
  limit: number,
  from: LogPosition,
  to: LogPosition,
): number | RecordDamage {
  const size = checkFrame(window, offset, limit)
  if (typeof size !== 'number') return size
  const position = readU64(window.view, offset + OFFSET_POSITION)
  return position >= from && position + size <= to ? checkFields(window.view, offset, size) : 'wrong position'
}

/** The frame alone: both sizes are there, agree and fit. */
export function checkFrame(window: ByteWindow, offset: number, limit: number): number | RecordDamage {
  const { view } = window
  if (offset + MIN_RECORD_SIZE > limit) return 'cut off'
  const size = view.getUint32(offset, true)
  if (size < MIN_RECORD_SIZE || size > MAX_APPEND_SIZE) return size === 0 ? 'zeros' : 'implausible size'
  if (size > limit - offset) return 'cut off'
  if (view.getUint32(offset + size - 4, true) !== size) return 'sizes differ'
  return size
}

/** Checksum and fields of a record whose frame holds. */
function checkContent(window: ByteWindow, offset: number, size: number, seed: number): number | RecordDamage {
  const checksum = checksumRange(window, offset + OFFSET_POSITION, offset + size, seed)
  if (checksum !== window.view.getInt32(offset + OFFSET_CHECKSUM, true)) return 'wrong checksum'
  return checkFields(window.view, offset, size)
}

/** The fields alone of a record whose frame holds: type and flags are known, and nothing reaches beyond the record. */
export function checkFields(view: DataView, offset: number, size: number): number | RecordDamage {
  const flags = view.getUint16(offset + OFFSET_FLAGS, true)
  switch (view.getUint8(offset + OFFSET_TYPE)) {
    case RecordType.prepare:
      if (flags & ~KNOWN_PREPARE_FLAGS) return 'unknown flags'
      return size >= PREPARE_OVERHEAD && dataOffsetOf(view, offset) <= offset + size - 4 ? size : 'fields exceed the record'
    case RecordType.commit:
      if (flags !== 0) return 'unknown flags'
      return size === COMMIT_RECORD_SIZE ? size : 'fields exceed the record'
    case RecordType.proof:
      if (flags !== 0) return 'unknown flags'
      return size === PROOF_RECORD_SIZE ? size : 'fields exceed the record'
    case RecordType.stub:
      if (flags & ~KNOWN_STUB_FLAGS) return 'unknown flags'
      return size === STUB_OVERHEAD + streamSizeOf(view, offset) + eventTypeSizeOf(view, offset)
        ? size
        : 'fields exceed the record'
    default:
      return 'unknown type'
  }
}

/** True for damage that a newer version explains: the bytes are whole, this version can't read them. */
export function isUnsupported(damage: RecordDamage): boolean {
  return damage === 'unknown type' || damage === 'unknown flags'
}

// Field readers, for records that checkRecord has accepted.

export function sizeOf(view: DataView, offset: number): number {
  return view.getUint32(offset, true)
}

/** Size of the record that ends at `end`. */
export function sizeBefore(view: DataView, end: number): number {
  return view.getUint32(end - 4, true)
}

export function positionOf(view: DataView, offset: number): LogPosition {
  return readU64(view, offset + OFFSET_POSITION) as LogPosition
}

/** The position that was proven durable when the record was encoded; 0 when the record proves nothing. */
export function provenBy(view: DataView, offset: number): LogPosition {
  const distance = view.getUint32(offset + OFFSET_PROOF_DISTANCE, true)
  return (distance === PROVES_NOTHING ? 0 : positionOf(view, offset) - distance) as LogPosition
}

export function typeOf(view: DataView, offset: number): RecordType {
  return view.getUint8(offset + OFFSET_TYPE) as RecordType
}

export function flagsOf(view: DataView, offset: number): number {
  return view.getUint16(offset + OFFSET_FLAGS, true)
}

export function revisionOf(view: DataView, offset: number): Revision {
  return readU48(view, offset + OFFSET_REVISION) as Revision
}

export function createdMsOf(view: DataView, offset: number): number {
  return readU48(view, offset + OFFSET_CREATED)
}

export function streamSizeOf(view: DataView, offset: number): number {
  return view.getUint16(offset + OFFSET_STREAM_SIZE, true)
}

export function eventTypeSizeOf(view: DataView, offset: number): number {
  return view.getUint8(offset + OFFSET_EVENT_TYPE_SIZE)
}

export function metadataSizeOf(view: DataView, offset: number): number {
  return view.getUint32(offset + OFFSET_METADATA_SIZE, true)
}

/** Where the supplied id stands, if the flag says that there is one. */
export function suppliedIdOffsetOf(offset: number): number {
  return offset + OFFSET_PREPARE_BODY
}

export function streamOffsetOf(view: DataView, offset: number): number {
  return offset + OFFSET_PREPARE_BODY + (flagsOf(view, offset) & PrepareFlag.suppliedId ? 16 : 0)
}

export function eventTypeOffsetOf(view: DataView, offset: number): number {
  return streamOffsetOf(view, offset) + streamSizeOf(view, offset)
}

export function metadataOffsetOf(view: DataView, offset: number): number {
  return eventTypeOffsetOf(view, offset) + eventTypeSizeOf(view, offset)
}

export function dataOffsetOf(view: DataView, offset: number): number {
  return metadataOffsetOf(view, offset) + metadataSizeOf(view, offset)
}

/** The data ends here; behind it stands only the size. */
export function dataEndOf(view: DataView, offset: number): number {
  return offset + sizeOf(view, offset) - 4
}

/** Position of the first prepare that the commit record at `offset` makes count. */
export function firstPrepareOf(view: DataView, offset: number): LogPosition {
  return (positionOf(view, offset) - view.getUint32(offset + OFFSET_FIRST_PREPARE_DISTANCE, true)) as LogPosition
}

export function eventCountOf(view: DataView, offset: number): number {
  return view.getUint32(offset + OFFSET_EVENT_COUNT, true)
}
