/**
 * What the file `active` holds: how far the active chunk has been checked, and the checksums of its blocks up to there. Byte
 * table: docs/format.md, "The hint of the active chunk".
 */
import type { LogPosition } from '../core/positions.ts'
import { readU64, writeU64 } from './byte-window.ts'
import { checksumBytes } from './checksum.ts'
import { STORE_ID_SIZE } from './chunk-header.ts'

const MAGIC = Buffer.from('TRACTIVE')
const SLOT_VERSION = 1

const OFFSET_VERSION = 8
const OFFSET_CHECKSUM = 12
const OFFSET_STORE_ID = 16
const OFFSET_CHUNK = 32
const OFFSET_BLOCK_COUNT = 36
const OFFSET_END = 40
const OFFSET_EVENT_COUNT = 48
const OFFSET_IS_FINAL = 56
const OFFSET_BLOCKS = 64

/** Bytes of a slot that names so many blocks. */
export function activeSlotSize(blockCount: number): number {
  return OFFSET_BLOCKS + 4 * blockCount
}

export interface ActiveSlot {
  readonly storeId: Uint8Array
  /** Number of the chunk. */
  readonly chunk: number
  /** Behind a whole append, or a proof. Everything below was durable when this was written. */
  readonly end: LogPosition
  /** Events of the chunk below `end`. */
  readonly eventCount: number
  /** Written by a close: everything that the chunk's file has behind `end` is sound, too. */
  readonly isFinal: boolean
  /** One for each block of the chunk begun below `end`. */
  readonly blockChecksums: Uint32Array
}

export function encodeActiveSlot({ storeId, chunk, end, eventCount, isFinal, blockChecksums }: ActiveSlot): Buffer {
  const bytes = Buffer.alloc(activeSlotSize(blockChecksums.length))
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  bytes.set(MAGIC, 0)
  view.setUint32(OFFSET_VERSION, SLOT_VERSION, true)
  bytes.set(storeId, OFFSET_STORE_ID)
  view.setUint32(OFFSET_CHUNK, chunk, true)
  view.setUint32(OFFSET_BLOCK_COUNT, blockChecksums.length, true)
  writeU64(view, OFFSET_END, end)
  writeU64(view, OFFSET_EVENT_COUNT, eventCount)
  view.setUint8(OFFSET_IS_FINAL, isFinal ? 1 : 0)
  for (let block = 0; block < blockChecksums.length; block++) {
    view.setUint32(OFFSET_BLOCKS + 4 * block, blockChecksums[block]!, true)
  }
  view.setUint32(OFFSET_CHECKSUM, checksumBytes(bytes.subarray(OFFSET_STORE_ID)), true)
  return bytes
}

/** @returns null for anything but a whole slot of a known version; bytes behind it are what a longer one has left. */
export function decodeActiveSlot(bytes: Uint8Array): ActiveSlot | null {
  if (bytes.length < OFFSET_BLOCKS || MAGIC.compare(bytes, 0, MAGIC.length) !== 0) return null
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const size = activeSlotSize(view.getUint32(OFFSET_BLOCK_COUNT, true))
  if (view.getUint32(OFFSET_VERSION, true) !== SLOT_VERSION || size > bytes.length) return null
  if (checksumBytes(bytes.subarray(OFFSET_STORE_ID, size)) !== view.getUint32(OFFSET_CHECKSUM, true)) return null
  // Copied, as in a chunk's footer: at open V8 has not compiled anything yet.
  const blockChecksums = new Uint32Array((size - OFFSET_BLOCKS) / 4)
  new Uint8Array(blockChecksums.buffer).set(bytes.subarray(OFFSET_BLOCKS, size))
  return {
    storeId: new Uint8Array(bytes.subarray(OFFSET_STORE_ID, OFFSET_STORE_ID + STORE_ID_SIZE)),
    chunk: view.getUint32(OFFSET_CHUNK, true),
    end: readU64(view, OFFSET_END) as LogPosition,
    eventCount: readU64(view, OFFSET_EVENT_COUNT),
    isFinal: view.getUint8(OFFSET_IS_FINAL) === 1,
    blockChecksums,
  }
}
