import type { DiskContent } from '../../src/disk/memory-disk.ts'

/**
 * What a workload did to a simulated disk, in the order in which it happened: enough to rebuild every state that a crash could
 * have left behind.
 *
 * An operation has two entries: its own when it is called (from then on a crash may find any part of it on disk), and a `done`
 * when it settles, at which time readers see it. `done.begun` is the index of the first.
 */
export type LogEntry =
  | { readonly kind: 'create'; readonly path: string; readonly inode: number }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string }
  | { readonly kind: 'remove'; readonly path: string }
  | { readonly kind: 'makeDirectory'; readonly directory: string }
  | { readonly kind: 'syncDirectory'; readonly directory: string }
  | { readonly kind: 'write' | 'writeDurably'; readonly inode: number; readonly offset: number; readonly bytes: Uint8Array }
  | { readonly kind: 'truncate'; readonly inode: number; readonly size: number }
  | { readonly kind: 'datasync'; readonly inode: number }
  | { readonly kind: 'done'; readonly begun: number; readonly ok: boolean }
  | Mark

/** A note of the workload's, such as "the append of event 7 was acked": true of every crash after it. */
export interface Mark {
  readonly kind: 'mark'
  readonly label: string
  readonly payload: unknown
}

/** A run of a workload. A SimulatedDisk is one. */
export interface Recording {
  /** What was on disk before the first entry, all of it durable. The files' inodes are 0, 1, 2, ... in this order. */
  readonly initial: DiskContent
  readonly log: readonly LogEntry[]
  readonly sectorSize: number
}

/** Which of the content's paths are files, in the order of their inodes. */
export function filesOf(content: DiskContent): [path: string, bytes: Uint8Array][] {
  return [...content].filter(([path]) => !path.endsWith('/'))
}

/** What was done to chunk files, and nothing else. */
export function operationsOnChunks(log: readonly LogEntry[]): LogEntry[] {
  const chunks = new Set<number>()
  for (const entry of log) if (entry.kind === 'create' && entry.path.includes('.chunk')) chunks.add(entry.inode)
  return log.filter(entry => 'inode' in entry && chunks.has(entry.inode))
}
