/**
 * The seam to the operating system. Three implementations: real files (node-disk.ts), memory (memory-disk.ts), and the
 * simulated disk of the tests, which loses, tears and fails. What each method promises is what the log's crash safety rests on.
 *
 * Paths are made with `joinPath`; every method rejects with the system's error (`code` is the errno name).
 */

export interface DiskFile {
  readonly path: string
  /** Resolves once all `bytes` are in the file (not: on disk), or rejects; then any part of them may have been written. */
  write(bytes: Uint8Array, offset: number): Promise<void>
  /**
   * Like write, and resolves only when these bytes are durable, and the size with them, in one trip. After a rejection nothing is
   * known of them, as with datasync; but when its code says that the disk is full, they were refused: a part of them may have
   * been written, and nothing is in doubt.
   */
  writeDurably(bytes: Uint8Array, offset: number): Promise<void>
  /**
   * Writes bytes that the file shows already, and resolves when they are durable, whatever became of earlier writes of them. After
   * a failed sync the kernel goes on to show what it did not write. On ext4 a second write of it, synced without an error, can
   * still leave a hole on the disk; so this one goes past the cache, where the file system can do that. What the file showed
   * behind `bytes` may be gone then, unless it was durable.
   */
  rewriteDurably(bytes: Uint8Array, offset: number): Promise<void>
  /**
   * Resolves when every write that had resolved before this call is durable, the file's size included. After a rejection
   * nothing is known of those bytes, now or ever: another datasync may succeed without them.
   */
  datasync(): Promise<void>
  /** Fills `target` from `offset`; resolves with how much there was (less only at the end of the file). */
  read(target: Uint8Array, offset: number): Promise<number>
  /** The same in one call of the system: less is most likely the end of the file, but need not be. */
  readOnce(target: Uint8Array, offset: number): Promise<number>
  size(): Promise<number>
  /** Cuts or extends (with zeros, sparse) the file; durable after the next datasync. */
  truncate(size: number): Promise<void>
  /**
   * Nobody writes it any more, and all that was written is durable. From here on it may be closed between two reads, and opened
   * again as `path`, its name by now: a store may have more files than a process may have descriptors.
   */
  rest(path: string): void
  /** Resolves when it is open and stays so until `close`: its name is about to be that of another file. */
  keepOpen(): Promise<void>
  /** Waits for the calls under way, and refuses new ones: a descriptor that is closed under a write may be that of another file by then. */
  close(): Promise<void>
}

/** 'read': must exist, read only. 'write': must exist, read and write. 'create': made new, fails with EEXIST if it is there. */
export type OpenMode = 'read' | 'write' | 'create'

export interface DiskLock {
  release(): Promise<void>
}

export interface Disk {
  open(path: string, mode: OpenMode): Promise<DiskFile>
  /**
   * Fills `target` with pieces of open files of this disk, one behind the other: `sizes[i]` bytes of `files[i]` from `offsets[i]` on,
   * `target.length` in all, with zeros for what lies behind the end of a file. For many small pieces: they cost one trip, where a disk
   * has one.
   */
  readPieces(files: readonly DiskFile[], target: Uint8Array, offsets: readonly number[], sizes: readonly number[]): Promise<void>
  /** Names in a directory, sorted; rejects with ENOENT when it is absent. */
  list(directory: string): Promise<string[]>
  /** Makes the directory and its parents as needed, and syncs the parent of each that was made. */
  makeDirectory(directory: string): Promise<void>
  /** Replaces `to`; other processes see the old file or the new one, never none. Durable after syncDirectory. */
  rename(from: string, to: string): Promise<void>
  /** Durable after syncDirectory. */
  remove(path: string): Promise<void>
  /** Resolves when every create, rename and remove in the directory that had resolved before is durable. */
  syncDirectory(directory: string): Promise<void>
  /** Where a path leads, as far as it leads anywhere: without links, up to a part that is not there. */
  realPath(path: string): Promise<string>
  /**
   * Takes the exclusive lock of `path` (made if absent, never removed) for as long as the process lives or until released.
   * Two handles in one process exclude each other, too.
   * @throws StoreLockedError, LockUnavailableError
   */
  lock(path: string): Promise<DiskLock>
}

export function joinPath(directory: string, name: string): string {
  return directory.endsWith('/') ? directory + name : `${directory}/${name}`
}

/** `readPieces` with a read for each piece. */
export async function readEachPiece(
  files: readonly Pick<DiskFile, 'read'>[],
  target: Uint8Array,
  offsets: readonly number[],
  sizes: readonly number[],
): Promise<void> {
  let from = 0
  await Promise.all(
    offsets.map(async (offset, i) => {
      const piece = target.subarray(from, from + sizes[i]!)
      from += piece.length
      piece.fill(0, await files[i]!.read(piece, offset))
    }),
  )
}
