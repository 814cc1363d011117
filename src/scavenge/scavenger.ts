import assert from 'node:assert'
import type { LogPosition } from '../core/positions.ts'
import type { ChunkFile } from '../log/chunk-file.ts'
import type { LogFiles } from '../log/log-files.ts'
import type { Judge } from './judge.ts'
import { type RewriteResult, rewriteChunk } from './rewrite-chunk.ts'

export interface ScavengeProgress {
  /** Chunks that are done. */
  readonly chunk: number
  /** Chunks to do. */
  readonly chunks: number
  /** So far. A chunk whose dropped events were small may have grown by a few bytes. */
  readonly bytesFreed: number
}

export interface ScavengeOptions {
  readonly judge: Judge
  /** Chunks that reach beyond are left alone; none, unless it is said. */
  readonly below?: LogPosition
  /** Called after each chunk. */
  readonly onProgress?: (progress: ScavengeProgress) => void
  /** Called after each chunk that was replaced, and awaited. */
  readonly onReplaced?: (chunk: ChunkFile, result: RewriteResult) => void | Promise<void>
  /** Ends the run between two reads; chunks that were replaced by then stay so. */
  readonly signal?: AbortSignal | undefined
}

export interface ScavengeResult {
  readonly chunksRead: number
  readonly chunksReplaced: number
  readonly bytesFreed: number
  readonly eventsKept: number
  readonly eventsDropped: number
}

/** Takes the completed chunks one after the other, oldest first, and rewrites those with dead records. One run at a time. */
export class Scavenger {
  readonly #files: LogFiles
  #isRunning = false

  constructor(files: LogFiles) {
    this.#files = files
  }

  /**
   * Goes through the chunks that are completed now.
   * @throws what `rewriteChunk` throws; chunks that were replaced by then stay so.
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

  async #run({ judge, below, onProgress, onReplaced, signal }: ScavengeOptions): Promise<ScavengeResult> {
    const chunks = this.#files.chunks.all.filter(chunk => chunk.isComplete && (below === undefined || chunk.end <= below))
    const result = { chunksRead: 0, chunksReplaced: 0, bytesFreed: 0, eventsKept: 0, eventsDropped: 0 }
    for (const chunk of chunks) {
      signal?.throwIfAborted()
      const rewritten = await rewriteChunk(this.#files, chunk, judge, signal)
      result.chunksRead++
      result.eventsKept += rewritten.eventsKept
      result.eventsDropped += rewritten.eventsDropped
      result.bytesFreed += rewritten.bytesBefore - rewritten.bytesAfter
      if (rewritten.replacement !== null) {
        result.chunksReplaced++
        await onReplaced?.(rewritten.replacement, rewritten)
      }
      onProgress?.({ chunk: result.chunksRead, chunks: chunks.length, bytesFreed: result.bytesFreed })
    }
    return result
  }
}
