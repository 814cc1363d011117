/**
 * What a completed chunk ends with: a CRC-32 for each 64 KiB block of header and records, then 64 bytes about them. In a compact
 * chunk, one that was rewritten without its dead records, a block directory stands between the two.
 * Byte table: docs/format.md, "Chunk footer". No byte of a completed file is uncovered: the blocks cover header and records,
 * the footer's checksum covers the tables and the footer.
 */
import { BLOCK_SIZE } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { BLOCK_ENTRY_SIZE, BlockDirectory } from './block-directory.ts'
import { readU64, writeU64 } from './byte-window.ts'
import { checksumBytes } from './checksum.ts'
import { STORE_ID_SIZE } from './chunk-header.ts'

export const CHUNK_FOOTER_SIZE = 64

const MAGIC = Buffer.from('TRFOOTER')
const FOOTER_VERSION = 1
const COMPACT_FOOTER_VERSION = 2

const OFFSET_VERSION = 8
const OFFSET_BLOCK_COUNT = 12
const OFFSET_DATA_SIZE = 16
const OFFSET_START = 24
const OFFSET_EVENT_COUNT = 32
const OFFSET_STORE_ID = 40
const OFFSET_END_DISTANCE = 56
const OFFSET_CHECKSUM = CHUNK_FOOTER_SIZE - 4

export interface ChunkFooter {
  /** Position of the chunk's first byte, as in its header. */
  readonly start: LogPosition
  /** Header and records, in bytes: the block table begins here. */
  readonly dataSize: number
  /** Prepares in the chunk. */
  readonly eventCount: number
  readonly storeId: Uint8Array
  readonly blockChecksums: Uint32Array
  /** Where the records of a compact chunk are; null in a chunk as the writer left it, where position and offset agree. */
  readonly directory: BlockDirectory | null
}

export function blockCountOf(dataSize: number): number {
  return Math.ceil(dataSize / BLOCK_SIZE)
}

/** How much of a chunk of `chunkSize` must stay free for block table and footer. */
export function footerReserve(chunkSize: number): number {
  return CHUNK_FOOTER_SIZE + 4 * blockCountOf(chunkSize)
}

export function encodeChunkFooter(footer: ChunkFooter): Buffer {
  const { directory } = footer
  const blockCount = footer.blockChecksums.length
  const tableSize = blockCount * (directory === null ? 4 : 4 + BLOCK_ENTRY_SIZE)
  const bytes = Buffer.alloc(tableSize + CHUNK_FOOTER_SIZE)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  footer.blockChecksums.forEach((checksum, block) => {
    view.setUint32(block * 4, checksum, true)
  })
  directory?.encode(view, blockCount * 4)
  bytes.set(MAGIC, tableSize)
  view.setUint32(tableSize + OFFSET_VERSION, directory === null ? FOOTER_VERSION : COMPACT_FOOTER_VERSION, true)
  view.setUint32(tableSize + OFFSET_BLOCK_COUNT, blockCount, true)
  writeU64(view, tableSize + OFFSET_DATA_SIZE, footer.dataSize)
  writeU64(view, tableSize + OFFSET_START, footer.start)
  writeU64(view, tableSize + OFFSET_EVENT_COUNT, footer.eventCount)
  bytes.set(footer.storeId, tableSize + OFFSET_STORE_ID)
  view.setUint32(tableSize + OFFSET_END_DISTANCE, directory?.endDistance ?? 0, true)
  view.setUint32(tableSize + OFFSET_CHECKSUM, checksumBytes(bytes.subarray(0, tableSize + OFFSET_CHECKSUM)), true)
  return bytes
}

/** The most bytes that tables and footer can have in a file of this size. */
export function maxFooterSize(fileSize: number, isCompact: boolean): number {
  return CHUNK_FOOTER_SIZE + blockCountOf(fileSize) * (isCompact ? 4 + BLOCK_ENTRY_SIZE : 4)
}

/** How many bytes tables and footer have, told by the last 64 bytes of a file; null when they are no footer. */
export function footerSizeOf(last: Uint8Array, fileSize: number): number | null {
  if (last.length < CHUNK_FOOTER_SIZE || MAGIC.compare(last, 0, MAGIC.length) !== 0) return null
  const view = new DataView(last.buffer, last.byteOffset, last.byteLength)
  const entrySize = view.getUint32(OFFSET_VERSION, true) === COMPACT_FOOTER_VERSION ? 4 + BLOCK_ENTRY_SIZE : 4
  const size = view.getUint32(OFFSET_BLOCK_COUNT, true) * entrySize + CHUNK_FOOTER_SIZE
  return size <= fileSize ? size : null
}

/** @param bytes tables and footer, exactly. @returns the footer, or what stands there instead. */
export function decodeChunkFooter(bytes: Uint8Array, fileSize: number): ChunkFooter | string {
  const tableSize = bytes.length - CHUNK_FOOTER_SIZE
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (checksumBytes(bytes.subarray(0, tableSize + OFFSET_CHECKSUM)) !== view.getUint32(tableSize + OFFSET_CHECKSUM, true)) {
    return 'a chunk footer with a wrong checksum'
  }
  const version = view.getUint32(tableSize + OFFSET_VERSION, true)
  if (version !== FOOTER_VERSION && version !== COMPACT_FOOTER_VERSION) return `a chunk footer of version ${version}`
  const dataSize = readU64(view, tableSize + OFFSET_DATA_SIZE)
  const isCompact = version === COMPACT_FOOTER_VERSION
  const blockCount = blockCountOf(dataSize)
  if (dataSize + bytes.length !== fileSize || blockCount * (isCompact ? 4 + BLOCK_ENTRY_SIZE : 4) !== tableSize)
    return 'a chunk footer that does not fit its file'
  // Copied, not read one by one: at open they are a thousand for each chunk, and V8 has not compiled anything yet.
  const blockChecksums = new Uint32Array(blockCount)
  new Uint8Array(blockChecksums.buffer).set(bytes.subarray(0, blockCount * 4))
  const directory = isCompact
    ? BlockDirectory.decode(view, blockCount * 4, blockCount, view.getUint32(tableSize + OFFSET_END_DISTANCE, true))
    : null
  if (directory?.fits(dataSize) === false) return 'a chunk footer with a block directory that cannot be'
  return {
    start: readU64(view, tableSize + OFFSET_START) as LogPosition,
    dataSize,
    eventCount: readU64(view, tableSize + OFFSET_EVENT_COUNT),
    storeId: new Uint8Array(bytes.subarray(tableSize + OFFSET_STORE_ID, tableSize + OFFSET_STORE_ID + STORE_ID_SIZE)),
    blockChecksums,
    directory,
  }
}
