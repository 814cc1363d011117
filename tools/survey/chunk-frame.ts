import { UnsupportedFormatError } from '#engine/core/errors.ts'
import { LogPosition } from '#engine/core/positions.ts'
import { ByteWindow, readU64 } from '#engine/format/byte-window.ts'
import { CHUNK_FOOTER_SIZE, type ChunkFooter, decodeChunkFooter, footerSizeOf } from '#engine/format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE, type ChunkHeader, decodeChunkHeader, STORE_ID_SIZE } from '#engine/format/chunk-header.ts'
import { checkFrame, checkRecord, checksumSeed, claimedPositionAt, MIN_RECORD_SIZE } from '#engine/format/log-record.ts'
import { solveChecksumSeed } from './checksum-seed.ts'
import type { PatchyFile, ReadableFile } from './patchy-file.ts'
import { WINDOW_SIZE } from './record-search.ts'

// Where a header says these two, docs/format.md, "Chunk header": read raw when the header as a whole can't be believed.
const RAW_STORE_ID = 16
const RAW_START = 40

export interface ChunkHead {
  readonly header: ChunkHeader | null
  /** Why there is no header. */
  readonly damage: string | null
  /** It is whole, and of a format that this version can't read. */
  readonly isUnsupported: boolean
  readonly bytes: Buffer
}

/** What is needed to read a chunk's records. */
export interface ChunkFrame {
  /** Position of the file's first byte. */
  readonly start: LogPosition
  /** Null when only the checksums' seed is known. */
  readonly storeId: Uint8Array | null
  readonly seed: number
  /** How it was found out without a whole header; null with one. */
  readonly guessedFrom: string | null
}

/** What the chunk's neighbours say of it. */
export interface KnownPlace {
  readonly start: LogPosition | null
  readonly storeId: Uint8Array | null
}

/** Reads the header, whole or not. */
export async function readChunkHead(file: PatchyFile): Promise<ChunkHead> {
  const all = Buffer.alloc(CHUNK_HEADER_SIZE)
  const bytes = all.subarray(0, await file.read(all, 0))
  try {
    const header = decodeChunkHeader(bytes)
    if (typeof header === 'string') {
      return { header: null, damage: file.failureIn(0, CHUNK_HEADER_SIZE) ?? header, isUnsupported: false, bytes }
    }
    return { header, damage: null, isUnsupported: false, bytes }
  } catch (error) {
    if (!(error instanceof UnsupportedFormatError)) throw error
    return { header: null, damage: error.message, isUnsupported: true, bytes }
  }
}

/** Reads the footer at the end of the file. Neither footer nor damage: there is nothing that looks like one. */
export async function readChunkFooter(
  file: PatchyFile,
  size: number,
): Promise<{ readonly footer: ChunkFooter | null; readonly damage: string | null }> {
  const last = Buffer.alloc(CHUNK_FOOTER_SIZE)
  if (size < CHUNK_HEADER_SIZE + CHUNK_FOOTER_SIZE) return { footer: null, damage: null }
  await file.read(last, size - CHUNK_FOOTER_SIZE)
  const footerSize = footerSizeOf(last, size)
  if (footerSize === null) return { footer: null, damage: null }
  const bytes = Buffer.alloc(footerSize)
  await file.read(bytes, size - footerSize)
  const footer = decodeChunkFooter(bytes, size)
  return typeof footer === 'string'
    ? { footer: null, damage: file.failureIn(size - footerSize, size) ?? footer }
    : { footer, damage: null }
}

/**
 * Finds out what a damaged header must have said: from the footer, from what is left of the header, from the neighbours, or
 * from the records themselves. Each answer is tried on the records; null when none of them makes one whole.
 */
export async function guessFrame(
  file: ReadableFile,
  size: number,
  head: ChunkHead,
  footer: ChunkFooter | null,
  known: KnownPlace,
): Promise<ChunkFrame | null> {
  if (footer !== null) return frameOf(footer.start, footer.storeId, 'the footer')
  const window = ByteWindow.allocate(Math.max(MIN_RECORD_SIZE, Math.min(WINDOW_SIZE, size)))
  const filled = await file.read(window.bytes, 0)
  const starts: [number | null, string][] = [
    [known.start, 'the neighbours'],
    [head.bytes.length >= RAW_START + 8 ? readU64(viewOf(head.bytes), RAW_START) : null, 'the rest of the header'],
    [filled >= CHUNK_HEADER_SIZE + 16 ? claimedPositionAt(window.view, CHUNK_HEADER_SIZE) - CHUNK_HEADER_SIZE : null, 'a record'],
  ]
  const ids: [Uint8Array | null, string][] = [
    [known.storeId, 'the neighbours'],
    [
      head.bytes.length >= RAW_STORE_ID + STORE_ID_SIZE ? head.bytes.subarray(RAW_STORE_ID, RAW_STORE_ID + STORE_ID_SIZE) : null,
      'the rest of the header',
    ],
  ]
  for (const [start, startSource] of starts) {
    if (!isPosition(start)) continue
    for (const [storeId, idSource] of ids) {
      if (storeId === null || recordCount(window, filled, start, checksumSeed(storeId), 1) === 0) continue
      const source = startSource === idSource ? startSource : `${startSource} and ${idSource}`
      return frameOf(start, new Uint8Array(storeId), source)
    }
  }
  for (const [start] of starts) {
    if (!isPosition(start)) continue
    const seed = seedFromRecords(window, filled, start)
    if (seed !== null) return { start, storeId: null, seed, guessedFrom: 'the records' }
  }
  if (known.start === null || known.storeId === null) return null
  return frameOf(known.start, known.storeId, 'the neighbours')
}

function frameOf(start: LogPosition, storeId: Uint8Array, guessedFrom: string): ChunkFrame {
  return { start, storeId, seed: checksumSeed(storeId), guessedFrom }
}

function isPosition(value: number | null): value is LogPosition {
  return value !== null && Number.isSafeInteger(value) && value >= 0
}

function viewOf(bytes: Buffer): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/** Whole records in the window, counted up to `enough`. */
function recordCount(window: ByteWindow, filled: number, start: LogPosition, seed: number, enough: number): number {
  let count = 0
  for (let offset = CHUNK_HEADER_SIZE; offset + MIN_RECORD_SIZE <= filled && count < enough; offset++) {
    if (claimedPositionAt(window.view, offset) !== start + offset) continue
    if (typeof checkRecord(window, offset, filled, LogPosition.plus(start, offset), seed) === 'number') count++
  }
  return count
}

/** The seed that makes a record whole, if it makes another one whole, too. */
function seedFromRecords(window: ByteWindow, filled: number, start: LogPosition): number | null {
  let tries = 0
  for (let offset = CHUNK_HEADER_SIZE; offset + MIN_RECORD_SIZE <= filled && tries < 8; offset++) {
    if (claimedPositionAt(window.view, offset) !== start + offset) continue
    const size = checkFrame(window, offset, filled)
    if (typeof size !== 'number') continue
    tries++
    const seed = solveChecksumSeed(window, offset, size)
    if (recordCount(window, filled, start, seed, 2) === 2) return seed
  }
  return null
}
