import { checkSignal } from '../core/abort-signal.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import type { AnyEvent } from '../core/events.ts'
import { shown } from '../core/json-text.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { type EventFilter, EventSelection } from '../streams/event-filter.ts'
import { checkedFrom, type FollowerDesk, notesStream } from './follower-desk.ts'
import { LaterCursor } from './later-cursor.ts'
import { lastNote, withRoom, writeNote } from './log-client.ts'
import { CursorSubscription, type Subscription } from './subscription.ts'

export interface ConsumerOptions {
  /** Only these events. */
  readonly filter?: EventFilter | undefined
  /** Where a consumer begins that has never committed: a position, 'start' (default), or 'end'. */
  readonly from?: number | 'start' | 'end' | undefined
  /** 'batch' (default): when the next batch is asked for, the one before is committed. 'explicit': only `commit()` does. */
  readonly commit?: 'batch' | 'explicit' | undefined
  /** Ends the subscription: who waits for the next event gets the signal's reason. */
  readonly signal?: AbortSignal | undefined
}

/** A subscription that remembers in the store how far it came, under its name, and goes on there: each event at least once. */
export interface Consumer<Event extends AnyEvent = AnyEvent> extends Subscription<Event> {
  readonly name: string
  /**
   * Everything handed out so far is done with. Resolves when that is durable: it will not be handed out again under this name.
   * @throws (rejects with) WrongExpectedRevisionError when another consumer has committed under this name meanwhile,
   *   QueueFullError, StoreClosedError, ReadOnlyStoreError, DiskFullError, WriterFailedError
   */
  commit(): Promise<void>
  /** How far what is committed under this name is behind the end of the log, in bytes of log. @throws (rejects with) what a read does */
  lag(): Promise<number>
}

const OPTIONS: ReadonlySet<string> = new Set<keyof ConsumerOptions>(['filter', 'from', 'commit', 'signal'])
const COMMIT_WAYS: readonly ConsumerOptions['commit'][] = ['batch', 'explicit', undefined]

/** What a consumer writes down: everything below is done. */
interface Progress {
  readonly position: number
}

interface Committed extends Progress {
  /** Of the note; null before the first. */
  readonly revision: number | null
}

export class NamedConsumer extends CursorSubscription implements Consumer {
  readonly name: string
  readonly #desk: FollowerDesk
  readonly #stream: string
  readonly #from: number
  /** What is written down, and in which revision; undefined before it was looked up. */
  #committed: Promise<Committed> | undefined

  /** @throws InvalidArgumentError */
  constructor(desk: FollowerDesk, name: string, options: ConsumerOptions) {
    const stream = notesStream('consumer', name)
    checkOptionNames(options, OPTIONS)
    const { filter, from: wanted, commit: way, signal } = options
    checkSignal(signal)
    if (!COMMIT_WAYS.includes(way)) throw new InvalidArgumentError(`commit must be 'batch' or 'explicit', got ${shown(way)}`)
    const selection = new EventSelection(filter, false)
    const from = checkedFrom(wanted, desk.tail.position)
    const cursor = new LaterCursor(async () => {
      // Where the end was has to be known after a restart, too.
      if (wanted === 'end' && (await this.#progress()).revision === null) await withRoom(desk.client, () => this.#write(from))
      return desk.logCursor(selection, (await this.#progress()).position)
    })
    const commit = way === 'explicit' ? null : () => this.commit()
    super(cursor, desk.tail, { signal, beforeMore: commit })
    this.name = name
    this.#desk = desk
    this.#stream = stream
    this.#from = from
  }

  async commit(): Promise<void> {
    if (this.place !== null) await this.#write(this.place)
  }

  /** One at a time: each rests on the revision of the one before. */
  async #write(position: number): Promise<void> {
    this.#committed = this.#progress().then(async committed => {
      if (committed.revision !== null && committed.position >= position) return committed
      const { client } = this.#desk
      const revision = await writeNote(client, this.#stream, '$consumer-committed', { position }, committed.revision)
      return { position, revision }
    })
    await this.#progress()
  }

  async lag(): Promise<number> {
    // Looked up: who commits under this name may be another one, here or in the process that writes.
    const { position } = await this.#lookUp()
    return Math.max(0, this.#desk.tail.position - position)
  }

  async #lookUp(): Promise<Committed> {
    const note = await lastNote<Progress>(this.#desk.client, this.#stream)
    return { position: note?.value.position ?? this.#from, revision: note?.revision ?? null }
  }

  async #progress(): Promise<Committed> {
    this.#committed ??= this.#lookUp()
    const looking = this.#committed
    try {
      return await looking
    } catch (error) {
      // What stands there now is looked up again.
      if (this.#committed === looking) this.#committed = undefined
      throw error
    }
  }
}
