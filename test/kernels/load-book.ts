import { StreamDeletedError, StreamNotFoundError } from '../../src/core/errors.ts'
import type { RecordedEvent } from '../../src/core/events.ts'
import type { EventStore } from '../../src/store/event-store.ts'
import { type Authorship, FADING, FADING_COUNT, KEPT, type PayloadPlan, payloadAt, typeAt } from './load-plan.ts'

/** An event that someone was told of. */
interface Known {
  readonly serial: string
  /** Null where only the position of the append's last event was told. */
  readonly position: number | null
}

/** What is known of a stream by those who were told of it. */
class StreamBook {
  /** By revision. */
  readonly known: (Known | undefined)[] = []
  /** Events below it are deleted: that was told. */
  truncatedBefore = 0
  /** Events below one of these may be deleted: someone set out to, perhaps more than once since the last look. */
  readonly maybeTruncatedBefore = new Set<number>()
  fades: 'no' | 'maybe' | 'yes' = 'no'
  isEntombed: 'no' | 'maybe' | 'yes' = 'no'
}

/** The number of events that were told of by acks, and how many of them a check did not find. */
export interface BookFigures {
  acks: number
  events: number
  lost: number
}

/**
 * What a store promised to the loads that ran on it, and what checks found in it: all of it must be there whenever it is opened
 * again. Kept outside of the processes that die.
 */
export class LoadBook {
  readonly figures: BookFigures
  readonly #plan: PayloadPlan
  readonly #streams = new Map<string, StreamBook>()
  readonly #rejected = new Set<string>()
  /** Broken promises, one line for each. */
  #failures: string[] = []

  constructor(plan: PayloadPlan, figures: BookFigures) {
    this.#plan = plan
    this.figures = figures
  }

  /**
   * Takes note of what a load said.
   * @param certainCount how many lines were said while acks were good for something; the others only tell what it set out to do.
   */
  note(lines: readonly string[], certainCount: number): void {
    let lastPosition = -1
    for (const [index, line] of lines.entries()) {
      const isCertain = index < certainCount
      const [what, stream = '', ...rest] = line.split(' ')
      if (what === '+' && isCertain) {
        const [first = 0, last = 0, position = 0] = rest.map(Number)
        this.#acked(this.#bookOf(stream), first, last, position, rest[3]!)
        if (position >= 0 && position < lastPosition) this.#fail(`I13: an ack of ${position} behind that of ${lastPosition}`)
        if (position >= 0) lastPosition = position
      } else if (what === 'x' && rest[2] === 'rejected') this.#rejected.add(rest[0]!)
      else if (what === '~' || what === '-') this.#changed(stream, rest[0]!, Number(rest[1]), what === '-' && isCertain)
      else if (what === '!') this.#fail(line)
    }
  }

  #bookOf(stream: string): StreamBook {
    let book = this.#streams.get(stream)
    if (book === undefined) {
      book = new StreamBook()
      this.#streams.set(stream, book)
    }
    return book
  }

  #acked({ known }: StreamBook, first: number, last: number, position: number, serial: string): void {
    for (let revision = first; revision <= last; revision++) {
      known[revision] = { serial, position: revision === last && position >= 0 ? position : null }
    }
    this.figures.acks++
    this.figures.events += last - first + 1
  }

  #changed(what: string, stream: string, value: number, isTold: boolean): void {
    const book = this.#bookOf(stream)
    if (what === 'delete') {
      book.maybeTruncatedBefore.add(value)
      if (isTold) book.truncatedBefore = Math.max(book.truncatedBefore, value)
    } else if (what === 'fade') book.fades = isTold || book.fades === 'yes' ? 'yes' : 'maybe'
    else book.isEntombed = isTold || book.isEntombed === 'yes' ? 'yes' : 'maybe'
  }

  #fail(failure: string): void {
    this.#failures.push(failure)
  }

  /** Broken promises that were noted since it was last asked. */
  takeFailures(): string[] {
    const failures = this.#failures
    this.#failures = []
    return failures
  }

  /**
   * Reads everything in the store, in several ways, and compares it with what was told; from now on, what was found must stay, too.
   * See `takeFailures`.
   */
  async check(store: EventStore): Promise<void> {
    const found = await this.#readAll(store)
    for (const stream of found.keys()) this.#bookOf(stream)
    for (const [stream, book] of this.#streams) {
      await this.#checkStream(store, stream, book, found.get(stream) ?? [])
    }
  }

  /** Compares only what is shown: a reader beside a writer, living or failed, shows what it knows to be proven. */
  async checkShown(store: EventStore): Promise<void> {
    const found = await this.#readAll(store)
    for (const [stream, book] of this.#streams) {
      if (!stream.startsWith(KEPT)) continue
      for (const [revision, event] of (found.get(stream) ?? []).entries()) {
        this.#compare(stream, revision, book.known[revision], event)
      }
    }
  }

  /** @returns the events of each stream, by revision. */
  async #readAll(store: EventStore): Promise<Map<string, (Known | undefined)[]>> {
    const found = new Map<string, (Known | undefined)[]>()
    let last = -1
    let open: Authorship | null = null
    for await (const batch of store.readAll().batches()) {
      for (const event of batch) {
        if (event.position <= last) this.#fail(`I6: position ${event.position} behind ${last}`)
        last = event.position
        const author = event.metadata as Authorship
        this.#compareContent(event)
        if (event.stream.startsWith(KEPT)) {
          const isNext = open === null ? author.part === 0 : author.serial === open.serial && author.part === open.part + 1
          if (!isNext) this.#fail(`I2: part ${author.part} of ${author.serial} stands behind ${JSON.stringify(open)}`)
          open = author.part + 1 < author.partCount ? author : null
        }
        if (this.#rejected.has(author.serial)) this.#fail(`I4: append ${author.serial} was rejected, and is in ${event.stream}`)
        const events = found.get(event.stream) ?? []
        found.set(event.stream, events)
        if (events[event.revision] !== undefined) this.#fail(`I5: ${event.stream} has two events ${event.revision}`)
        events[event.revision] = { serial: author.serial, position: event.position }
      }
    }
    if (open !== null) this.#fail(`I2: the log ends behind ${JSON.stringify(open)}`)
    return found
  }

  #compareContent({ stream, revision, type, bytes }: RecordedEvent): void {
    const isSame = type === typeAt(revision) && Buffer.compare(bytes, payloadAt(this.#plan, stream, revision)) === 0
    if (!isSame) this.#fail(`I1: event ${revision} of ${stream} says something else`)
  }

  async #checkStream(store: EventStore, stream: string, book: StreamBook, found: (Known | undefined)[]): Promise<void> {
    const shown = await readOf(store, stream)
    if (shown === 'deleted for good') {
      if (book.isEntombed === 'no') this.#fail(`I1: ${stream} is deleted for good, and nobody wanted that`)
      book.isEntombed = 'yes'
      return
    }
    if (book.isEntombed === 'yes') {
      this.#fail(`I4: ${stream} was deleted for good, and is there again`)
      return
    }
    // Now it is known to which side those fell that were under way.
    // Of a stream that is empty, a scavenge may have left less than was known.
    const length = Math.max(found.length, book.known.length)
    const first = shown[0]?.revision ?? length
    if (stream !== FADING) this.#decideTruncation(stream, book, first, length)
    const from = stream === FADING ? first : book.truncatedBefore
    for (let revision = from; revision < Math.max(found.length, book.known.length); revision++) {
      this.#compare(stream, revision, book.known[revision], found[revision])
    }
    this.#compareReading(stream, shown, found, from)
    const head = await store.head(stream)
    if (head !== (shown.at(-1)?.revision ?? null))
      this.#fail(`I6: the head of ${stream} is ${head}, its last event ${shown.at(-1)?.revision}`)
    if (stream === FADING) this.#checkFading(book, shown.length, found.length)
    for (let revision = 0; revision < found.length; revision++) book.known[revision] = found[revision]
  }

  #decideTruncation(stream: string, book: StreamBook, first: number, length: number): void {
    const { truncatedBefore, maybeTruncatedBefore } = book
    const possible = [truncatedBefore, ...[...maybeTruncatedBefore].filter(revision => revision > truncatedBefore)]
    if (!possible.some(revision => first === Math.min(revision, length))) {
      this.#fail(`I1: ${stream} begins at ${first}, not at ${possible.join(' or ')}`)
    }
    book.truncatedBefore = Math.max(truncatedBefore, ...possible.filter(revision => revision <= first))
    maybeTruncatedBefore.clear()
  }

  #compare(stream: string, revision: number, known: Known | undefined, found: Known | undefined): void {
    if (found === undefined) {
      if (known === undefined) this.#fail(`I5: ${stream} has no event ${revision}, but later ones`)
      else {
        this.figures.lost++
        this.#fail(`I1: event ${revision} of ${stream}, told at ${known.position}, is lost`)
      }
      return
    }
    if (known === undefined) return
    if (known.serial !== found.serial) this.#fail(`I1: event ${revision} of ${stream} is of ${found.serial}, not ${known.serial}`)
    if (known.position !== null && known.position !== found.position) {
      this.#fail(`I1: event ${revision} of ${stream} was at ${known.position}, and is at ${found.position}`)
    }
  }

  #compareReading(stream: string, shown: readonly RecordedEvent[], found: (Known | undefined)[], from: number): void {
    let revision = from
    for (const event of shown) {
      if (event.revision !== revision) {
        this.#fail(`I5: ${stream} shows ${event.revision} where ${revision} should be`)
        return
      }
      if (event.position !== found[revision]?.position) this.#fail(`I6: event ${revision} of ${stream} stands at two places`)
      revision++
    }
    if (revision !== Math.max(found.length, from))
      this.#fail(`I6: ${stream} shows events up to ${revision}, readAll to ${found.length}`)
  }

  #checkFading(book: StreamBook, shownCount: number, length: number): void {
    const isFaded = shownCount === Math.min(FADING_COUNT, length)
    const isWhole = shownCount === length
    if (!isFaded && (book.fades === 'yes' || !isWhole)) this.#fail(`I1: ${FADING} shows ${shownCount} of ${length} events`)
    if (!isWhole) book.fades = 'yes'
  }
}

async function readOf(store: EventStore, stream: string): Promise<RecordedEvent[] | 'deleted for good'> {
  const events: RecordedEvent[] = []
  try {
    for await (const batch of store.readStream(stream).batches()) events.push(...batch)
  } catch (error) {
    if (error instanceof StreamDeletedError) return 'deleted for good'
    if (!(error instanceof StreamNotFoundError)) throw error
  }
  return events
}
