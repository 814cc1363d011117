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
import { LogPosition, type Revision } from '../core/positions.ts'
import { type ByteWindow, readU48, readU64, TWO_POW_32, writeU48, writeU64 } from './byte-window.ts'
import { checksumBytes, checksumRange } from './checksum.ts'

export const RecordType = { prepare: 1, commit: 2, proof: 3 } as const
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

/** Before the body: size, checksum, position, proof distance, type, field, flags. */
export const RECORD_HEAD_SIZE = 24
/** Everything of a prepare but id, stream name, event type, metadata and data. */
export const PREPARE_OVERHEAD = 46
export const COMMIT_RECORD_SIZE = 36
export const PROOF_RECORD_SIZE = 28
export const MIN_RECORD_SIZE = PROOF_RECORD_SIZE

/** Proof distance of a record that proves nothing: the distance did not fit, or nothing was proven yet. */
export const PROVES_NOTHING = 0xffff_ffff

const OFFSET_CHECKSUM = 4
const OFFSET_POSITION = 8
const OFFSET_PROOF_DISTANCE = 16
const OFFSET_TYPE = 20
const OFFSET_EVENT_TYPE_SIZE = 21
const OFFSET_FLAGS = 22
const OFFSET_STREAM_SIZE = 24
const OFFSET_CREATED = 26
const OFFSET_REVISION = 32
const OFFSET_METADATA_SIZE = 38
const OFFSET_PREPARE_BODY = 42
const OFFSET_FIRST_PREPARE_DISTANCE = 24
const OFFSET_EVENT_COUNT = 28

/** One event on its way into the log. JSON stays a string until it is written in place. */
export interface EncodableEvent {
  readonly eventType: Uint8Array
  readonly data: Uint8Array | string
  /** Bytes of `data` on disk. */
  readonly dataSize: number
  readonly metadata: Uint8Array | string | undefined
  readonly metadataSize: number
  readonly suppliedId: Uint8Array | undefined
}

/** What the checksums of a store's records begin with. */
export function checksumSeed(storeId: Uint8Array): number {
  return checksumBytes(storeId) | 0
}

/** The place where a record that starts at `offset` says its own position. */
export function claimedPositionAt(view: DataView, offset: number): number {
  return readU64(view, offset + OFFSET_POSITION)
}

/** Bytes of a payload on disk. */
export function payloadSize(payload: Uint8Array | string): number {
  return typeof payload === 'string' ? Buffer.byteLength(payload) : payload.length
}

/** Size of the prepare that carries `event` in a stream whose name has `streamSize` bytes. */
export function prepareSize(event: EncodableEvent, streamSize: number): number {
  return (
    PREPARE_OVERHEAD +
    (event.suppliedId === undefined ? 0 : 16) +
    streamSize +
    event.eventType.length +
    event.metadataSize +
    event.dataSize
  )
}

/**
 * What the records of one slice have in common. Set once and read for each: as arguments, numbers that are no small integers
 * would be boxed on every call.
 */
export class RecordStamp {
  /** What checksums begin with, see `checksumSeed`. */
  readonly seed: number
  /** Everything below is durable. */
  proven = LogPosition.start
  /** Position of the first byte of the window that is encoded into. */
  base = LogPosition.start
  #createdLow = 0
  #createdHigh = 0

  constructor(seed: number) {
    this.seed = seed
  }

  /** Milliseconds since 1970. */
  set createdMs(createdMs: number) {
    this.#createdLow = createdMs | 0
    this.#createdHigh = Math.floor(createdMs / TWO_POW_32)
  }

  get createdLow(): number {
    return this.#createdLow
  }

  get createdHigh(): number {
    return this.#createdHigh
  }
}

/** Writes a prepare at `offset`. @returns the offset behind it. */
export function encodePrepare(
  window: ByteWindow,
  offset: number,
  stamp: RecordStamp,
  committed: boolean,
  stream: Uint8Array,
  revision: Revision,
  event: EncodableEvent,
): number {
  const { bytes, view } = window
  let flags = committed ? PrepareFlag.committed : 0
  if (typeof event.data === 'string') flags |= PrepareFlag.jsonData
  view.setUint8(offset + OFFSET_EVENT_TYPE_SIZE, event.eventType.length)
  view.setUint16(offset + OFFSET_STREAM_SIZE, stream.length, true)
  view.setInt32(offset + OFFSET_CREATED, stamp.createdLow, true)
  view.setUint16(offset + OFFSET_CREATED + 4, stamp.createdHigh, true)
  writeU48(view, offset + OFFSET_REVISION, revision)
  view.setUint32(offset + OFFSET_METADATA_SIZE, event.metadataSize, true)
  let at = offset + OFFSET_PREPARE_BODY
  if (event.suppliedId !== undefined) {
    flags |= PrepareFlag.suppliedId
    bytes.set(event.suppliedId, at)
    at += 16
  }
  at = copySmall(bytes, stream, at)
  at = copySmall(bytes, event.eventType, at)
  if (event.metadata !== undefined) {
    flags |= PrepareFlag.hasMetadata
    if (typeof event.metadata === 'string') flags |= PrepareFlag.jsonMetadata
    at = writePayload(bytes, event.metadata, event.metadataSize, at)
  }
  at = writePayload(bytes, event.data, event.dataSize, at)
  return frame(window, offset, at, stamp, RecordType.prepare, flags)
}

/** Writes a commit record for the `eventCount` prepares from the offset `firstPrepare` up to it. @returns the offset behind it. */
export function encodeCommit(
  window: ByteWindow,
  offset: number,
  stamp: RecordStamp,
  firstPrepare: number,
  eventCount: number,
): number {
  window.view.setUint8(offset + OFFSET_EVENT_TYPE_SIZE, 0)
  window.view.setUint32(offset + OFFSET_FIRST_PREPARE_DISTANCE, offset - firstPrepare, true)
  window.view.setUint32(offset + OFFSET_EVENT_COUNT, eventCount, true)
  return frame(window, offset, offset + COMMIT_RECORD_SIZE - 4, stamp, RecordType.commit, 0)
}

/** Writes a record whose only message is its proof distance. @returns the offset behind it. */
export function encodeProof(window: ByteWindow, offset: number, stamp: RecordStamp): number {
  window.view.setUint8(offset + OFFSET_EVENT_TYPE_SIZE, 0)
  return frame(window, offset, offset + PROOF_RECORD_SIZE - 4, stamp, RecordType.proof, 0)
}

function frame(window: ByteWindow, offset: number, tail: number, stamp: RecordStamp, type: RecordType, flags: number): number {
  const { view } = window
  const end = tail + 4
  const position = stamp.base + offset
  view.setUint32(offset, end - offset, true)
  writeU64(view, offset + OFFSET_POSITION, position)
  view.setUint32(offset + OFFSET_PROOF_DISTANCE, Math.min(position - stamp.proven, PROVES_NOTHING), true)
  view.setUint8(offset + OFFSET_TYPE, type)
  view.setUint16(offset + OFFSET_FLAGS, flags, true)
  view.setUint32(tail, end - offset, true)
  view.setInt32(offset + OFFSET_CHECKSUM, checksumRange(window, offset + OFFSET_POSITION, end, stamp.seed), true)
  return end
}

/** Names and types are mostly below 32 bytes, where a loop beats the call behind `set`. */
function copySmall(target: Uint8Array, source: Uint8Array, at: number): number {
  const size = source.length
  if (size > 32) target.set(source, at)
  else for (let i = 0; i < size; i++) target[at + i] = source[i]!
  return at + size
}

function writePayload(target: Buffer, payload: Uint8Array | string, size: number, at: number): number {
  if (typeof payload !== 'string') target.set(payload, at)
  else target.write(payload, at, size, payload.length === size ? 'latin1' : 'utf8')
  return at + size
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
export function checkContent(window: ByteWindow, offset: number, size: number, seed: number): number | RecordDamage {
  const { view } = window
  const checksum = checksumRange(window, offset + OFFSET_POSITION, offset + size, seed)
  if (checksum !== view.getInt32(offset + OFFSET_CHECKSUM, true)) return 'wrong checksum'
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
