/**
 * What stands at the position of a dropped event and says what must be remembered of it: that it was the last of its stream, or
 * the last of its type in the chunk. Byte table: docs/format.md, "Stub". Smaller than the prepare it stands for.
 */
import type { LogPosition, Revision } from '../core/positions.ts'
import { type ByteWindow, readU48, writeU48, writeU64 } from './byte-window.ts'
import { checksumRange } from './checksum.ts'
import {
  eventTypeSizeOf,
  flagsOf,
  OFFSET_CHECKSUM,
  OFFSET_EVENT_TYPE_SIZE,
  OFFSET_FLAGS,
  OFFSET_POSITION,
  OFFSET_PROOF_DISTANCE,
  OFFSET_STREAM_SIZE,
  OFFSET_STUB_BODY,
  OFFSET_STUB_REVISION,
  OFFSET_TYPE,
  PROVES_NOTHING,
  RecordType,
  STUB_OVERHEAD,
  StubFlag,
  sizeOf,
  streamSizeOf,
} from './log-record.ts'

/** The last event of a stream. */
export interface StubHead {
  /** Its name. */
  readonly stream: Uint8Array
  readonly revision: Revision
}

/** Size of the stub for such names. */
export function stubSize(head: StubHead | null, eventType: Uint8Array | null): number {
  return STUB_OVERHEAD + (head?.stream.length ?? 0) + (eventType?.length ?? 0)
}

/** Writes a stub at `offset`. @returns the offset behind it. */
export function encodeStub(
  window: ByteWindow,
  offset: number,
  position: LogPosition,
  head: StubHead | null,
  eventType: Uint8Array | null,
  seed: number,
): number {
  const { bytes, view } = window
  const size = stubSize(head, eventType)
  const streamSize = head?.stream.length ?? 0
  const flags = (head === null ? 0 : StubFlag.stream) | (eventType === null ? 0 : StubFlag.eventType)
  view.setUint32(offset, size, true)
  writeU64(view, offset + OFFSET_POSITION, position)
  view.setUint32(offset + OFFSET_PROOF_DISTANCE, PROVES_NOTHING, true)
  view.setUint8(offset + OFFSET_TYPE, RecordType.stub)
  view.setUint8(offset + OFFSET_EVENT_TYPE_SIZE, eventType?.length ?? 0)
  view.setUint16(offset + OFFSET_FLAGS, flags, true)
  view.setUint16(offset + OFFSET_STREAM_SIZE, streamSize, true)
  writeU48(view, offset + OFFSET_STUB_REVISION, head?.revision ?? 0)
  if (head !== null) bytes.set(head.stream, offset + OFFSET_STUB_BODY)
  if (eventType !== null) bytes.set(eventType, offset + OFFSET_STUB_BODY + streamSize)
  view.setUint32(offset + size - 4, size, true)
  sign(window, offset, seed)
  return offset + size
}

/** Turns the flags of the prepare at `offset` into `flags`, in place. */
export function changeFlags(window: ByteWindow, offset: number, flags: number, seed: number): void {
  window.view.setUint16(offset + OFFSET_FLAGS, flags, true)
  sign(window, offset, seed)
}

function sign(window: ByteWindow, offset: number, seed: number): void {
  const end = offset + sizeOf(window.view, offset)
  window.view.setInt32(offset + OFFSET_CHECKSUM, checksumRange(window, offset + OFFSET_POSITION, end, seed), true)
}

/** What the stub at `offset` says of a stream; null when it names none. The name is a view of the window. */
export function stubHeadAt({ bytes, view }: ByteWindow, offset: number): StubHead | null {
  if (!(flagsOf(view, offset) & StubFlag.stream)) return null
  const start = offset + OFFSET_STUB_BODY
  const revision = readU48(view, offset + OFFSET_STUB_REVISION) as Revision
  return { stream: bytes.subarray(start, start + streamSizeOf(view, offset)), revision }
}

/** The event type that the stub at `offset` names, as a view of the window; null when it names none. */
export function stubEventTypeAt({ bytes, view }: ByteWindow, offset: number): Uint8Array | null {
  if (!(flagsOf(view, offset) & StubFlag.eventType)) return null
  const start = offset + OFFSET_STUB_BODY + streamSizeOf(view, offset)
  return bytes.subarray(start, start + eventTypeSizeOf(view, offset))
}
