import { systemErrorCode } from '../core/errors.ts'
import type { LogPosition } from '../core/positions.ts'
import { type Disk, type DiskFile, joinPath } from '../disk/disk.ts'
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
  let file: DiskFile
  try {
    file = await disk.open(joinPath(directory, FLUSHED_FILE_NAME), 'read')
  } catch (error) {
    if (systemErrorCode(error) === 'ENOENT') return null
    throw error
  }
  try {
    const bytes = Buffer.alloc(FLUSHED_SLOT_SIZE)
    return decodeFlushedSlot(bytes.subarray(0, await file.read(bytes, 0)))
  } finally {
    await file.close()
  }
}

/**
 * The writer's side of the hint: overwritten after each sync, never synced itself, so that it costs no flush. Nothing waits
 * for it and its errors are not errors of the store: a hint may be missing.
 */
export class FlushedHint {
  readonly #file: DiskFile
  readonly #slot: Buffer
  #wanted: LogPosition
  #written: LogPosition
  #writing: Promise<void> | null = null

  private constructor(file: DiskFile, slot: Buffer, position: LogPosition) {
    this.#file = file
    this.#slot = slot
    this.#wanted = position
    this.#written = position
  }

  /** Opens the file, or makes it; `known` is what it was read to say. */
  static async open(disk: Disk, directory: string, storeId: Uint8Array, known: LogPosition): Promise<FlushedHint> {
    const path = joinPath(directory, FLUSHED_FILE_NAME)
    const file = await disk.open(path, 'write').catch((error: unknown) => {
      if (systemErrorCode(error) !== 'ENOENT') throw error
      return disk.open(path, 'create')
    })
    return new FlushedHint(file, encodeFlushedSlot({ storeId, position: known }), known)
  }

  /** Says that everything below `position` is durable; while a write is under way only the latest position is kept. */
  advance(position: LogPosition): void {
    this.#wanted = position
    this.#writing ??= this.#write()
  }

  async #write(): Promise<void> {
    while (this.#written < this.#wanted) {
      const position = this.#wanted
      updateFlushedSlot(this.#slot, position)
      try {
        await this.#file.write(this.#slot, 0)
      } catch {
        break
      }
      this.#written = position
    }
    this.#writing = null
  }

  async close(): Promise<void> {
    await this.#writing
    await this.#file.close()
  }
}
