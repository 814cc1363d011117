import assert from 'node:assert'
import { KIB } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import { setImmediate } from '../core/timers.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import { encodeChunkFooter } from '../format/chunk-footer.ts'
import { CHUNK_HEADER_SIZE } from '../format/chunk-header.ts'
import {
  checksumSeed,
  eventTypeOffsetOf,
  eventTypeSizeOf,
  flagsOf,
  PrepareFlag,
  positionOf,
  RecordType,
  revisionOf,
  sizeOf,
  streamOffsetOf,
  streamSizeOf,
  typeOf,
} from '../format/log-record.ts'
import { changeFlags, encodeStub, type StubHead, stubEventTypeAt, stubHeadAt, stubSize } from '../format/stub.ts'
import type { ChunkFile } from '../log/chunk-file.ts'
import { ChunkReplacement } from '../log/chunk-replacement.ts'
import { readStretch } from '../log/compact-reading.ts'
import type { LogFiles } from '../log/log-files.ts'
import type { RecordBatch } from '../log/record-batch.ts'
import { ChunkJudgement } from './chunk-judgement.ts'
import { type Judge, Verdict } from './judge.ts'

/** What is read and worked through between two turns of the event loop. */
const READ_SIZE = 128 * KIB

export interface RewriteOptions {
  readonly judge: Judge
  /**
   * Makes durable what the judge went by; called when a chunk has been judged, before it gives up anything. An event must not be
   * gone for good while the one that stands for it may still be lost. Not needed where nobody appends.
   */
  readonly makeDurable?: () => Promise<void>
  /** Ends the work between two reads. */
  readonly signal?: AbortSignal | undefined
}

export interface RewriteResult {
  /** Of the file. */
  readonly bytesBefore: number
  /** The same when the file was left as it was. */
  readonly bytesAfter: number
  readonly eventsKept: number
  readonly eventsDropped: number
  /** The file that stands for the chunk now; null when that is still the old one. */
  readonly replacement: ChunkFile | null
}

/**
 * Rewrites a completed chunk without the events that the judge drops, if there are any, and puts the new file in its place: on disk
 * with one rename, and in the sequence of chunks. Reads the chunk twice, past the block cache.
 *
 * When it rejects, the chunk is the old one. When it resolves with a replacement, a crash may bring the old one back until the
 * directory has been synced; both are whole.
 * @param isInDoubt whether nobody knows that the chunk's own name is durable: then it is rewritten even if nothing is dropped.
 * @throws CorruptLogError, ReadFailedError, the signal's reason, the system's error, whatever the judge and `makeDurable` throw
 */
export function rewriteChunk(
  files: LogFiles,
  chunk: ChunkFile,
  options: RewriteOptions,
  isInDoubt = false,
): Promise<RewriteResult> {
  return chunk.held(() => new ChunkRewriting(files, chunk, options).run(isInDoubt))
}

class ChunkRewriting {
  readonly #files: LogFiles
  readonly #chunk: ChunkFile
  readonly #options: RewriteOptions
  readonly #judgement: ChunkJudgement
  readonly #seed: number

  constructor(files: LogFiles, chunk: ChunkFile, options: RewriteOptions) {
    this.#files = files
    this.#chunk = chunk
    this.#options = options
    this.#judgement = new ChunkJudgement(chunk)
    this.#seed = checksumSeed(chunk.header.storeId)
  }

  async run(isInDoubt: boolean): Promise<RewriteResult> {
    const judgement = this.#judgement
    for await (const batch of this.#batches()) judgement.add(batch, await this.#options.judge(batch))
    judgement.conclude()
    const { eventsKept, eventsDropped } = judgement
    const bytesBefore = fileSizeOf(this.#chunk)
    const replacement = judgement.changesAnything || isInDoubt ? await this.#replace() : null
    const bytesAfter = replacement === null ? bytesBefore : fileSizeOf(replacement)
    return { bytesBefore, bytesAfter, eventsKept, eventsDropped, replacement }
  }

  async #replace(): Promise<ChunkFile> {
    await this.#options.makeDurable?.()
    const output = await ChunkReplacement.begin(this.#files, this.#chunk)
    try {
      let record = 0
      for await (const { window, offsets } of this.#batches()) {
        for (const offset of offsets) {
          const waiting = this.#copy(window, offset, record++, output)
          if (waiting !== undefined) await waiting
        }
      }
      return await output.finish(this.#judgement.eventsKept)
    } catch (error) {
      await output.abandon()
      throw error
    }
  }

  /** The same batches each time. */
  async *#batches(): AsyncIterable<RecordBatch> {
    const { dataSize } = this.#chunk.footer!
    for (let at = CHUNK_HEADER_SIZE; at < dataSize; ) {
      this.#options.signal?.throwIfAborted()
      const { window, offsets, endOffset } = await readStretch(this.#chunk, at, READ_SIZE)
      const last = offsets.at(-1)!
      yield { window, offsets, next: (positionOf(window.view, last) + sizeOf(window.view, last)) as LogPosition }
      at = endOffset
      // Files in memory never wait.
      await new Promise(resolve => setImmediate(resolve))
    }
  }

  /** Awaits only when what was placed so far must be written first. */
  #copy(window: ByteWindow, offset: number, record: number, output: ChunkReplacement): Promise<void> | undefined {
    const isKept = this.#judgement.verdictOn(record) === Verdict.keep
    switch (typeOf(window.view, offset)) {
      case RecordType.prepare:
        return isKept ? this.#keep(window, offset, output) : this.#leaveStub(window, offset, record, output)
      case RecordType.stub:
        return this.#leaveStub(window, offset, record, output)
      default:
        // Each event that is kept becomes its own commit.
        return undefined
    }
  }

  #keep(window: ByteWindow, offset: number, output: ChunkReplacement): Promise<void> | undefined {
    const size = sizeOf(window.view, offset)
    if (!output.fits(size)) return output.write(size).then(() => this.#keep(window, offset, output))
    const at = output.place(positionOf(window.view, offset), size)
    window.bytes.copy(output.window.bytes, at, offset, offset + size)
    const flags = flagsOf(window.view, offset)
    if (!(flags & PrepareFlag.committed)) changeFlags(output.window, at, flags | PrepareFlag.committed, this.#seed)
    return undefined
  }

  #leaveStub(window: ByteWindow, offset: number, record: number, output: ChunkReplacement): Promise<void> | undefined {
    const isStub = typeOf(window.view, offset) === RecordType.stub
    const verdict = this.#judgement.verdictOn(record)
    const isHead = isStub ? verdict !== Verdict.drop : verdict === Verdict.dropHead
    const head = !isHead ? null : isStub ? stubHeadAt(window, offset) : headAt(window, offset)
    const isLast = this.#judgement.isLastOfType(record)
    const eventType = !isLast ? null : isStub ? stubEventTypeAt(window, offset) : eventTypeAt(window, offset)
    if (head === null && eventType === null) return undefined
    const size = stubSize(head, eventType)
    assert(size <= sizeOf(window.view, offset))
    if (!output.fits(size)) return output.write(size).then(() => this.#leaveStub(window, offset, record, output))
    const position = positionOf(window.view, offset)
    encodeStub(output.window, output.place(position, size), position, head, eventType, this.#seed)
    return undefined
  }
}

function headAt({ bytes, view }: ByteWindow, offset: number): StubHead {
  const start = streamOffsetOf(view, offset)
  return { stream: bytes.subarray(start, start + streamSizeOf(view, offset)), revision: revisionOf(view, offset) }
}

function eventTypeAt({ bytes, view }: ByteWindow, offset: number): Uint8Array {
  const start = eventTypeOffsetOf(view, offset)
  return bytes.subarray(start, start + eventTypeSizeOf(view, offset))
}

function fileSizeOf(chunk: ChunkFile): number {
  const footer = chunk.footer!
  return footer.dataSize + encodeChunkFooter(footer).length
}
