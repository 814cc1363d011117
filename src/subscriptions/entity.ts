import { InvalidArgumentError, StreamNotFoundError } from '../core/errors.ts'
import type { JsonValue } from '../core/events.ts'
import { MAX_STREAM_NAME_SIZE } from '../core/limits.ts'
import { encodeStreamName } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import type { StreamMetadata } from '../core/stream-metadata.ts'
import { wholeOption } from '../core/whole-numbers.ts'
import { metadataStreamOf } from '../streams/retention.ts'
import { Fold, type When } from './fold.ts'
import { notesStream } from './follower-desk.ts'
import { type LogClient, lastEvent, lastNote, oneEvent, writeNote } from './log-client.ts'

export interface EntityOptions<State> {
  /** The state before the first event, or what makes it; undefined. */
  readonly initial?: State | (() => State) | undefined
  /** A snapshot is saved when so many events are newer than the last; 100. 0 saves none. */
  readonly snapshotAfterCount?: number | undefined
  /** Larger snapshots are not saved, in bytes of JSON; 1 MiB. */
  readonly maxSnapshotBytes?: number | undefined
  /** Snapshots with another number are passed over; 0. Change it with the reducer. */
  readonly version?: number | undefined
}

/** The state of one stream. */
export interface Entity<State> {
  readonly stream: string
  /**
   * The state behind everything that was acknowledged before the call; folds only what is new. It must not be changed. One that JSON
   * gives back as something else, such as a Map, is not saved.
   * @throws (rejects with) what the reducer threw, StoreClosedError, ReadFailedError, CorruptLogError
   */
  get(): Promise<State>
  /** Of the last event in the state, to be used as `expectedRevision`; null when there is none. */
  readonly revision: number | null
}

interface SnapshotNote {
  readonly revision: number
  readonly version: number
  readonly state: JsonValue
}

const OPTIONS: ReadonlySet<string> = new Set<keyof EntityOptions<unknown>>([
  ...(['initial', 'snapshotAfterCount', 'maxSnapshotBytes', 'version'] as const),
])

const DEFAULT_SNAPSHOT_AFTER_COUNT = 100
const MAX_SNAPSHOTTED_NAME_SIZE = MAX_STREAM_NAME_SIZE - '$snapshot-'.length
const DEFAULT_MAX_SNAPSHOT_BYTES = 1024 * 1024

export class FoldedEntity<State> implements Entity<State> {
  readonly stream: string
  readonly #client: LogClient
  readonly #snapshots: string
  readonly #fold: Fold<State>
  readonly #snapshotAfterCount: number
  readonly #maxSnapshotBytes: number
  readonly #version: number
  #state: State
  #revision: number | null = null
  /** Of the note that the next snapshot follows, and of the last event in it. */
  #noteRevision: number | null = null
  #savedRevision = -1
  #isLoaded = false
  /** One get at a time: each goes on where the one before came to. */
  #line: Promise<unknown> = Promise.resolve()

  /** @throws InvalidArgumentError */
  constructor(client: LogClient, stream: string, when: When<State>, options: EntityOptions<State>) {
    encodeStreamName(stream)
    checkOptionNames(options, OPTIONS)
    this.stream = stream
    this.#client = client
    this.#fold = new Fold<State>(options.initial as State, when)
    const snapshotAfterCount = wholeOption('snapshotAfterCount', options.snapshotAfterCount, DEFAULT_SNAPSHOT_AFTER_COUNT, 0)
    // Without snapshots it is the same, only later: a name may be too long for the stream that they are in.
    this.#snapshotAfterCount = Buffer.byteLength(stream) > MAX_SNAPSHOTTED_NAME_SIZE ? 0 : snapshotAfterCount
    this.#maxSnapshotBytes = wholeOption('maxSnapshotBytes', options.maxSnapshotBytes, DEFAULT_MAX_SNAPSHOT_BYTES, 0)
    this.#version = wholeOption('version', options.version, 0, 0)
    if (this.#snapshotAfterCount > 0 && stream.startsWith('$'))
      throw new InvalidArgumentError('a stream of the store has no snapshots: set snapshotAfterCount to 0')
    this.#snapshots = this.#snapshotAfterCount > 0 ? notesStream('snapshot', stream) : ''
    this.#state = this.#fold.initial()
  }

  get revision(): number | null {
    return this.#revision
  }

  get(): Promise<State> {
    const getting = this.#line.then(() => this.#get())
    this.#line = getting.catch(() => {})
    return getting
  }

  async #get(): Promise<State> {
    if (!this.#isLoaded) await this.#load()
    if (this.#revision !== null) {
      const extent = await this.#client.extent(this.stream)
      if (extent?.lastRevision === this.#revision) return this.#state
      if (extent === null || (extent.firstRevision > this.#revision && (await this.#wasDeleted(this.#revision))))
        this.#beginAnew()
    }
    let state = this.#state
    let revision = this.#revision
    try {
      const from = revision === null ? 0 : revision + 1
      for await (const batch of this.#client.readStream(this.stream, { from }).batches()) {
        for (const event of batch) {
          if (revision !== null && event.revision > revision + 1 && (await this.#isFirst(event.revision))) {
            this.#beginAnew()
            state = this.#state
          }
          state = this.#fold.next(state, event)
          revision = event.revision
        }
      }
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) {
        // A reducer may have changed half of it.
        this.#forget()
        throw error
      }
    }
    this.#state = state
    this.#revision = revision
    if (this.#snapshotAfterCount > 0 && revision !== null && revision - this.#savedRevision >= this.#snapshotAfterCount)
      await this.#save(revision)
    return state
  }

  /**
   * Whether the stream ended with `revision` when it was deleted. One that was cut there goes on: that is what snapshots are for. Whoever
   * cuts a stream leaves something; when nothing was there yet, it was deleted.
   */
  async #wasDeleted(revision: number): Promise<boolean> {
    const said = await lastEvent(this.#client, metadataStreamOf(this.stream))
    if ((said?.data as StreamMetadata | undefined)?.truncateBefore !== revision + 1) return false
    const next = await oneEvent(this.#client, this.stream, { from: revision + 1 })
    return next === null || next.position > said!.position
  }

  /** Whether all before it are gone, and not some that were erased: what was never seen can't be folded any more. */
  async #isFirst(revision: number): Promise<boolean> {
    return (await oneEvent(this.#client, this.stream, {}))?.revision === revision
  }

  /** What is saved is of no use any more, so the next state is. */
  #beginAnew(): void {
    this.#state = this.#fold.initial()
    this.#revision = null
    this.#savedRevision = Number.NEGATIVE_INFINITY
  }

  #forget(): void {
    this.#isLoaded = false
    this.#state = this.#fold.initial()
    this.#revision = null
  }

  async #load(): Promise<void> {
    const note = this.#snapshotAfterCount === 0 ? null : await lastNote<SnapshotNote>(this.#client, this.#snapshots)
    this.#isLoaded = true
    if (note === null) return
    this.#noteRevision = note.revision
    if (note.value.version !== this.#version) return
    this.#state = note.value.state as State
    this.#revision = note.value.revision
    this.#savedRevision = note.value.revision
  }

  /** Snapshots save time and nothing else: that one could not be saved is no failure. */
  async #save(revision: number): Promise<void> {
    this.#savedRevision = revision
    const state = this.#state as JsonValue
    if (!isKept(state, this.#maxSnapshotBytes)) return
    const note: SnapshotNote = { revision, version: this.#version, state }
    try {
      this.#noteRevision = await writeNote(this.#client, this.#snapshots, '$snapshot', { ...note }, this.#noteRevision)
    } catch {
      // Perhaps somebody else has saved one: the next is written behind it.
      this.#noteRevision = (await lastNote<SnapshotNote>(this.#client, this.#snapshots).catch(() => null))?.revision ?? null
    }
  }
}

/** Whether what is read from a snapshot is what was saved, and no larger than that. */
function isKept(state: JsonValue, maxBytes: number): boolean {
  try {
    return Buffer.byteLength(JSON.stringify(state, asItIs) ?? '') <= maxBytes
  } catch {
    return false
  }
}

/** Lets through what JSON gives back as it is. A field that is undefined is as good as none. */
function asItIs(this: object, key: string, value: unknown): unknown {
  const hasToJson = (this as { [key: string]: unknown })[key] !== value
  if (hasToJson || !isPlain(value) || (value === undefined && Array.isArray(this)))
    throw new InvalidArgumentError('JSON gives it back as something else')
  return value
}

function isPlain(value: unknown): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object') return typeof value !== 'function' && typeof value !== 'symbol'
  if (value === null || Array.isArray(value)) return true
  // One without a prototype comes back with one: of a name such as 'constructor' it then has something that nobody put there.
  return Object.getPrototypeOf(value) === Object.prototype
}
