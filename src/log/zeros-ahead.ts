import type { Clock } from '../core/clock.ts'
import { isDiskFull } from '../core/errors.ts'
import { ZERO_RUN_GROUP_LIMIT, ZERO_RUN_MAX_SIZE, ZERO_RUN_MIN_SIZE } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import type { ChunkFile } from './chunk-file.ts'

/** A run is extended when less than this share of it is left, so that it is there before it is needed. */
const LEFT_SHARE = 0.5
/** A run holds this many groups of the latest size. */
const GROUPS_AHEAD = 256
/** After the disk was too full for zeros, groups grow the file themselves for a while. */
const PAUSE_MS = 5000

/**
 * The zeros ahead of the tail: with them, a flush changes neither the size of the file nor its block map. They are written and
 * synced beside the groups, off the way of an ack. While that is under way, no record may reach beyond what was filled before.
 */
export class ZerosAhead {
  readonly #clock: Clock
  readonly #hasUnsynced: () => boolean
  readonly #onFailure: (error: unknown) => void
  #running: Promise<void> | null = null
  #pausedUntilMs = 0

  /**
   * @param hasUnsynced whether records were written through the same descriptor that no sync has covered yet.
   * @param onFailure called when a run fails with more than a full disk, or with a sync that may have been theirs.
   */
  constructor(clock: Clock, hasUnsynced: () => boolean, onFailure: (error: unknown) => void) {
    this.#clock = clock
    this.#hasUnsynced = hasUnsynced
    this.#onFailure = onFailure
  }

  /** The run under way; null when there is none. It never rejects. */
  get running(): Promise<void> | null {
    return this.#running
  }

  /** Starts a run behind `end` if there is too little left for groups of `groupSize`. Not while a sync or a write may be under way. */
  extend(chunk: ChunkFile, end: LogPosition, groupSize: number): void {
    if (this.#running !== null || groupSize > ZERO_RUN_GROUP_LIMIT) return
    const runSize = Math.min(ZERO_RUN_MAX_SIZE, Math.max(ZERO_RUN_MIN_SIZE, groupSize * GROUPS_AHEAD))
    const left = chunk.filledSize - chunk.offsetOf(end)
    if (left >= runSize * LEFT_SHARE || chunk.filledSize >= chunk.header.chunkSize) return
    if (this.#clock.monotonic() < this.#pausedUntilMs) return
    this.#running = this.#run(chunk, runSize - Math.max(0, left)).finally(() => {
      this.#running = null
    })
  }

  async #run(chunk: ChunkFile, size: number): Promise<void> {
    let isSyncing = false
    try {
      const end = await chunk.writeZeros(size)
      if (end === null) return
      isSyncing = true
      await chunk.file.datasync()
      chunk.filled(end)
    } catch (error) {
      // A sync that fails takes the error with it: records that it covered, too, would be told by the next one that all is well.
      const isHarmless = isDiskFull(error) && !(isSyncing && this.#hasUnsynced())
      if (isHarmless) this.#pausedUntilMs = this.#clock.monotonic() + PAUSE_MS
      else this.#onFailure(error)
    }
  }
}
