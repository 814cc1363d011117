import assert from 'node:assert'
import type { LogPosition } from '../core/positions.ts'
import type { ChunkFile } from './chunk-file.ts'
import { closeAll } from './close-all.ts'

/** The chunks of the log in order; the last one is being filled. Shared by the writer's side and the readers. */
export class ChunkSequence {
  readonly #chunks: ChunkFile[]
  #replacedCount = 0
  #onReplaced: (chunk: ChunkFile) => void = () => {}

  constructor(chunks: ChunkFile[]) {
    assert(chunks.length > 0)
    this.#chunks = chunks
  }

  /** @param onReplaced called when a chunk stands for another, which lacks events: whoever has bytes of that in memory drops them. */
  whenReplaced(onReplaced: (chunk: ChunkFile) => void): void {
    this.#onReplaced = onReplaced
  }

  get all(): readonly ChunkFile[] {
    return this.#chunks
  }

  get active(): ChunkFile {
    return this.#chunks[this.#chunks.length - 1]!
  }

  add(chunk: ChunkFile): void {
    assert(chunk.start === this.active.end && chunk.header.number === this.active.header.number + 1)
    this.#chunks.push(chunk)
  }

  /** How often a chunk was replaced: whoever keeps bytes of completed chunks keeps them until then. */
  get replacedCount(): number {
    return this.#replacedCount
  }

  /** Puts a rewritten chunk in the place of the one with its number, and lets go of that. */
  replace(chunk: ChunkFile): void {
    const index = chunk.header.number - this.#chunks[0]!.header.number
    const old = this.#chunks[index]
    assert(old?.isComplete && old.start === chunk.start && old.header.generation < chunk.header.generation)
    this.#chunks[index] = chunk
    this.#replacedCount++
    old.release()
    this.#onReplaced(chunk)
  }

  /** The chunk whose range of positions holds `position`; the last one for positions behind it. */
  find(position: LogPosition): ChunkFile {
    const chunks = this.#chunks
    let low = 0
    let high = chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (chunks[middle]!.start <= position) low = middle
      else high = middle - 1
    }
    return chunks[low]!
  }

  /** The chunk behind `chunk`, if there is one. */
  after(chunk: ChunkFile): ChunkFile | undefined {
    return this.#chunks[chunk.header.number - this.#chunks[0]!.header.number + 1]
  }

  before(chunk: ChunkFile): ChunkFile | undefined {
    return this.#chunks[chunk.header.number - this.#chunks[0]!.header.number - 1]
  }

  close(): Promise<void> {
    return closeAll(this.#chunks)
  }
}
