import { type Clock, systemClock } from '../core/clock.ts'
import { StreamNotFoundError } from '../core/errors.ts'
import type { EventStore, RecordedEvent } from '../index.ts'

export interface FollowOptions {
  /** Only this stream; `from` and `after` are then revisions. */
  readonly stream?: string | undefined
  /** The first event at or after it. */
  readonly from?: number | 'start' | 'end' | undefined
  /** The first event behind it. */
  readonly after?: number | undefined
  readonly filter?: EventFilter | undefined
  readonly includeSystem?: boolean | undefined
  readonly signal?: AbortSignal | undefined
}

/** An event passes if it fits each of these that is there. */
export interface EventFilter {
  readonly streams?: readonly string[] | undefined
  readonly streamPrefix?: string | undefined
  readonly types?: readonly string[] | undefined
  readonly typePrefix?: string | undefined
}

/** How long to wait before the log is looked at again. */
const LOOK_DELAY_MS = 10

/**
 * The events of a store in batches, from where it is told to, and then on and on: it never ends by itself, and throws the
 * signal's reason. Reads again and again; what is read is what the store says is durable.
 */
export async function* followLog(
  store: EventStore,
  options: FollowOptions,
  clock: Clock = systemClock,
): AsyncGenerator<readonly RecordedEvent[], never> {
  const { filter, signal } = options
  const cursor = options.stream === undefined ? new LogCursor(store, options) : new StreamCursor(store, options.stream, options)
  await cursor.start()
  for (;;) {
    for await (const batch of cursor.read()) {
      const fitting = filter === undefined ? batch : batch.filter(event => passes(event, filter))
      if (fitting.length > 0) yield fitting
      signal?.throwIfAborted()
    }
    await pause(clock, signal)
    signal?.throwIfAborted()
  }
}

/** Where the follower is in the whole log. */
class LogCursor {
  readonly #store: EventStore
  readonly #options: FollowOptions
  /** The last event that was read. */
  #last: number | null

  constructor(store: EventStore, options: FollowOptions) {
    this.#store = store
    this.#options = options
    this.#last = options.after ?? null
  }

  async start(): Promise<void> {
    if (this.#last !== null || this.#options.from !== 'end') return
    const newest = this.#store.readAll({ direction: 'backwards', maxCount: 1, includeSystem: true })
    for await (const { position } of newest) this.#last = position
  }

  async *read(): AsyncIterable<readonly RecordedEvent[]> {
    const { includeSystem, signal, from } = this.#options
    const wanted = from === 'end' || from === undefined ? 'start' : from
    // From the last event itself: its position is known to be the beginning of a record, the next one is not.
    for await (const batch of this.#store.readAll({ from: this.#last ?? wanted, includeSystem, signal }).batches()) {
      const fresh = batch[0]!.position === this.#last ? batch.slice(1) : batch
      this.#last = batch.at(-1)!.position
      if (fresh.length > 0) yield fresh
    }
  }
}

/** Where the follower is in one stream, which need not exist yet. */
class StreamCursor {
  readonly #store: EventStore
  readonly #stream: string
  readonly #options: FollowOptions
  #next: number

  constructor(store: EventStore, stream: string, options: FollowOptions) {
    this.#store = store
    this.#stream = stream
    this.#options = options
    this.#next = options.after === undefined ? 0 : options.after + 1
    if (typeof options.from === 'number') this.#next = options.from
  }

  async start(): Promise<void> {
    if (this.#options.from === 'end') this.#next = ((await this.#store.head(this.#stream)) ?? -1) + 1
  }

  async *read(): AsyncIterable<readonly RecordedEvent[]> {
    const { signal } = this.#options
    try {
      for await (const batch of this.#store.readStream(this.#stream, { from: this.#next, signal }).batches()) {
        this.#next = batch.at(-1)!.revision + 1
        yield batch
      }
    } catch (error) {
      if (!(error instanceof StreamNotFoundError)) throw error
    }
  }
}

function passes(event: RecordedEvent, { streams, streamPrefix, types, typePrefix }: EventFilter): boolean {
  if (streams !== undefined && !streams.includes(event.stream)) return false
  if (streamPrefix !== undefined && !event.stream.startsWith(streamPrefix)) return false
  if (types !== undefined && !types.includes(event.type)) return false
  return typePrefix === undefined || event.type.startsWith(typePrefix)
}

async function pause(clock: Clock, signal: AbortSignal | undefined): Promise<void> {
  if (signal?.aborted === true) return
  let wake = (): void => {}
  const woken = new Promise<void>(resolve => {
    wake = resolve
  })
  const cancel = clock.after(LOOK_DELAY_MS, wake)
  signal?.addEventListener('abort', wake, { once: true })
  await woken
  cancel()
  signal?.removeEventListener('abort', wake)
}
