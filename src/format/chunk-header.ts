/**
 * The first 128 bytes of a chunk. Byte table: docs/format.md, "Chunk header".
 */
import { UnsupportedFormatError } from '../core/errors.ts'
import { BLOCK_SIZE, MAX_CHUNK_SIZE, MIN_CHUNK_SIZE } from '../core/limits.ts'
import { ChunkNumber, type LogPosition } from '../core/positions.ts'
import { readU48, readU64, writeU48, writeU64 } from './byte-window.ts'
import { CHECKSUM_CRC32, checksumBytes } from './checksum.ts'

export const FORMAT_VERSION = 1
export const CHUNK_HEADER_SIZE = 128
export const STORE_ID_SIZE = 16

const MAGIC = Buffer.from('TAILRACE')
const FILE_KIND_CHUNK = 1

const OFFSET_VERSION = 8
const OFFSET_FILE_KIND = 10
const OFFSET_CHECKSUM_ALGORITHM = 11
const OFFSET_BLOCK_SIZE = 12
const OFFSET_STORE_ID = 16
const OFFSET_CHUNK_NUMBER = 32
const OFFSET_GENERATION = 36
const OFFSET_START = 40
const OFFSET_CHUNK_SIZE = 48
const OFFSET_CREATED = 56
const OFFSET_CHECKSUM = CHUNK_HEADER_SIZE - 4

export interface ChunkHeader {
  readonly storeId: Uint8Array
  readonly number: ChunkNumber
  /** How often the chunk was rewritten: 0 as the writer left it; above, it is compact, see chunk-footer.ts. */
  readonly generation: number
  /** Position of the chunk's first byte; its first record stands CHUNK_HEADER_SIZE behind. */
  readonly start: LogPosition
  /** How many positions the chunk spans; the next chunk starts right behind. The file may be shorter. */
  readonly chunkSize: number
  readonly createdMs: number
}

export function encodeChunkHeader(header: ChunkHeader): Buffer {
  const bytes = Buffer.alloc(CHUNK_HEADER_SIZE)
  const view = new DataView(bytes.buffer, bytes.byteOffset)
  bytes.set(MAGIC, 0)
  view.setUint16(OFFSET_VERSION, FORMAT_VERSION, true)
  view.setUint8(OFFSET_FILE_KIND, FILE_KIND_CHUNK)
  view.setUint8(OFFSET_CHECKSUM_ALGORITHM, CHECKSUM_CRC32)
  view.setUint32(OFFSET_BLOCK_SIZE, BLOCK_SIZE, true)
  bytes.set(header.storeId, OFFSET_STORE_ID)
  view.setUint32(OFFSET_CHUNK_NUMBER, header.number, true)
  view.setUint32(OFFSET_GENERATION, header.generation, true)
  writeU64(view, OFFSET_START, header.start)
  writeU64(view, OFFSET_CHUNK_SIZE, header.chunkSize)
  writeU48(view, OFFSET_CREATED, header.createdMs)
  view.setUint32(OFFSET_CHECKSUM, checksumBytes(bytes.subarray(0, OFFSET_CHECKSUM)), true)
  return bytes
}

/**
 * @returns the header, or what stands there instead.
 * @throws UnsupportedFormatError when a newer version wrote it. The version is believed before the checksum: a newer one
 *   may have another checksum.
 */
export function decodeChunkHeader(bytes: Uint8Array): ChunkHeader | string {
  if (bytes.length < CHUNK_HEADER_SIZE) return `a file of ${bytes.length} bytes, too short for a chunk header`
  if (MAGIC.compare(bytes, 0, MAGIC.length) !== 0) return isZero(bytes) ? 'zeros instead of a chunk header' : 'no chunk header'
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const version = view.getUint16(OFFSET_VERSION, true)
  const algorithm = view.getUint8(OFFSET_CHECKSUM_ALGORITHM)
  const whole = checksumBytes(bytes.subarray(0, OFFSET_CHECKSUM)) === view.getUint32(OFFSET_CHECKSUM, true)
  if (version !== FORMAT_VERSION || (whole && algorithm !== CHECKSUM_CRC32)) {
    if (version > FORMAT_VERSION || whole) {
      throw new UnsupportedFormatError(
        `chunk of format version ${version}, checksum ${algorithm}; this version reads format ${FORMAT_VERSION}, checksum 1`,
      )
    }
  }
  if (!whole) return 'a chunk header with a wrong checksum'
  if (view.getUint8(OFFSET_FILE_KIND) !== FILE_KIND_CHUNK) return 'a file of another kind'
  const start = readU64(view, OFFSET_START)
  const chunkSize = readU64(view, OFFSET_CHUNK_SIZE)
  const blockSize = view.getUint32(OFFSET_BLOCK_SIZE, true)
  if (!Number.isSafeInteger(start) || chunkSize < MIN_CHUNK_SIZE || chunkSize > MAX_CHUNK_SIZE || blockSize !== BLOCK_SIZE) {
    return 'a chunk header with impossible sizes'
  }
  return {
    storeId: new Uint8Array(bytes.subarray(OFFSET_STORE_ID, OFFSET_STORE_ID + STORE_ID_SIZE)),
    number: ChunkNumber.of(view.getUint32(OFFSET_CHUNK_NUMBER, true)),
    generation: view.getUint32(OFFSET_GENERATION, true),
    start: start as LogPosition,
    chunkSize,
    createdMs: readU48(view, OFFSET_CREATED),
  }
}

/** Whether every byte is zero. */
export function isZero(bytes: Uint8Array): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== 0) return false
  return true
}
