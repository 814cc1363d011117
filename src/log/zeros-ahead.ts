import type { Clock } from '../core/clock.ts'
import { ZERO_RUN_GROUP_LIMIT, ZERO_RUN_MAX_SIZE, ZERO_RUN_MIN_SIZE } from '../core/limits.ts'
import type { LogPosition } from '../core/positions.ts'
import type { ChunkFile } from './chunk-file.ts'

/** A run is extended when less than this share of it is left, so that it is there before it is needed. */
const LEFT_SHARE = 0.5
/** A run holds this many groups of the latest size. */
const GROUPS_AHEAD = 256
/** And where it has to be short, at least these: a group that is larger than the run has to wait for it, and gains nothing. */
const LEAST_GROUPS_AHEAD = 8
/** After the disk was too full for zeros, groups grow the file themselves for a while. */
const PAUSE_MS = 5000

/**
 * The zeros ahead of the tail: with them, a flush changes neither the size of the file nor its block map. They are written and
 * synced beside the groups, off the way of an ack. While that is under way, no record may reach beyond what was filled before.
 */
export class ZerosAhead {
  readonly #clock: Clock
  readonly #onFailure: (error: unknown) => void
  #running: Promise<void> | null = null
  #pausedUntilMs = 0

  /** @param onFailure called when a run fails, but for a full disk that refused its zeros. */
  constructor(clock: Clock, onFailure: (error: unknown) => void) {
    this.#clock = clock
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
    // No longer than what is left, which the groups take meanwhile: they would wait for its end. In a new chunk runs double.
    const size = Math.min(runSize - Math.max(0, left), Math.max(ZERO_RUN_MIN_SIZE, groupSize * LEAST_GROUPS_AHEAD, left))
    this.#running = chunk
      .extendZeros(size)
      .then(hasRoom => {
        if (!hasRoom) this.#pausedUntilMs = this.#clock.monotonic() + PAUSE_MS
      }, this.#onFailure)
      .finally(() => {
        this.#running = null
      })
  }
}
