/**
 * The one slot of the file `flushed`: the position below which everything is durable. Overwritten after each fdatasync and
 * never synced, so it may be old, never too new. Byte table: docs/format.md, "The flushed hint".
 */
import type { LogPosition } from '../core/positions.ts'
import { readU64, writeU64 } from './byte-window.ts'
import { checksumBytes } from './checksum.ts'
import { STORE_ID_SIZE } from './chunk-header.ts'

export const FLUSHED_SLOT_SIZE = 64

const MAGIC = Buffer.from('TRFLUSHD')
const SLOT_VERSION = 1

const OFFSET_VERSION = 8
const OFFSET_STORE_ID = 16
const OFFSET_POSITION = 32
const OFFSET_CHECKSUM = FLUSHED_SLOT_SIZE - 4

export interface FlushedSlot {
  readonly storeId: Uint8Array
  readonly position: LogPosition
}

export function encodeFlushedSlot(slot: FlushedSlot): Buffer {
  const bytes = Buffer.alloc(FLUSHED_SLOT_SIZE)
  bytes.set(MAGIC, 0)
  bytes.writeUInt32LE(SLOT_VERSION, OFFSET_VERSION)
  bytes.set(slot.storeId, OFFSET_STORE_ID)
  updateFlushedSlot(bytes, slot.position)
  return bytes
}

/** Puts another position into an encoded slot. */
export function updateFlushedSlot(bytes: Buffer, position: LogPosition): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  writeU64(view, OFFSET_POSITION, position)
  view.setUint32(OFFSET_CHECKSUM, checksumBytes(bytes.subarray(0, OFFSET_CHECKSUM)), true)
}

/** @returns null for anything but a whole slot of a known version: a hint that can't be read is no hint. */
export function decodeFlushedSlot(bytes: Uint8Array): FlushedSlot | null {
  if (bytes.length < FLUSHED_SLOT_SIZE || MAGIC.compare(bytes, 0, MAGIC.length) !== 0) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (view.getUint32(OFFSET_VERSION, true) !== SLOT_VERSION) return null
  if (checksumBytes(bytes.subarray(0, OFFSET_CHECKSUM)) !== view.getUint32(OFFSET_CHECKSUM, true)) return null
  const position = readU64(view, OFFSET_POSITION)
  if (!Number.isSafeInteger(position)) return null
  return {
    storeId: new Uint8Array(bytes.subarray(OFFSET_STORE_ID, OFFSET_STORE_ID + STORE_ID_SIZE)),
    position: position as LogPosition,
  }
}
