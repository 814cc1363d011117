/** Writing records in place: sizes first, so that "does it fit" is arithmetic, then bytes. The layout is that of log-record.ts. */
import { InvalidArgumentError } from '../core/errors.ts'
import { LogPosition, type Revision } from '../core/positions.ts'
import { type ByteWindow, TWO_POW_32, writeU48, writeU64 } from './byte-window.ts'
import { checksumRange } from './checksum.ts'
import {
  COMMIT_RECORD_SIZE,
  OFFSET_CHECKSUM,
  OFFSET_CREATED,
  OFFSET_EVENT_COUNT,
  OFFSET_EVENT_TYPE_SIZE,
  OFFSET_FIRST_PREPARE_DISTANCE,
  OFFSET_FLAGS,
  OFFSET_METADATA_SIZE,
  OFFSET_POSITION,
  OFFSET_PREPARE_BODY,
  OFFSET_PROOF_DISTANCE,
  OFFSET_REVISION,
  OFFSET_STREAM_SIZE,
  OFFSET_TYPE,
  PREPARE_OVERHEAD,
  PROOF_RECORD_SIZE,
  PROVES_NOTHING,
  PrepareFlag,
  RecordType,
} from './log-record.ts'

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

/** @throws InvalidArgumentError when its buffer was transferred or resized since the call: nothing else of it can be told any more */
function writePayload(target: Buffer, payload: Uint8Array | string, size: number, at: number): number {
  if (typeof payload !== 'string') {
    if (payload.length !== size) throw new InvalidArgumentError('bytes changed their size before the append was settled')
    // Of no bytes the buffer may be gone, too.
    if (size > 0) target.set(payload, at)
  } else target.write(payload, at, size, payload.length === size ? 'latin1' : 'utf8')
  return at + size
}
