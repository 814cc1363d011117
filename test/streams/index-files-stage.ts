import { systemClock } from '../../src/core/clock.ts'
import type { LogPosition } from '../../src/core/positions.ts'
import type { Disk } from '../../src/disk/disk.ts'
import { IndexFiles } from '../../src/streams/index-files.ts'
import type { Random } from '../support/random.ts'
import { activeOf, IndexModel, type ModelEvent } from './index-model.ts'

export const DIRECTORY = '/store'
export const CHUNK_SIZE = 100_000

/** A log in the form of a model: chunks of CHUNK_SIZE positions, all complete but the last. */
export class IndexStage {
  readonly model = new IndexModel()
  readonly storeId = new Uint8Array(16).fill(7)
  /** Chunks whose index the files asked for, by their start. */
  readonly scans: number[] = []
  readonly failures: unknown[] = []
  /** How often each chunk was rewritten. */
  readonly generations: number[] = []
  chunkCount = 0
  end = 0

  /** Completes another chunk. */
  growChunk(random: Random, count: number, streams: readonly string[], holes = false): void {
    this.model.grow(random, this.chunkCount * CHUNK_SIZE + 128, count, streams, holes)
    this.chunkCount++
    this.end = this.chunkCount * CHUNK_SIZE
  }

  /** A scavenge drops every other event of a chunk, and puts a new file in its place. */
  rewriteChunk(number: number): void {
    const { events } = this.model
    const isIn = ({ position }: ModelEvent) => Math.floor(position / CHUNK_SIZE) === number
    const kept = events.filter((event, i) => !isIn(event) || i % 2 === 0)
    events.splice(0, events.length, ...kept)
    this.generations[number] = (this.generations[number] ?? 0) + 1
  }

  /** Goes on in the unfinished chunk. */
  growActive(random: Random, count: number, streams: readonly string[]): void {
    this.end = this.model.grow(random, Math.max(this.end, this.chunkCount * CHUNK_SIZE + 128), count, streams)
  }

  active(start: number, end: number) {
    return activeOf(this.model.within(start, end), start, end)
  }

  open(disk: Disk, options: { mode?: 'read' | 'write'; cacheBytes?: number; chunkCount?: number; fingerprint?: number } = {}) {
    const { mode = 'write', cacheBytes = 1 << 20, chunkCount = this.chunkCount, fingerprint = 5 } = options
    return IndexFiles.open(disk, DIRECTORY, {
      storeId: this.storeId,
      completedChunks: Array.from({ length: chunkCount }, (_, number) => ({
        number,
        start: (number * CHUNK_SIZE) as LogPosition,
        end: ((number + 1) * CHUNK_SIZE) as LogPosition,
      })),
      logEnd: Math.max(chunkCount * CHUNK_SIZE, chunkCount === this.chunkCount ? this.end : 0) as LogPosition,
      fingerprintOf: (firstChunk, lastChunk) =>
        this.generations.slice(firstChunk, lastChunk + 1).reduce((sum, count) => sum + 1e6 * count, fingerprint) +
        firstChunk * 1000 +
        lastChunk,
      cacheBytes,
      clock: systemClock,
      mode,
      indexRange: async (start, end) => {
        this.scans.push(start)
        return this.active(start, end)
      },
      onFailure: error => this.failures.push(error),
    })
  }

  /** Adds the chunk that was completed last, and all before it that the files don't know. */
  async addChunks(files: IndexFiles, chunkCount = this.chunkCount): Promise<void> {
    for (let start: number = files.end; start < chunkCount * CHUNK_SIZE; start = files.end) {
      const end = (Math.floor(start / CHUNK_SIZE) + 1) * CHUNK_SIZE
      await files.add(this.active(start, end), end as LogPosition, 'complete')
    }
  }

  /** The parts, and one in memory for what they don't cover. */
  allParts(files: IndexFiles) {
    return [...files.parts, this.active(files.end, this.end)]
  }
}
