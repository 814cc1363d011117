/**
 * The pages of an index file. Byte tables: docs/format.md, "Index files". Each page ends with a checksum of the rest, which begins
 * with the checksum of the store's id and the number of the page: zeros, foreign, misplaced and rotten pages are refused.
 */
import { type ByteWindow, readU48, writeU48 } from './byte-window.ts'
import { checksumBytes } from './checksum.ts'

export const INDEX_PAGE_SIZE = 4096
export const INDEX_PAGE_PAYLOAD = INDEX_PAGE_SIZE - 4

/**
 * What the checksums of a file's pages start from, but for page 0, which tells what the file is and starts from the store's
 * checksum alone: a page that got into another file of the store, at its own number, is none there.
 */
export function pageSeed(storeId: Uint8Array, { firstChunk, lastChunk, isPartial }: PagedRange): number {
  const range = Buffer.alloc(9)
  range.writeUInt32LE(firstChunk, 0)
  range.writeUInt32LE(lastChunk, 4)
  range.writeUInt8(isPartial ? 1 : 0, 8)
  return checksumBytes(range, checksumBytes(storeId))
}

/** What an index file covers. */
interface PagedRange {
  readonly firstChunk: number
  readonly lastChunk: number
  readonly isPartial: boolean
}

/** Writes the checksum of a page that is complete. */
export function sealPage(page: ByteWindow, pageNumber: number, seed: number): void {
  page.view.setUint32(INDEX_PAGE_PAYLOAD, pageChecksum(page.bytes, pageNumber, seed), true)
}

/** Whether the page is as it was written, and where it was written. */
export function isWholePage(page: ByteWindow, pageNumber: number, seed: number): boolean {
  return page.view.getUint32(INDEX_PAGE_PAYLOAD, true) === pageChecksum(page.bytes, pageNumber, seed)
}

/** One bit more or less in what a CRC continues from changes it for certain. */
function pageChecksum(bytes: Uint8Array, pageNumber: number, seed: number): number {
  return checksumBytes(bytes.subarray(0, INDEX_PAGE_PAYLOAD), (seed ^ pageNumber) >>> 0)
}

// Sorted pages: entries from the front, their slots (hash and offset) from the back, in the order of the hash.

const OFFSET_COUNT = 0
const OFFSET_NEXT_PAGE = 4
const PAGE_HEAD_SIZE = 8
const SLOT_SIZE = 6

export function slotCountOf(view: DataView): number {
  return view.getUint16(OFFSET_COUNT, true)
}

/** The page that goes on where this one ends; 0 behind the last. */
export function nextPageOf(view: DataView): number {
  return view.getUint32(OFFSET_NEXT_PAGE, true)
}

export function slotHashAt(view: DataView, slot: number): number {
  return view.getInt32(INDEX_PAGE_PAYLOAD - SLOT_SIZE * (slot + 1), true)
}

/** Where the entry of a slot begins. */
export function slotOffsetAt(view: DataView, slot: number): number {
  return view.getUint16(INDEX_PAGE_PAYLOAD - SLOT_SIZE * (slot + 1) + 4, true)
}

/** The first slot whose hash is not below `hash`; the count of slots when there is none. */
export function firstSlotFrom(view: DataView, hash: number): number {
  let low = 0
  let high = slotCountOf(view)
  while (low < high) {
    const middle = (low + high) >> 1
    if (slotHashAt(view, middle) >>> 0 < hash >>> 0) low = middle + 1
    else high = middle
  }
  return low
}

/** Fills sorted pages. */
export class SortedPageBuilder {
  readonly page: ByteWindow
  #count = 0
  #used = PAGE_HEAD_SIZE

  constructor(page: ByteWindow) {
    this.page = page
    this.clear()
  }

  get count(): number {
    return this.#count
  }

  /** The unsigned hash of the first entry. */
  get firstHash(): number {
    return slotHashAt(this.page.view, 0) >>> 0
  }

  clear(): void {
    this.page.bytes.fill(0)
    this.#count = 0
    this.#used = PAGE_HEAD_SIZE
  }

  fits(entrySize: number): boolean {
    return this.#used + entrySize + SLOT_SIZE * (this.#count + 1) <= INDEX_PAGE_PAYLOAD
  }

  /** @returns where the caller writes the entry, all `entrySize` bytes of it. */
  add(hash: number, entrySize: number): number {
    const offset = this.#used
    const { view } = this.page
    const slot = INDEX_PAGE_PAYLOAD - SLOT_SIZE * (this.#count + 1)
    view.setInt32(slot, hash, true)
    view.setUint16(slot + 4, offset, true)
    this.#used += entrySize
    this.#count++
    view.setUint16(OFFSET_COUNT, this.#count, true)
    return offset
  }

  setNextPage(pageNumber: number): void {
    this.page.view.setUint32(OFFSET_NEXT_PAGE, pageNumber, true)
  }
}

// Directory pages: the first hash of each page below, with its number.

const DIRECTORY_ENTRY_SIZE = 8
export const DIRECTORY_ENTRY_COUNT = Math.floor((INDEX_PAGE_PAYLOAD - PAGE_HEAD_SIZE) / DIRECTORY_ENTRY_SIZE)

export function writeDirectory(page: ByteWindow, hashes: readonly number[], pages: readonly number[], from: number): void {
  const count = Math.min(DIRECTORY_ENTRY_COUNT, hashes.length - from)
  page.bytes.fill(0)
  page.view.setUint16(OFFSET_COUNT, count, true)
  for (let i = 0; i < count; i++) {
    const at = PAGE_HEAD_SIZE + i * DIRECTORY_ENTRY_SIZE
    page.view.setUint32(at, hashes[from + i]!, true)
    page.view.setUint32(at + 4, pages[from + i]!, true)
  }
}

/** The page below in which `hash` begins, if it is there: entries with this hash may begin before a page that begins with it. */
export function pageBelow(view: DataView, hash: number): number {
  let low = 0
  let high = view.getUint16(OFFSET_COUNT, true) - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (view.getUint32(PAGE_HEAD_SIZE + middle * DIRECTORY_ENTRY_SIZE, true) < hash >>> 0) low = middle
    else high = middle - 1
  }
  return view.getUint32(PAGE_HEAD_SIZE + low * DIRECTORY_ENTRY_SIZE + 4, true)
}

// Event pages: cells of six bytes, a position each, or a position and a revision in turn.

export const CELL_SIZE = 6
export const CELLS_PER_PAGE = Math.floor(INDEX_PAGE_PAYLOAD / CELL_SIZE)

export function cellAt(view: DataView, cell: number): number {
  return readU48(view, cell * CELL_SIZE)
}

/** Writes `count` cells from `cell` on: what `values` has from `from` on. */
export function writeCells(view: DataView, cell: number, count: number, values: Float64Array, from: number): void {
  for (let i = 0; i < count; i++) writeU48(view, (cell + i) * CELL_SIZE, values[from + i]!)
}

/** Reads `count` cells from `cell` on into `values`, from `at` on. */
export function readCells(view: DataView, cell: number, count: number, values: Float64Array, at: number): void {
  for (let i = 0; i < count; i++) values[at + i] = readU48(view, (cell + i) * CELL_SIZE)
}

// Filter pages: a Bloom filter in blocks of 512 bits, of which a stream uses one.

const FILTER_BLOCK_SIZE = 64
export const FILTER_BLOCKS_PER_PAGE = Math.floor(INDEX_PAGE_PAYLOAD / FILTER_BLOCK_SIZE)
const FILTER_BITS_PER_NAME = 10
const FILTER_PROBES = 6

export function filterBlockCount(nameCount: number): number {
  return Math.ceil((nameCount * FILTER_BITS_PER_NAME) / (FILTER_BLOCK_SIZE * 8))
}

/** Blocks go up with the hash. */
export function filterBlockOf(hash: number, blockCount: number): number {
  return Math.floor(((hash >>> 0) / 0x1_0000_0000) * blockCount)
}

export function addToFilter(page: ByteWindow, block: number, hash: number): void {
  const { bytes } = page
  const start = block * FILTER_BLOCK_SIZE
  for (let probe = 0, mix = firstProbe(hash); probe < FILTER_PROBES; probe++, mix = nextProbe(mix, hash)) {
    const bit = mix >>> 23
    bytes[start + (bit >> 3)]! |= 1 << (bit & 7)
  }
}

/** False: the name is not there. True: it probably is. */
export function mayHold(page: ByteWindow, block: number, hash: number): boolean {
  const { bytes } = page
  const start = block * FILTER_BLOCK_SIZE
  for (let probe = 0, mix = firstProbe(hash); probe < FILTER_PROBES; probe++, mix = nextProbe(mix, hash)) {
    const bit = mix >>> 23
    if (!(bytes[start + (bit >> 3)]! & (1 << (bit & 7)))) return false
  }
  return true
}

function firstProbe(hash: number): number {
  return Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
}

function nextProbe(mix: number, hash: number): number {
  return (mix + (Math.imul(hash, 0x9e3779b1) | 1)) | 0
}
