import { BLOCK_SIZE, MAX_CHUNK_SIZE, MIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { openIfThere, openOrCreate } from '../disk/if-there.ts'
import { type ActiveSlot, activeSlotSize, decodeActiveSlot, encodeActiveSlot } from '../format/active-slot.ts'
import { ByteWindow } from '../format/byte-window.ts'
import { checksumBytes } from '../format/checksum.ts'
import { checkRecord, checksumSeed, MIN_RECORD_SIZE, RecordType, sizeBefore, typeOf } from '../format/log-record.ts'
import type { ChunkFile } from './chunk-file.ts'

export const ACTIVE_FILE_NAME = 'active'

/** Bytes of log between two writes of the hint: what an open after a kill has to go through, at most, beyond the last group. */
const STEP_SIZE = 4 * MIB
/** Read with the last block, since the last record may begin before it. */
const READ_BEFORE_SIZE = 4096
const MAX_FILE_SIZE = activeSlotSize(MAX_CHUNK_SIZE / BLOCK_SIZE)

/** Where a scan of the active chunk may begin. */
export interface CheckedStart {
  readonly end: LogPosition
  readonly endsWithProof: boolean
  readonly eventCount: number
  /** What the file has behind `end` is sound, if nothing but zeros stand there. */
  readonly isFinal: boolean
  readonly blockChecksums: Uint32Array
}

/**
 * How far the chunk need not be scanned; null when the hint is missing, of another chunk, or not of these bytes: the last block
 * below its end must have the checksum it names, and end with a whole record, unless the chunk has none.
 */
export async function readCheckedStart(disk: Disk, directory: string, chunk: ChunkFile): Promise<CheckedStart | null> {
  const slot = await readSlot(disk, directory)
  if (slot === null || slot.chunk !== chunk.header.number || chunk.isComplete || chunk.header.generation !== 0) return null
  const { end, eventCount, isFinal, blockChecksums } = slot
  if (Buffer.compare(slot.storeId, chunk.header.storeId) !== 0) return null
  if (end < chunk.firstRecord || end > chunk.recordLimit) return null
  if (blockChecksums.length !== Math.ceil((end - chunk.start) / BLOCK_SIZE)) return null
  const blockStart = LogPosition.plus(chunk.start, (blockChecksums.length - 1) * BLOCK_SIZE)
  const tailStart = Math.max(chunk.start, blockStart - READ_BEFORE_SIZE) as LogPosition
  const tail = await bytesOf(chunk, tailStart, end)
  if (checksumBytes(tail.bytes.subarray(blockStart - tailStart)) !== blockChecksums.at(-1)) return null
  const lastType = end === chunk.firstRecord ? RecordType.proof : await typeOfLast(chunk, end, tail)
  return lastType === null ? null : { end, endsWithProof: lastType === RecordType.proof, eventCount, isFinal, blockChecksums }
}

/** @param tail the bytes below `end`, most likely with all of the last record. @returns null if that is not whole. */
async function typeOfLast(chunk: ChunkFile, end: LogPosition, tail: ByteWindow): Promise<RecordType | null> {
  const size = sizeBefore(tail.view, tail.size)
  if (size < MIN_RECORD_SIZE || size > end - chunk.firstRecord) return null
  const start = LogPosition.plus(end, -size)
  const window = size <= tail.size ? tail : await bytesOf(chunk, start, end)
  const offset = window.size - size
  return checkRecord(window, offset, window.size, start, checksumSeed(chunk.header.storeId)) === size
    ? typeOf(window.view, offset)
    : null
}

/** Bytes behind the end of the file, which have no checksum that anyone noted, are left out. */
async function bytesOf(chunk: ChunkFile, from: LogPosition, to: LogPosition): Promise<ByteWindow> {
  const { bytes } = ByteWindow.allocate(to - from)
  return new ByteWindow(bytes.subarray(0, await chunk.file.read(bytes, chunk.offsetOf(from))))
}

async function readSlot(disk: Disk, directory: string): Promise<ActiveSlot | null> {
  const file = await openIfThere(disk, joinPath(directory, ACTIVE_FILE_NAME), 'read')
  if (file === null) return null
  try {
    const bytes = Buffer.alloc(Math.min(await file.size(), MAX_FILE_SIZE))
    return decodeActiveSlot(bytes.subarray(0, await file.read(bytes, 0)))
  } finally {
    await file.close()
  }
}

/**
 * The writer's side of the hint that says how far the active chunk is whole and durable, with the checksums of its blocks, so
 * that an open need not read it all. Overwritten now and then and never synced; nothing waits for it, and it may be missing.
 */
export class ActiveHint {
  readonly #disk: Disk
  readonly #path: string
  #file: DiskFile | null = null
  #end: LogPosition = LogPosition.start
  #writing: Promise<void> = Promise.resolve()
  #isWriting = false

  constructor(disk: Disk, directory: string) {
    this.#disk = disk
    this.#path = joinPath(directory, ACTIVE_FILE_NAME)
  }

  /** Whether it is time to say that everything below `end` is durable. */
  isDue(end: LogPosition): boolean {
    return !this.#isWriting && end - this.#end >= STEP_SIZE
  }

  write(slot: ActiveSlot): void {
    this.#isWriting = true
    this.#end = slot.end
    this.#writing = this.#writing.then(() => this.#put(encodeActiveSlot(slot)))
  }

  async #put(bytes: Buffer): Promise<void> {
    try {
      this.#file ??= await openOrCreate(this.#disk, this.#path)
      await this.#file.write(bytes, 0)
    } catch {
      // An old hint, or half of one, is as good as none.
    }
    this.#isWriting = false
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file?.close()
  }
}
