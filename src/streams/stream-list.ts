import type { Clock } from '../core/clock.ts'
import { InvalidArgumentError } from '../core/errors.ts'
import { isPromise } from '../core/is-promise.ts'
import { checkOptionNames } from '../core/option-names.ts'
import { LogPosition, type Revision } from '../core/positions.ts'
import { mendAmong } from './file-part.ts'
import { compareHashedNames, type HashedName } from './hash-order.ts'
import type { HeadLoader } from './head-loader.ts'
import type { StreamCursor } from './index-part.ts'
import { MergedNames } from './merged-names.ts'
import type { StreamIndex } from './stream-index.ts'
import { TimeSlices } from './time-slices.ts'

/** A stream with something to read. */
export interface StreamSummary {
  readonly stream: string
  /** Of the first event that is kept, whatever its age. */
  readonly firstRevision: Revision
  readonly lastRevision: Revision
}

export interface StreamListOptions {
  /** Only those whose names begin so, compared byte by byte. */
  readonly prefix?: string | undefined
}

/** @throws StoreClosedError */
type WhileOpen = <Answer>(call: () => Promise<Answer>) => Promise<Answer>

const OPTIONS: ReadonlySet<string> = new Set<keyof StreamListOptions>(['prefix'])
const DOLLAR = 0x24
const MAX_MENDS = 100

/**
 * Every stream there is, once. The parts of the index are walked side by side, each in the order of hash and name, so that
 * memory does not grow with the number of streams, but for the order of those whose part is in memory.
 */
export class StreamList {
  readonly #index: StreamIndex
  readonly #loader: HeadLoader
  readonly #clock: Clock

  constructor(index: StreamIndex, loader: HeadLoader, clock: Clock) {
    this.#index = index
    this.#loader = loader
    this.#clock = clock
  }

  /**
   * The streams that were there when the walk began, as they are when it comes by, in no order that means anything. Streams of
   * the store's own and deleted ones are left out. Each iteration is a walk of its own.
   * @param ready awaited before the walk begins.
   * @param whileOpen has the store wait for the step when it is closed; a closed one refuses it, for the index has no parts any more.
   * @throws InvalidArgumentError; (while iterated) CorruptLogError, ReadFailedError, and what `whileOpen` does
   */
  streams(options: StreamListOptions, ready: () => Promise<void> | null, whileOpen: WhileOpen): AsyncIterable<StreamSummary> {
    checkOptionNames(options, OPTIONS)
    const { prefix = '' } = options
    if (typeof prefix !== 'string') throw new InvalidArgumentError('prefix must be a string')
    const bytes = Buffer.from(prefix)
    return {
      [Symbol.asyncIterator]: () => {
        const walk = this.#walk(bytes, ready, whileOpen)
        return { next: async () => whileOpen(() => walk.next()), return: () => walk.return() }
      },
    }
  }

  async *#walk(
    prefix: Uint8Array,
    ready: () => Promise<void> | null,
    whileOpen: WhileOpen,
  ): AsyncGenerator<StreamSummary, void, undefined> {
    await ready()
    const slices = new TimeSlices(this.#clock)
    const began = LogPosition.plus(this.#index.lastPosition, 1)
    await this.#loader.askAll()
    for await (const found of this.#found(slices)) {
      // Through many streams that are not listed, a step may take long: the close does not wait for all of it.
      if (slices.isOver) await whileOpen(() => slices.pause())
      if (!isListed(found, prefix)) continue
      const stream = Buffer.from(found.nameBytes).toString('utf8', found.nameOffset, found.nameOffset + found.nameSize)
      const summary = await this.#summary(stream, found, began)
      if (summary !== null) yield summary
    }
  }

  /** Each name once. When an index file turns out to be damaged, it is made again, and the walk goes on behind the last name. */
  async *#found(slices: TimeSlices): AsyncGenerator<Found, void, undefined> {
    let last: Found | null = null
    for (let mends = 0; ; mends++) {
      const held = this.#index.retain()
      try {
        const merged = await MergedNames.begin(await Promise.all(held.parts.map(part => part.streams(slices))))
        for (; !merged.isDone; await merged.advance()) {
          if (last !== null && compareHashedNames(merged.current[0]!, last) <= 0) continue
          last = together(merged.current)
          yield last
        }
        return
      } catch (error) {
        if (mends === MAX_MENDS) throw error
        await mendAmong(held.parts, error)
      } finally {
        held.release()
      }
    }
  }

  /** @param began the parts know what is below. */
  async #summary(stream: string, found: Found, began: LogPosition): Promise<StreamSummary | null> {
    const { hash, nameBytes, firstRevision } = found
    const said = this.#loader.retentionOf(stream)
    const retention = isPromise(said) ? await said : said
    // Behind that: what is said of a stream may be said of events that came since the walk began.
    const run = this.#index.mayGoOnFrom(began, nameBytes, hash) ? await this.#index.lastRun(nameBytes, hash) : null
    const lastRevision = run?.lastRevision ?? found.lastRevision
    if (retention?.isEmptyAt(lastRevision)) return null
    const first = Math.max(firstRevision, retention?.firstRevision(lastRevision) ?? 0)
    return { stream, firstRevision: first as Revision, lastRevision: lastRevision as Revision }
  }
}

/** One stream over all parts. */
interface Found extends HashedName {
  readonly firstRevision: number
  readonly lastRevision: number
}

/** What the parts say of one stream. */
function together(cursors: readonly StreamCursor[]): Found {
  const { hash, nameBytes, nameOffset, nameSize } = cursors[0]!
  let firstRevision = Number.POSITIVE_INFINITY
  let lastRevision = -1
  for (const cursor of cursors) {
    firstRevision = Math.min(firstRevision, cursor.firstRevision)
    lastRevision = Math.max(lastRevision, cursor.lastRevision)
  }
  const name = nameBytes.slice(nameOffset, nameOffset + nameSize)
  return { hash, nameBytes: name, nameOffset: 0, nameSize, firstRevision, lastRevision }
}

function isListed({ nameBytes, nameOffset, nameSize }: Found, prefix: Uint8Array): boolean {
  if (nameBytes[nameOffset] === DOLLAR || nameSize < prefix.length) return false
  return prefix.every((byte, i) => nameBytes[nameOffset + i] === byte)
}
