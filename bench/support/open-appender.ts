import type { Appender } from './appender.ts'
import type { CellSpec } from './cells.ts'
import { GroupCommitFloor } from './group-commit-floor.ts'
import { WriteSyncFloor } from './write-sync-floor.ts'

/** Opens the cell's subject in its own, empty directory. */
export async function openAppender(spec: CellSpec): Promise<Appender> {
  switch (spec.subject) {
    case 'tailrace': {
      // Loaded here, so that a floor's process is not one that carries the engine.
      const { TailraceSubject } = await import('./tailrace-subject.ts')
      return TailraceSubject.open(spec)
    }
    case 'group-commit':
      return GroupCommitFloor.open(spec.directory, spec.durability)
    case 'write-sync':
      return WriteSyncFloor.open(spec.directory)
  }
}
