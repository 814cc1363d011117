import type { RecordedEvent } from '../../src/core/events.ts'

/** An event that was appended: where it is in its stream, and when it was given up. */
export interface Written {
  readonly stream: string
  readonly revision: number
  /** Null until somebody has seen it, or its ack told. */
  position: number | null
  /** From this moment on it may be gone; infinity while it must be there. */
  diedAt: number
}

interface Appended {
  readonly events: readonly Written[]
  /** Of the last event. */
  position: number
}

/** What a reader got, one entry for each event. */
export interface Seen {
  readonly positions: number[]
  readonly moments: number[]
}

/**
 * The log as those know it who appended: nothing in it comes from a read. A moment is a number that grows with each thing that
 * happens in the test.
 */
export class LogModel {
  #moment = 0
  readonly #appends: Appended[] = []
  readonly #streams = new Map<string, Written[]>()
  readonly #byPosition = new Map<number, Written>()

  /** Something happens now. */
  now(): number {
    return ++this.#moment
  }

  eventsOf(stream: string): readonly Written[] {
    return this.#streams.get(stream) ?? []
  }

  /** Appends to one stream keep the order of their calls, so the call tells the revisions. @returns what to do with the ack. */
  append(stream: string, count: number): (position: number) => void {
    const earlier = this.#streams.get(stream) ?? []
    this.#streams.set(stream, earlier)
    const events: Written[] = []
    for (let i = 0; i < count; i++) {
      events.push({ stream, revision: earlier.length + i, position: null, diedAt: Number.POSITIVE_INFINITY })
    }
    earlier.push(...events)
    return position => {
      this.#appends.push({ events, position })
      this.#place(events.at(-1)!, position)
    }
  }

  /** Given up by something that was asked for at `moment`. */
  die(events: readonly Written[], moment: number): void {
    for (const event of events) event.diedAt = Math.min(event.diedAt, moment)
  }

  /** Takes down what a reader got just now. */
  see({ positions, moments }: Seen, event: RecordedEvent): void {
    positions.push(event.position)
    moments.push(this.now())
    if (event.stream.startsWith('$') || this.#byPosition.has(event.position)) return
    this.#place(this.#streams.get(event.stream)![event.revision]!, event.position)
  }

  #place(event: Written, position: number): void {
    if (event.position !== null && event.position !== position)
      throw new Error(`${event.stream} ${event.revision} is at ${event.position}, and at ${position}`)
    event.position = position
    this.#byPosition.set(position, event)
  }

  /** Everything that was ever acknowledged, in the order of the log; without what nobody has ever seen. */
  log(): Written[] {
    const inOrder = this.#appends.sort((one, other) => one.position - other.position).flatMap(({ events }) => events)
    for (const { position, diedAt, stream, revision } of inOrder) {
      if (position === null && diedAt === Number.POSITIVE_INFINITY) throw new Error(`nobody has seen ${stream} ${revision}`)
    }
    return inOrder.filter(({ position }) => position !== null)
  }

  /**
   * Compares what a reader got with what was meant for it, in the order of the log. What was passed over must have been dead before
   * the next event was handed out.
   * @returns how many events it did not get, because they were gone.
   * @throws Error that says what is wrong
   */
  check(what: string, { positions, moments }: Seen, meant: readonly Written[]): number {
    let at = 0
    let gone = 0
    for (const { position, diedAt, stream, revision } of meant) {
      if (positions[at] === position) {
        at++
        continue
      }
      if (diedAt > (moments[at] ?? this.#moment)) {
        throw new Error(`${what}: ${stream} ${revision} at ${position} is missing, it got ${positions[at]} (its ${at}th)`)
      }
      gone++
    }
    if (at < positions.length) throw new Error(`${what}: ${positions[at]} (its ${at}th) is not meant, comes twice, or too late`)
    return gone
  }
}
