import type { Clock } from '../core/clock.ts'
import type { LogPosition } from '../core/positions.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
import { openIfThere, openOrCreate } from '../disk/if-there.ts'
import {
  decodeFlushedSlot,
  encodeFlushedSlot,
  FLUSHED_SLOT_SIZE,
  type FlushedSlot,
  updateFlushedSlot,
} from '../format/flushed-slot.ts'

export const FLUSHED_FILE_NAME = 'flushed'

/** What the hint file says, or null when there is none that can be believed. */
export async function readFlushedHint(disk: Disk, directory: string): Promise<FlushedSlot | null> {
  const file = await openIfThere(disk, joinPath(directory, FLUSHED_FILE_NAME), 'read')
  if (file === null) return null
  try {
    const bytes = Buffer.alloc(FLUSHED_SLOT_SIZE)
    return decodeFlushedSlot(bytes.subarray(0, await file.read(bytes, 0)))
  } finally {
    await file.close()
  }
}

/** A sync is written down this long after it: those that come together share one write. */
const HINT_DELAY_MS = 2
/**
 * While syncs keep coming, this long passes between two writes. Each takes a thread of the pool, a processor and the journal of the
 * file system from the group that is being synced: at 64 appends in flight, one every 2 ms took a tenth of them.
 */
const HINT_PERIOD_MS = 10

/**
 * The writer's side of the hint: overwritten after a sync, never synced itself, so that it costs no flush. Nothing waits
 * for it and its errors are not errors of the store: a hint may be missing.
 */
export class FlushedHint {
  readonly #file: DiskFile
  readonly #slot: Buffer
  readonly #clock: Clock
  #wanted: LogPosition
  #written: LogPosition
  #writing: Promise<void> | null = null
  #lastWriteMs = Number.NEGATIVE_INFINITY
  #cancelDelay: (() => void) | null = null

  private constructor(file: DiskFile, slot: Buffer, position: LogPosition, clock: Clock) {
    this.#clock = clock
    this.#file = file
    this.#slot = slot
    this.#wanted = position
    this.#written = position
  }

  /** Opens the file, or makes it; `known` is what it was read to say. */
  static async open(disk: Disk, directory: string, storeId: Uint8Array, known: LogPosition, clock: Clock): Promise<FlushedHint> {
    const file = await openOrCreate(disk, joinPath(directory, FLUSHED_FILE_NAME))
    return new FlushedHint(file, encodeFlushedSlot({ storeId, position: known }), known, clock)
  }

  /** Says that everything below `position` is durable. */
  advance(position: LogPosition): void {
    this.#wanted = position
    if (this.#cancelDelay !== null || this.#writing !== null || this.#wanted === this.#written) return
    const sinceMs = this.#clock.monotonic() - this.#lastWriteMs
    this.#cancelDelay = this.#clock.after(Math.max(HINT_DELAY_MS, HINT_PERIOD_MS - sinceMs), () => {
      this.#cancelDelay = null
      this.#writing = this.#write()
    })
  }

  async #write(): Promise<void> {
    const position = this.#wanted
    this.#lastWriteMs = this.#clock.monotonic()
    updateFlushedSlot(this.#slot, position)
    try {
      await this.#file.write(this.#slot, 0)
      this.#written = position
    } catch {
      // An old hint is as good as none.
    }
    this.#writing = null
    if (this.#wanted > position) this.advance(this.#wanted)
  }

  async close(): Promise<void> {
    this.#cancelDelay?.()
    this.#cancelDelay = () => {}
    await this.#writing
    if (this.#wanted > this.#written) await this.#write()
    await this.#file.close()
  }
}
