import { ReadOnlyStoreError, StoreClosedError, TailraceError } from '../core/errors.ts'
import type { AnyEvent, JsonValue, RecordedEvent } from '../core/events.ts'
import { jsonTextOf, shown } from '../core/json-text.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { wholeOption } from '../core/whole-numbers.ts'
import { type EventFilter, EventSelection } from '../streams/event-filter.ts'
import { Fold, type When } from './fold.ts'
import { type FollowerDesk, notesStream } from './follower-desk.ts'
import { lastNote, withRoom, writeNote } from './log-client.ts'
import type { LogCursor } from './log-cursor.ts'
import { CursorSubscription } from './subscription.ts'

export interface ProjectionOptions<State, Event extends AnyEvent = AnyEvent> {
  /** What it is saved under. */
  readonly name: string
  /** Only these events; with reducers by type, events of these types. */
  readonly filter?: EventFilter | undefined
  /** The state before the first event, or what makes it. */
  readonly initial: State | (() => State)
  readonly when: When<State, Event>
  /** Another number than that of the last checkpoint folds everything anew; 0. Change it with `when`. */
  readonly version?: number | undefined
  /** Events after which a checkpoint is written, besides the one at close; 1,000. */
  readonly checkpointAfterCount?: number | undefined
}

/**
 * A state that follows the log. It is saved with the place it belongs to, so each event counts once, whatever happens. One at a
 * time may be open under a name.
 */
export interface Projection<State> {
  readonly name: string
  /**
   * The state behind everything that was acknowledged before the call. It must be a JSON value, and must not be changed.
   * @throws (rejects with) what a reducer threw, StoreClosedError, ReadFailedError, CorruptLogError
   */
  state(): Promise<State>
  /** Folds everything anew, from the first event on. Resolves when it has caught up. @throws (rejects with) what `state` does */
  rebuild(): Promise<void>
  /** Saves the state now. @throws (rejects with) what a reducer threw, and what an append rejects with */
  checkpoint(): Promise<void>
  /** Saves what is new, and ends it. Where there is no room for that, or nothing can be written, the next run folds it again. */
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const OPTIONS: ReadonlySet<string> = new Set<keyof ProjectionOptions<unknown>>([
  ...(['name', 'filter', 'initial', 'when', 'version', 'checkpointAfterCount'] as const),
])

interface ProjectionNote {
  /** Everything below is in the state. */
  readonly position: number
  readonly version: number
  readonly state: JsonValue
}

interface Waiter<State> {
  readonly position: number
  resolve(state: State): void
  reject(error: unknown): void
}

export class OpenProjection<State> implements Projection<State> {
  readonly name: string
  readonly #desk: FollowerDesk
  readonly #notes: string
  readonly #fold: Fold<State>
  readonly #selection: EventSelection
  readonly #version: number
  readonly #checkpointAfterCount: number
  readonly #leaveDesk: () => void
  #state: State
  #cursor: LogCursor | null = null
  #subscription: CursorSubscription | null = null
  /** Everything below is in the state. */
  #position = 0
  #revision: number | null = null
  #saving: Promise<void> = Promise.resolve()
  #isStopping = false
  #unsavedCount = 0
  #waiters: Waiter<State>[] = []
  /** What was saved has been looked up, or there is nothing to go on with. */
  #begun: Promise<void> = Promise.resolve()
  #running: Promise<void>
  /** One at a time: two would fold into the same state. */
  #restarting: Promise<void> | null = null
  #failure: { readonly error: unknown } | null = null
  #closing: Promise<void> | null = null

  /** @throws InvalidArgumentError */
  constructor(desk: FollowerDesk, options: ProjectionOptions<State>) {
    checkOptionNames(options, OPTIONS)
    this.name = options.name
    this.#desk = desk
    this.#notes = notesStream('projection', options.name)
    this.#fold = new Fold(options.initial, options.when)
    const { filter } = options
    const { types } = this.#fold
    const said = new EventSelection(filter, false)
    const isOpen = filter?.types === undefined && filter?.typePrefix === undefined
    this.#selection = isOpen && types !== undefined ? new EventSelection({ ...filter, types }, false) : said
    this.#version = wholeOption('version', options.version, 0, 0)
    this.#checkpointAfterCount = wholeOption('checkpointAfterCount', options.checkpointAfterCount, 1000, 1)
    this.#state = this.#fold.initial()
    this.#leaveDesk = desk.enter(this.#notes, () => this.close())
    this.#running = this.#start(() => this.#load())
  }

  async state(): Promise<State> {
    await this.#desk.tail.refresh()
    return this.#reached(this.#desk.tail.position)
  }

  async rebuild(): Promise<void> {
    if (this.#closing !== null) throw new StoreClosedError()
    this.#restarting ??= this.#restart().finally(() => {
      this.#restarting = null
    })
    await this.#restarting
    await this.#reached(this.#desk.tail.position)
  }

  async #restart(): Promise<void> {
    await this.#stop()
    this.#failure = null
    this.#running = this.#start(async () => {
      this.#beginAnew()
      await this.#saving
      // Where the notes are was perhaps never known: they could not be read.
      const { client } = this.#desk
      this.#revision = (await client.extent(this.#notes))?.lastRevision ?? null
      await this.#save(() => withRoom(client, () => this.#write()))
    })
  }

  async checkpoint(): Promise<void> {
    if (this.#closing !== null) throw new StoreClosedError()
    await this.#begun
    await this.#write()
  }

  async #write(): Promise<void> {
    if (this.#failure !== null) throw this.#failure.error
    // The state is serialised before anything is awaited; and one note after the other, for each rests on the one before.
    const text =
      this.#state === undefined ? undefined : jsonTextOf(this.#state, `the state of the projection ${shown(this.name)}`)
    const state = (text === undefined ? undefined : JSON.parse(text)) as JsonValue
    const note: ProjectionNote = { position: this.#position, version: this.#version, state }
    this.#unsavedCount = 0
    const writing = this.#saving.then(async () => {
      this.#revision = await writeNote(this.#desk.client, this.#notes, '$projection-checkpoint', { ...note }, this.#revision)
    })
    this.#saving = writing.catch(() => {
      // The next checkpoint saves it, the one at close if no other.
      this.#unsavedCount++
    })
    await writing
  }

  /** The next checkpoint says the same and more; and where nothing can be written, a projection serves as well. */
  async #save(write = () => this.#write()): Promise<void> {
    try {
      await write()
    } catch (error) {
      if (!(error instanceof ReadOnlyStoreError || (error instanceof TailraceError && error.retryable))) throw error
    }
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #close(): Promise<void> {
    await this.#restarting
    await this.#stop()
    // Whoever has the name next goes on from the last note.
    await this.#saving
    try {
      if (this.#unsavedCount > 0 && this.#failure === null) await this.#save()
    } finally {
      this.#failure ??= { error: new StoreClosedError() }
      this.#tellWaiters()
      this.#leaveDesk()
    }
  }

  async #stop(): Promise<void> {
    this.#isStopping = true
    await this.#subscription?.return()
    await this.#running
    this.#isStopping = false
  }

  #start(begin: () => Promise<void>): Promise<void> {
    const begun = begin()
    this.#begun = begun.catch(() => {})
    return begun
      .then(() => this.#run())
      .catch((error: unknown) => {
        this.#failure = { error }
        this.#tellWaiters()
      })
  }

  async #load(): Promise<void> {
    const note = await lastNote<ProjectionNote>(this.#desk.client, this.#notes)
    this.#revision = note?.revision ?? null
    if (note !== null && note.value.version === this.#version) {
      this.#state = note.value.state as State
      this.#position = note.value.position
    } else if (note !== null) {
      this.#beginAnew()
      await this.#save()
    }
  }

  /** It is to be saved: what was saved must not be gone on with, whatever happens before the next checkpoint. */
  #beginAnew(): void {
    this.#state = this.#fold.initial()
    this.#position = 0
  }

  async #run(): Promise<void> {
    if (this.#isStopping) return
    const cursor = this.#desk.logCursor(this.#selection, this.#position)
    this.#cursor = cursor
    this.#subscription = new CursorSubscription(cursor, this.#desk.tail, { atEnd: position => this.#isAt(position) })
    for await (const batch of this.#subscription.batches()) {
      this.#take(batch)
      if (this.#unsavedCount >= this.#checkpointAfterCount) await this.#save()
    }
  }

  #take(batch: readonly RecordedEvent[]): void {
    for (const event of batch) {
      try {
        this.#state = this.#fold.next(this.#state, event)
      } catch (error) {
        // At once: the reducer may have changed half of it, and a checkpoint that is asked for just now must not save that.
        this.#failure = { error }
        throw error
      }
      this.#position = event.position + 1
    }
    this.#unsavedCount += batch.length
    this.#isAt(this.#cursor!.position)
  }

  #isAt(position: number): void {
    this.#position = Math.max(this.#position, position)
    this.#tellWaiters()
  }

  /** The state behind everything below: as it is then, for a moment later it may be made anew. */
  #reached(position: number): Promise<State> {
    return new Promise((resolve, reject) => {
      this.#waiters.push({ position, resolve, reject })
      this.#tellWaiters()
    })
  }

  #tellWaiters(): void {
    const failure = this.#failure
    this.#waiters = this.#waiters.filter(({ position, resolve, reject }) => {
      if (failure !== null) reject(failure.error)
      else if (position <= this.#position) resolve(this.#state)
      else return true
      return false
    })
  }
}
