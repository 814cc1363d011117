import assert from 'node:assert'
import type { LogPosition } from '../core/positions.ts'
import type { ChunkFile } from '../log/chunk-file.ts'
import type { LogFiles } from '../log/log-files.ts'
import { type RewriteOptions, type RewriteResult, rewriteChunk } from './rewrite-chunk.ts'

export interface ScavengeProgress {
  /** Chunks that are done. */
  readonly chunk: number
  /** Chunks to do. */
  readonly chunks: number
  /** So far. A chunk whose dropped events were small may have grown by a few bytes. */
  readonly bytesFreed: number
}

/** The signal ends the run; chunks that were replaced by then stay so. */
export interface ScavengeOptions extends RewriteOptions {
  /** Chunks that reach beyond it are left alone; without it, none is. */
  readonly below?: LogPosition
  /** Called after each chunk. */
  readonly onProgress?: ((progress: ScavengeProgress) => void) | undefined
  /** Called after each chunk that was replaced, and awaited; also when its new name could not be made durable. */
  readonly onReplaced?: (chunk: ChunkFile, result: RewriteResult) => void | Promise<void>
}

export interface ScavengeResult {
  /** Completed chunks that were gone through. */
  readonly chunksRead: number
  /** Those of them that were rewritten. */
  readonly chunksReplaced: number
  /** By which the files are smaller; below 0 if they are larger. */
  readonly bytesFreed: number
  /** In the chunks that were read. */
  readonly eventsKept: number
  readonly eventsDropped: number
}

/** Takes the completed chunks one after the other, oldest first, and rewrites those with dead records. One run at a time. */
export class Scavenger {
  readonly #files: LogFiles
  #isRunning = false
  /**
   * Numbers of chunks that were replaced, but whose old files a crash may bring back: the directory could not be synced. Another
   * sync would prove nothing of what the failed one covered, so they get their names once more.
   */
  readonly #inDoubt = new Set<number>()

  constructor(files: LogFiles) {
    this.#files = files
  }

  /**
   * Goes through the chunks that are completed now. Resolves when none that was ever replaced can come back as it was.
   * @throws what `rewriteChunk` throws, the system's error; chunks that were replaced by then stay so.
   */
  async run(options: ScavengeOptions): Promise<ScavengeResult> {
    assert(!this.#isRunning, 'a scavenge is running already')
    this.#isRunning = true
    try {
      return await this.#run(options)
    } finally {
      this.#isRunning = false
    }
  }

  async #run(options: ScavengeOptions): Promise<ScavengeResult> {
    const { below, onProgress, onReplaced, signal } = options
    const chunks = this.#files.chunks.all.filter(chunk => chunk.isComplete && (below === undefined || chunk.end <= below))
    const result = { chunksRead: 0, chunksReplaced: 0, bytesFreed: 0, eventsKept: 0, eventsDropped: 0 }
    for (const chunk of chunks) {
      signal?.throwIfAborted()
      const { number } = chunk.header
      const rewritten = await rewriteChunk(this.#files, chunk, options, this.#inDoubt.has(number))
      result.chunksRead++
      result.eventsKept += rewritten.eventsKept
      result.eventsDropped += rewritten.eventsDropped
      result.bytesFreed += rewritten.bytesBefore - rewritten.bytesAfter
      if (rewritten.replacement !== null) {
        result.chunksReplaced++
        this.#inDoubt.add(number)
        try {
          await this.#files.disk.syncDirectory(this.#files.directory)
          this.#inDoubt.delete(number)
        } finally {
          // It is what everybody reads from here on, durable or not.
          await onReplaced?.(rewritten.replacement, rewritten)
        }
      }
      onProgress?.({ chunk: result.chunksRead, chunks: chunks.length, bytesFreed: result.bytesFreed })
    }
    return result
  }
}
