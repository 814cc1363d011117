import type { CellSpec } from './cells.ts'
import { GroupCommitFloor } from './group-commit-floor.ts'
import { WriteSyncFloor } from './write-sync-floor.ts'

/** What the closed loop drives: the engine and the floors look the same to it, so that their numbers may be compared. */
export interface Appender {
  /** Resolves when the event is as safe as the cell's durability asks. */
  append(stream: string, data: Uint8Array): Promise<unknown>
  /** Since it was opened: appends that were taken, and flushes (writes, where the mode does not sync). */
  counts(): AppenderCounts
  close(): Promise<void>
}

export interface AppenderCounts {
  readonly appends: number
  readonly flushes: number
}

/** Opens the cell's subject in its own, empty directory. */
export async function openAppender(spec: CellSpec): Promise<Appender> {
  switch (spec.subject) {
    case 'tailrace': {
      // Loaded here, so that a floor's process is not one that carries the engine.
      const { TailraceAppender } = await import('./tailrace-appender.ts')
      return TailraceAppender.open(spec)
    }
    case 'group-commit':
      return GroupCommitFloor.open(spec.directory, spec.durability)
    case 'write-sync':
      return WriteSyncFloor.open(spec.directory)
  }
}
