import { InvalidArgumentError, JournalsLockedError, StoreClosedError, StoreLockedError } from '../core/errors.ts'
import { shown } from '../core/json-text.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { systemFailure } from '../core/system-failure.ts'
import { checkWorkOptions } from '../core/work-options.ts'
import { absoluteDirectory, syncName } from '../disk/directory.ts'
import { type Disk, type DiskLock, joinPath } from '../disk/disk.ts'
import { NodeDisk } from '../disk/node-disk.ts'
import type { EventStore, RecordedEvent } from '../index.ts'
import { JournalBatch } from './journal-batch.ts'
import { type CheckpointEvent, type JournalCheckpoint, readCheckpoint, writeCheckpoint } from './journal-checkpoint.ts'
import { JournalEnds } from './journal-ends.ts'
import { JournalFiles } from './journal-files.ts'
import { checkOrigin, checkStore, LOCK_NAME, refuseStrangers, storeNameOf } from './journal-origin.ts'
import { JournalVerification, type JournalVerificationReport, type VerifyOptions } from './journal-verification.ts'

export { DamagedJournalError, JournalsLockedError } from '../core/errors.ts'
export type { JournalDifference, JournalVerificationReport, VerifyOptions } from './journal-verification.ts'

export interface JournalOptions {
  /** Streams whose name begins with `$` get journals, too. What a directory began with, it must go on with. */
  readonly includeSystem?: boolean | undefined
}

export interface WriteOptions {
  /** Ends it after a batch. */
  readonly signal?: AbortSignal | undefined
  /** Told of the position up to which everything is in the journals, after each batch. */
  readonly onProgress?: ((position: number) => void) | undefined
}

const OPTIONS: ReadonlySet<string> = new Set<keyof JournalOptions>(['includeSystem'])

/**
 * Readable journals of a store: a directory with one text file a stream, one line an event. They follow the log and hold nothing
 * that is not in it; a directory that is lost or damaged is removed and written anew.
 *
 * Before each batch the checkpoint says which files it will write to and how long they are: whatever a crash leaves of the
 * batch is cut off, and written again from the log.
 */
export class Journals {
  readonly #store: EventStore
  readonly #disk: Disk
  readonly #directory: string
  readonly #lock: DiskLock
  readonly #files: JournalFiles
  readonly #ends: JournalEnds
  readonly #includeSystem: boolean
  #last: CheckpointEvent | null
  /** Whether the checkpoint that is on disk says that nothing is being written. */
  #isSettled: boolean
  #eventCount = 0
  #mendedCount = 0
  #failure: unknown = null
  #writing: Promise<void> | null = null
  readonly #ending = new AbortController()
  #closing: Promise<void> | null = null

  private constructor(store: EventStore, disk: Disk, directory: string, lock: DiskLock, checkpoint: JournalCheckpoint) {
    this.#store = store
    this.#disk = disk
    this.#directory = directory
    this.#lock = lock
    this.#files = new JournalFiles(disk, directory)
    this.#ends = new JournalEnds(store, this.#files)
    this.#includeSystem = checkpoint.includeSystem
    this.#last = checkpoint.event
    this.#isSettled = checkpoint.files.size === 0
  }

  /**
   * Takes over the journals in a directory, or begins them: mends what a crash has left. The store may be open for reading.
   * @throws DamagedJournalError, JournalsLockedError, InvalidArgumentError when it is no place for journals of this store, DiskFullError,
   *   ReadFailedError
   */
  static open(store: EventStore, directory: string, options: JournalOptions = {}): Promise<Journals> {
    return Journals.openOn(new NodeDisk(), store, directory, options)
  }

  /** Compares the journals in a directory with the log, line by line. Takes no lock; they may be in use. */
  static verify(store: EventStore, directory: string, options: VerifyOptions = {}): Promise<JournalVerificationReport> {
    return Journals.verifyOn(new NodeDisk(), store, directory, options)
  }

  /** @internal */
  static async openOn(disk: Disk, store: EventStore, place: string, options: JournalOptions = {}): Promise<Journals> {
    checkStore(store)
    const directory = absoluteDirectory(place)
    checkOptionNames(options, OPTIONS)
    const { includeSystem: asked } = options
    // It is written into the directory, which goes on as it was begun.
    if (asked !== undefined && typeof asked !== 'boolean')
      throw new InvalidArgumentError(`includeSystem must be true or false, got ${shown(asked)}`)
    try {
      await disk.makeDirectory(directory)
      await refuseStrangers(disk, directory)
      const lock = await disk.lock(joinPath(directory, LOCK_NAME))
      return await Journals.#takeOver(disk, store, directory, lock, options)
    } catch (error) {
      if (error instanceof StoreLockedError) throw new JournalsLockedError(directory, error.pid)
      throw systemFailure(error, directory, 'written to')
    }
  }

  static async #takeOver(
    disk: Disk,
    store: EventStore,
    directory: string,
    lock: DiskLock,
    options: JournalOptions,
  ): Promise<Journals> {
    try {
      const checkpoint = (await readCheckpoint(disk, directory)) ?? (await begin(disk, store, directory, options))
      const { includeSystem = checkpoint.includeSystem } = options
      if (includeSystem !== checkpoint.includeSystem) {
        const how = checkpoint.includeSystem ? 'with' : 'without'
        throw new InvalidArgumentError(`the journals in ${directory} were begun ${how} system streams`)
      }
      await checkOrigin(store, checkpoint, directory)
      const journals = new Journals(store, disk, directory, lock, checkpoint)
      await journals.#mend(checkpoint)
      return journals
    } catch (error) {
      await lock.release()
      throw error
    }
  }

  /** @internal */
  static async verifyOn(
    disk: Disk,
    store: EventStore,
    directory: string,
    options: VerifyOptions,
  ): Promise<JournalVerificationReport> {
    return new JournalVerification(disk, store, directory, options).run()
  }

  /** Position of the last event that is in the journals, durably; null while there is none. */
  get position(): number | null {
    return this.#last?.position ?? null
  }

  /** Events that were written since the journals were opened. */
  get eventCount(): number {
    return this.#eventCount
  }

  /** Files that had something at their end which a crash had left there. */
  get mendedCount(): number {
    return this.#mendedCount
  }

  /**
   * Writes what the log has now. The signal ends it early, after a batch.
   * @throws (rejects with) InvalidArgumentError when the journals are closed or being written, DamagedJournalError, what a read of the
   *   store rejects with, DiskFullError, ReadFailedError; after one that came while a batch was written, the journals must be opened
   *   again
   */
  async catchUp(options: WriteOptions = {}): Promise<void> {
    checkWorkOptions(options)
    const { signal, onProgress } = options
    return this.#alone(signal, ending => this.#catchUp(ending, onProgress))
  }

  /**
   * Writes what the log has, and goes on with what comes, until the signal, `close` or the closing of the store ends it; resolves
   * then. Waiting for more does not keep the process alive.
   */
  async follow(options: WriteOptions = {}): Promise<void> {
    checkWorkOptions(options)
    const { signal, onProgress } = options
    return this.#alone(signal, async ending => {
      try {
        await this.#catchUp(ending, onProgress)
        await this.#goOn(ending, onProgress)
      } catch (error) {
        // With the store it ends also when a batch was about to be written: the next run begins with that.
        if (error !== ending.reason && !(error instanceof StoreClosedError)) throw error
      }
    })
  }

  /** Ends a follower and lets go of the directory. Everything that was written is durable. May be called again. */
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    this.#ending.abort()
    // A file must not be closed under a call that works on it. Whoever began the writing hears of its failure.
    await this.#writing?.catch(() => {})
    try {
      if (this.#failure === null && !this.#isSettled) await this.#putCheckpoint(new Map())
    } catch (error) {
      throw systemFailure(error, this.#directory, 'written to')
    } finally {
      await this.#files.abandon()
      await this.#lock.release()
    }
  }

  /** One writer at a time, and none after a failure: what is in the files is then known only to the next opener. */
  async #alone(signal: AbortSignal | undefined, work: (ending: AbortSignal) => Promise<void>): Promise<void> {
    if (this.#closing !== null) throw new InvalidArgumentError('the journals are closed')
    if (this.#writing !== null) throw new InvalidArgumentError('the journals are already being written')
    const own = this.#ending.signal
    try {
      if (this.#failure !== null) throw this.#failure
      this.#writing = work(signal === undefined ? own : AbortSignal.any([signal, own])).finally(() => {
        this.#writing = null
      })
      await this.#writing
    } catch (error) {
      throw systemFailure(error, this.#directory, 'written to')
    }
  }

  async #catchUp(ending: AbortSignal, onProgress: WriteOptions['onProgress']): Promise<void> {
    let batch = new JournalBatch()
    const reading = this.#store.readAll({ from: this.#last?.position, includeSystem: this.#includeSystem })
    try {
      for await (const events of reading.batches()) {
        this.#addTo(batch, events)
        if (!batch.isFull && !ending.aborted) continue
        const full = batch
        batch = new JournalBatch()
        await this.#write(full, onProgress)
        if (ending.aborted) return
      }
    } finally {
      // Of a damaged log, everything up to the damage.
      await this.#write(batch, onProgress)
    }
  }

  /** What comes is written as it comes: whoever looks into the files sees it at once. */
  async #goOn(ending: AbortSignal, onProgress: WriteOptions['onProgress']): Promise<void> {
    const options = { after: this.#last?.position, includeSystem: this.#includeSystem, signal: ending }
    for await (const events of this.#store.subscribe(options).batches()) {
      const batch = new JournalBatch()
      this.#addTo(batch, events)
      await this.#write(batch, onProgress)
    }
  }

  #addTo(batch: JournalBatch, events: readonly RecordedEvent[]): void {
    const after = this.#last?.position ?? -1
    for (const event of events) if (event.position > after) batch.add(event)
  }

  async #write(batch: JournalBatch, onProgress: WriteOptions['onProgress']): Promise<void> {
    if (batch.lastEvent === null) return
    const sizes = await batch.sizesIn(this.#files, this.#ends)
    try {
      await this.#putCheckpoint(sizes)
      await batch.writeTo(this.#files, sizes)
      await this.#files.sync()
    } catch (error) {
      this.#failure = error
      throw error
    }
    this.#last = batch.lastEvent
    this.#eventCount += batch.eventCount
    onProgress?.(batch.lastEvent.position)
  }

  async #putCheckpoint(files: ReadonlyMap<string, number>): Promise<void> {
    const store = storeNameOf(this.#store)
    await writeCheckpoint(this.#disk, this.#directory, { store, event: this.#last, includeSystem: this.#includeSystem, files })
    this.#isSettled = files.size === 0
  }

  /** Cuts off what a crash has left of the batch that was being written. */
  async #mend(checkpoint: JournalCheckpoint): Promise<void> {
    try {
      for (const [name, size] of checkpoint.files) {
        if (await this.#files.cut(name, size)) this.#mendedCount++
        await this.#files.trim()
      }
      await this.#files.sync()
    } catch (error) {
      await this.#files.abandon()
      throw error
    }
  }
}

/** The first checkpoint of a directory. */
async function begin(
  disk: Disk,
  store: EventStore,
  directory: string,
  { includeSystem = false }: JournalOptions,
): Promise<JournalCheckpoint> {
  const checkpoint = { store: storeNameOf(store), event: null, includeSystem, files: new Map<string, number>() }
  await syncName(disk, directory)
  await writeCheckpoint(disk, directory, checkpoint)
  return checkpoint
}
