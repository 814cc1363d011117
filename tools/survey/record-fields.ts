import { ByteWindow } from '#engine/format/byte-window.ts'
import {
  checkFrame,
  dataOffsetOf,
  eventTypeOffsetOf,
  eventTypeSizeOf,
  PREPARE_OVERHEAD,
  RecordType,
  revisionOf,
  streamOffsetOf,
  streamSizeOf,
  typeOf,
} from '#engine/format/log-record.ts'
import type { ScannedRecord } from '#engine/log/chunk-scan.ts'
import { StoredEvent } from '#engine/streams/stored-event.ts'
import { printable } from '../output.ts'

export function streamAt({ bytes, view }: ByteWindow, offset: number): string {
  const start = streamOffsetOf(view, offset)
  return bytes.toString('utf8', start, start + streamSizeOf(view, offset))
}

export function eventTypeAt({ bytes, view }: ByteWindow, offset: number): string {
  const start = eventTypeOffsetOf(view, offset)
  return bytes.toString('utf8', start, start + eventTypeSizeOf(view, offset))
}

export function isPrepare({ window, offset }: ScannedRecord): boolean {
  return typeOf(window.view, offset) === RecordType.prepare
}

/** The event in a prepare, in memory of its own. @param storeId null when it is not known: ids that derive from it are wrong then. */
export function storedEvent({ window, offset, size }: ScannedRecord, storeId: Uint8Array | null): StoredEvent {
  const own = ByteWindow.allocate(size)
  window.bytes.copy(own.bytes, 0, offset, offset + size)
  return new StoredEvent(own, 0, storeId ?? new Uint8Array(16))
}

/** What a record says of itself whose frame holds but whose checksum does not; null when there is no such frame. */
export function claimsOf(window: ByteWindow, offset: number, limit: number): string | null {
  const size = checkFrame(window, offset, limit)
  if (typeof size !== 'number') return null
  const { view } = window
  if (typeOf(view, offset) !== RecordType.prepare) return `${size} bytes`
  if (size < PREPARE_OVERHEAD || dataOffsetOf(view, offset) > offset + size - 4) return `${size} bytes`
  const stream = printable(streamAt(window, offset))
  return `it says it is revision ${revisionOf(view, offset)} of '${stream}', a ${printable(eventTypeAt(window, offset))} of ${size} bytes`
}
