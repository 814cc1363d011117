import type { Clock } from '../core/clock.ts'
import { InvalidArgumentError, StoreClosedError, StreamNotFoundError, TailraceError } from '../core/errors.ts'
import { type Attempt, systemFailure } from '../core/system-failure.ts'
import { checkWorkOptions } from '../core/work-options.ts'
import { absoluteDirectory, leadsInto } from '../disk/directory.ts'
import { MemoryDisk } from '../disk/memory-disk.ts'
import { type BackupOptions, type BackupProgress, type BackupResult, backupLog } from '../log/backup.ts'
import type { Checkpoint } from '../log/checkpoint.ts'
import type { LogFiles } from '../log/log-files.ts'
import { type Erasures, RetentionJudge } from '../scavenge/retention-judge.ts'
import { type ScavengeProgress, type ScavengeResult, Scavenger } from '../scavenge/scavenger.ts'
import type { HeadLoader } from '../streams/head-loader.ts'
import type { IndexFiles } from '../streams/index-files.ts'
import { ERASED_STREAM } from '../streams/retention.ts'
import type { StreamIndex } from '../streams/stream-index.ts'
import type { StreamReader } from '../streams/stream-reader.ts'
import type { SuppliedIdMemory } from '../streams/supplied-id-memory.ts'
import type { WorkMessage } from '../writer/messages.ts'
import type { StorageWriter } from '../writer/storage-writer.ts'
import { writerFailed } from './pending-appends.ts'

export interface ScavengeCallOptions {
  /** Ends it at the next step; what was freed by then stays so. */
  readonly signal?: AbortSignal | undefined
  /** Called after each chunk. */
  readonly onProgress?: ((progress: ScavengeProgress) => void) | undefined
}

export interface BackupCallOptions {
  /** Ends it at the next piece; what was copied by then is no store. */
  readonly signal?: AbortSignal | undefined
  /** Called after each piece. */
  readonly onProgress?: ((progress: BackupProgress) => void) | undefined
}

export interface MaintenanceRooms {
  readonly files: LogFiles
  readonly index: StreamIndex
  readonly indexFiles: IndexFiles
  readonly loader: HeadLoader
  readonly ids: SuppliedIdMemory
  readonly writer: StorageWriter
  readonly clock: Clock
  /** Everything below is in the index. */
  readonly published: Checkpoint
  /** Resolves when everything that is flushed now can be found in the index. */
  settled(): Promise<void>
  /** What of the stream of erasures is there. */
  erasures(): Promise<Erasures>
}

/** Long work beside appends and reads: scavenging and backups. */
export class Maintenance {
  readonly #rooms: MaintenanceRooms
  readonly #scavenger: Scavenger
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()
  #isScavenging = false
  /** Numbers of chunks that were rewritten, and whose index files were not, or not yet: until then they are not merged. */
  readonly #unindexed = new Set<number>()

  constructor(rooms: MaintenanceRooms) {
    this.#rooms = rooms
    this.#scavenger = new Scavenger(rooms.files)
  }

  /** Ends what is under way, and waits for its end. */
  async close(): Promise<void> {
    this.#closing.abort(new StoreClosedError())
    await Promise.allSettled(this.#running)
  }

  scavenge(options: ScavengeCallOptions): Promise<ScavengeResult> {
    checkWorkOptions(options)
    if (this.#isScavenging) throw new InvalidArgumentError('a scavenge is running already; wait for its end')
    this.#isScavenging = true
    const signal = this.#signalWith(options.signal)
    const scavenge = this.#scavenge(options, signal).finally(() => {
      this.#isScavenging = false
    })
    return this.#track(scavenge, signal, this.#rooms.files.directory, 'scavenged')
  }

  backup(directory: string, callOptions: BackupCallOptions): Promise<BackupResult> {
    checkWorkOptions(callOptions)
    const { onProgress } = callOptions
    const { disk } = this.#rooms.files
    if (disk instanceof MemoryDisk) throw new InvalidArgumentError('a store in memory has no disk to copy it to')
    const target = absoluteDirectory(directory)
    const signal = this.#signalWith(callOptions.signal)
    const backup = this.#backup(target, { signal, onProgress })
    return this.#track(backup, signal, target, 'copied to')
  }

  async #backup(target: string, options: BackupOptions): Promise<BackupResult> {
    const { files, writer } = this.#rooms
    if (await leadsInto(files.disk, files.directory, target)) {
      throw new InvalidArgumentError(`${target} lies in the store; a backup needs a directory of its own`)
    }
    // With durability 'memory' it may not even be in its file yet.
    await makeDurable(writer)
    return backupLog(files.disk, files.chunks, writer.flushed.position, target, options)
  }

  async #scavenge({ onProgress }: ScavengeCallOptions, signal: AbortSignal): Promise<ScavengeResult> {
    const { writer, files, index, loader, clock, ids, indexFiles } = this.#rooms
    await ask(writer, 'complete')
    await this.#rooms.settled()
    // Under a load, chunks are complete of which not everything was published: neither the index nor the judge knows all of them.
    const began = files.chunks.find(this.#rooms.published.position).start
    // What is written to index files from here on is of chunks that nobody rewrites: what is rewritten has its file.
    index.completeBelow(began)
    await indexFiles.settled()
    const judge = new RetentionJudge(index, loader, await this.#rooms.erasures(), began, clock.now())
    try {
      return await this.#scavenger.run({
        judge: judge.judge,
        below: began,
        makeDurable: () => makeDurable(writer),
        signal,
        onProgress,
        onReplaced: chunk => {
          this.#unindexed.add(chunk.header.number)
          for (const dropped of judge.takeDroppedIds()) ids.drop(dropped)
        },
      })
    } finally {
      // Until then the index names places that are gone: readers pass over them.
      if (this.#unindexed.size > 0) await indexFiles.refresh([...this.#unindexed])
      this.#unindexed.clear()
    }
  }

  #signalWith(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.#closing.signal : AbortSignal.any([signal, this.#closing.signal])
  }

  /** @returns the work; its reason is the signal's own, or what an error of the system means for the directory. */
  #track<T>(work: Promise<T>, signal: AbortSignal, directory: string, attempt: Attempt): Promise<T> {
    this.#running.add(work)
    const gone = () => {
      this.#running.delete(work)
    }
    work.then(gone, gone)
    return work.catch((error: unknown) => {
      throw signal.aborted && error === signal.reason ? error : systemFailure(error, directory, attempt)
    })
  }
}

/** Everything that was acknowledged by now, whatever the durability mode. */
async function makeDurable(writer: StorageWriter): Promise<void> {
  if (!writer.isProven) await ask(writer, 'sync')
}

function ask(writer: StorageWriter, kind: WorkMessage['kind']): Promise<void> {
  if (writer.failure !== undefined) throw writerFailed(writer.failure.cause, 'rejected')
  return new Promise((resolve, reject) => {
    const done = (error: unknown) => {
      if (error === undefined || error === null) resolve()
      // What ends the writer is told as it comes from the system.
      else reject(error instanceof TailraceError ? error : writerFailed(error, 'rejected'))
    }
    writer.queue.push({ kind, size: 0, isFlushable: false, done })
  })
}

/** What was asked to be erased, and has not been by now. */
export async function erasuresOf(streams: StreamReader): Promise<Erasures> {
  const erasures = new Map<string, Set<number>>()
  const nextBatch = streams.read(ERASED_STREAM, {}, () => null)
  try {
    for (let batch = await nextBatch(); batch !== null; batch = await nextBatch()) {
      for (const { data } of batch) {
        const { stream, revision } = data as { stream: string; revision: number }
        erasures.set(stream, (erasures.get(stream) ?? new Set()).add(revision))
      }
    }
  } catch (error) {
    if (!(error instanceof StreamNotFoundError)) throw error
  }
  return erasures
}
