import { type AppendOptions, type EventStore, type NewEvent, QueueFullError } from 'tailrace'

const MAX_COUNT = 4096
/** Well below what the store lets wait, so that it does not have to refuse. */
const MAX_SIZE = 16 * 1024 * 1024
/** The writer gets a turn of the event loop after so many appends, and has a group to write while more are made. */
const TURN_COUNT = 512

/** The append that failed, or the first of several. */
export interface FailedAppend {
  /** What the caller called it. */
  readonly number: number
  readonly error: unknown
}

/**
 * Keeps many appends under way, bounded by number and size, so that one sync serves many. An append is taken by the store
 * before the next one is made: streams keep the order of the calls even if the store refuses for a while.
 */
export class AppendsInFlight {
  readonly #store: EventStore
  #count = 0
  #size = 0
  #appendedCount = 0
  #repeatedCount = 0
  #failure: FailedAppend | null = null
  #submittedCount = 0
  #wake: (() => void) | null = null

  constructor(store: EventStore) {
    this.#store = store
  }

  /** Appends that are in the store now and were not before. */
  get appendedCount(): number {
    return this.#appendedCount
  }

  /** Those that the store took for a repetition of what it has: the same ids in the same stream. */
  get repeatedCount(): number {
    return this.#repeatedCount
  }

  /** Once there is one, nothing more should be submitted. */
  get failure(): FailedAppend | null {
    return this.#failure
  }

  /** Resolves when the store has taken the append; its ack or failure is told by the fields. @param number grows with each call. */
  async submit(
    stream: string,
    events: NewEvent | readonly NewEvent[],
    size: number,
    number: number,
    options?: AppendOptions,
  ): Promise<void> {
    while (this.#count > 0 && (this.#count >= MAX_COUNT || this.#size + size > MAX_SIZE)) await this.#change()
    if (++this.#submittedCount % TURN_COUNT === 0) await new Promise(resolve => setImmediate(resolve))
    while (!(await this.#tryAppend(stream, events, size, number, options))) await this.#change()
  }

  /** Resolves when nothing is under way any more. */
  async settled(): Promise<void> {
    while (this.#count > 0) await this.#change()
  }

  /** @returns false when the store has no room for it now. */
  async #tryAppend(
    stream: string,
    events: NewEvent | readonly NewEvent[],
    size: number,
    number: number,
    options: AppendOptions | undefined,
  ): Promise<boolean> {
    let isTaken = false
    let isRefused = false
    this.#count++
    this.#size += size
    const done = (): void => {
      this.#count--
      this.#size -= size
      this.#wake?.()
    }
    this.#store.append(stream, events, options).then(
      ({ duplicate }) => {
        if (duplicate) this.#repeatedCount++
        else this.#appendedCount++
        done()
      },
      (error: unknown) => {
        if (error instanceof QueueFullError && !isTaken) isRefused = true
        else if (this.#failure === null || number < this.#failure.number) this.#failure = { number, error }
        done()
      },
    )
    // The store refuses within the call: whoever is refused knows it one microtask later.
    await null
    isTaken = true
    return !isRefused
  }

  /** Resolves when an append settles, or after a while: room may come from elsewhere. */
  #change(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, 100)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }
}
