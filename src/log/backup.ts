import { CorruptLogError, InvalidArgumentError } from '../core/errors.ts'
import { BLOCK_SIZE, MIB } from '../core/limits.ts'
import { LogPosition } from '../core/positions.ts'
import { setImmediate } from '../core/timers.ts'
import { syncName } from '../disk/directory.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { listIfThere } from '../disk/if-there.ts'
import { encodeChunkFooter } from '../format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE } from '../format/chunk-header.ts'
import { encodeFlushedSlot } from '../format/flushed-slot.ts'
import { readBytes, verifyBlocks } from './chunk-bytes.ts'
import type { ChunkFile } from './chunk-file.ts'
import { chunkFileName, TEMPORARY_SUFFIX } from './chunk-file-names.ts'
import { scanChunk } from './chunk-scan.ts'
import type { ChunkSequence } from './chunk-sequence.ts'
import { FLUSHED_FILE_NAME } from './flushed-hint.ts'

const COPY_SIZE = 16 * BLOCK_SIZE
/** Of records that are checked one by one between two turns of the event loop. */
const CHECK_SIZE = 2 * BLOCK_SIZE
/** Synced in pieces: one sync of a whole chunk would hold up the writer's, which may share the disk with it. */
const SYNC_SIZE = 4 * MIB

export interface BackupProgress {
  /** Of the chunks' files, so far. */
  readonly bytesCopied: number
  readonly bytesTotal: number
}

export interface BackupOptions {
  /** Called after each piece. */
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined
  /** Ends it between two pieces. What was copied by then stays, and is no store. */
  readonly signal?: AbortSignal | undefined
}

export interface BackupResult {
  readonly chunks: number
  /** Of the chunks' files. */
  readonly bytes: number
  /** Everything below is in the copy. */
  readonly position: LogPosition
}

/**
 * Copies the log into a new directory, while it is in use: completed chunks whole, the active one up to `flushed`, every byte
 * verified. The copy is a store of its own that opens as after a crash. Chunks that are replaced meanwhile are copied as they were.
 *
 * The first chunk gets its name last, so that a copy that was interrupted is no store, and is refused.
 * @param flushed behind a whole append, and written to the file: everything below is in the copy.
 * @param target is made; it may be there if it is empty.
 * @throws InvalidArgumentError when it is not, CorruptLogError, ReadFailedError, the signal's reason, the system's error
 */
export async function backupLog(
  disk: Disk,
  chunks: ChunkSequence,
  flushed: LogPosition,
  target: string,
  options: BackupOptions = {},
): Promise<BackupResult> {
  const last = chunks.find(flushed)
  // In one turn with the call: later, a chunk that is here now may be replaced by one that lacks events.
  const sources = chunks.all.filter(chunk => chunk.start <= last.start).map(chunk => sourceOf(chunk.retain(), flushed))
  try {
    await makeEmpty(disk, target)
    return await new Backup(disk, target, sources, flushed, options).run()
  } finally {
    for (const { chunk } of sources) chunk.release()
  }
}

/** A chunk as it is copied, whatever becomes of it meanwhile. */
interface Source {
  readonly chunk: ChunkFile
  /** Header and records, in bytes of the file. */
  readonly dataSize: number
  readonly footer: Buffer | null
}

function sourceOf(chunk: ChunkFile, flushed: LogPosition): Source {
  if (chunk.footer !== null) return { chunk, dataSize: chunk.footer.dataSize, footer: encodeChunkFooter(chunk.footer) }
  return { chunk, dataSize: Math.max(CHUNK_HEADER_SIZE, chunk.offsetOf(flushed)), footer: null }
}

async function makeEmpty(disk: Disk, target: string): Promise<void> {
  const names = await listIfThere(disk, target)
  if (names.length > 0) throw new InvalidArgumentError(`${target} is not empty; a backup needs a new directory`)
  await disk.makeDirectory(target)
  await syncName(disk, target)
}

class Backup {
  readonly #disk: Disk
  readonly #target: string
  readonly #sources: readonly Source[]
  readonly #flushed: LogPosition
  readonly #options: BackupOptions
  readonly #bytesTotal: number
  #bytesCopied = 0

  constructor(disk: Disk, target: string, sources: readonly Source[], flushed: LogPosition, options: BackupOptions) {
    this.#disk = disk
    this.#target = target
    this.#sources = sources
    this.#flushed = flushed
    this.#options = options
    this.#bytesTotal = sources.reduce((sum, { dataSize, footer }) => sum + dataSize + (footer?.length ?? 0), 0)
  }

  async run(): Promise<BackupResult> {
    const [first, ...others] = this.#sources
    for (const source of others) await this.#copy(source, chunkFileName(source.chunk.header.number))
    const firstName = chunkFileName(first!.chunk.header.number)
    await this.#copy(first!, firstName + TEMPORARY_SUFFIX)
    await this.#writeHint(first!.chunk.header.storeId)
    await this.#disk.syncDirectory(this.#target)
    this.#options.signal?.throwIfAborted()
    await this.#disk.rename(joinPath(this.#target, firstName + TEMPORARY_SUFFIX), joinPath(this.#target, firstName))
    await this.#disk.syncDirectory(this.#target)
    return { chunks: this.#sources.length, bytes: this.#bytesCopied, position: this.#flushed }
  }

  /** All that is copied is durable by now. Who opens the copy for reading sees no more than is proven: of the last group, by this alone. */
  async #writeHint(storeId: Uint8Array): Promise<void> {
    const file = await this.#disk.open(joinPath(this.#target, FLUSHED_FILE_NAME), 'create')
    try {
      await file.write(encodeFlushedSlot({ storeId, position: this.#flushed }), 0)
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  async #copy(source: Source, name: string): Promise<void> {
    const { chunk, dataSize, footer } = source
    if (footer === null) await this.#checkRecords(source)
    const file = await this.#disk.open(joinPath(this.#target, name), 'create')
    try {
      const buffer = Buffer.allocUnsafeSlow(Math.min(COPY_SIZE, dataSize))
      for (let at = 0, synced = 0; at < dataSize; at += buffer.length) {
        const piece = buffer.subarray(0, Math.min(buffer.length, dataSize - at))
        await this.#read(chunk, piece, at)
        if (footer !== null) verifyBlocks(chunk, piece, at)
        await this.#write(file, piece, at)
        if (at + piece.length - synced < SYNC_SIZE) continue
        await file.datasync()
        synced = at + piece.length
      }
      if (footer !== null) await this.#write(file, footer, dataSize)
      await file.datasync()
    } finally {
      await file.close()
    }
  }

  /** Before the active chunk is copied: its bytes are whole records, up to the end. */
  async #checkRecords({ chunk, dataSize }: Source): Promise<void> {
    const end = LogPosition.plus(chunk.start, dataSize)
    let checked = chunk.firstRecord
    for (let wanted = CHECK_SIZE; checked < end; ) {
      const stop = Math.min(end, checked + wanted) as LogPosition
      const { position, damage } = await scanChunk(chunk, checked, stop, () => {})
      if (position < stop && stop === end) {
        throw new CorruptLogError(chunk.path, position, `no record (${damage}), though everything before ${end} is flushed`)
      }
      // The last record of a piece is checked with the next one, which may have to be larger.
      wanted = position > checked ? CHECK_SIZE : 2 * wanted
      checked = position
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  async #read(chunk: ChunkFile, target: Uint8Array, offset: number): Promise<void> {
    this.#options.signal?.throwIfAborted()
    await readBytes(chunk, target, offset)
  }

  async #write(file: DiskFile, bytes: Uint8Array, offset: number): Promise<void> {
    await file.write(bytes, offset)
    this.#bytesCopied += bytes.length
    this.#options.onProgress?.({ bytesCopied: this.#bytesCopied, bytesTotal: this.#bytesTotal })
    // Files in memory never wait.
    await new Promise(resolve => setImmediate(resolve))
  }
}
