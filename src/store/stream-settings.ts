import { StreamDeletedError, StreamNotFoundError, WrongExpectedRevisionError } from '../core/errors.ts'
import type { AppendAck, CommitAnswer, ExpectedRevision, JsonValue, StreamCommit } from '../core/events.ts'
import { encodeStreamName } from '../core/names.ts'
import { checkOptionNames } from '../core/option-names.ts'
import type { LogPosition } from '../core/positions.ts'
import { checkStreamMetadata, type StreamMetadata } from '../core/stream-metadata.ts'
import { checkWhole } from '../core/whole-numbers.ts'
import {
  ERASE_TYPE,
  ERASED_STREAM,
  METADATA_TYPE,
  metadataStreamOf,
  type Retention,
  TOMBSTONE_TYPE,
} from '../streams/retention.ts'
import type { StreamReader } from '../streams/stream-reader.ts'
import { fromHouse, type HouseAppendOptions, refuseSystemStream } from './admission.ts'
import type { Resolve } from './pending-appends.ts'
import type { Rooms } from './rooms.ts'

export interface ChangeOptions {
  /** Checked together with the change; 'any' by default. */
  readonly expectedRevision?: ExpectedRevision | undefined
}

const OPTIONS: ReadonlySet<string> = new Set<keyof ChangeOptions>(['expectedRevision'])

/** A change of what is kept of a stream is durable and holds for every read that begins from now on. */
export interface ChangeAck {
  readonly stream: string
  /** Of the event that says so; where nothing had to be changed, the position at which that was decided. */
  readonly position: LogPosition
}

const BY_THE_HOUSE: HouseAppendOptions = { [fromHouse]: true }

/**
 * What is kept of streams, and what is deleted. It is said by events: those of the stream `$$S` say it of S. They are written
 * in one commit with a check of S, because whoever writes to `$$S` must stand in the line of S, too.
 */
export class StreamSettings {
  readonly #rooms: Rooms
  readonly #streams: StreamReader

  constructor(rooms: Rooms, streams: StreamReader) {
    this.#rooms = rooms
    this.#streams = streams
  }

  async metadata(stream: string): Promise<StreamMetadata> {
    encodeStreamName(stream)
    await this.#rooms.beforeRead()
    return (await this.#retentionOf(stream))?.metadata ?? {}
  }

  /** @param options its expected revision is that of `$$stream`. */
  async setMetadata(stream: string, metadata: StreamMetadata, options: ChangeOptions): Promise<ChangeAck> {
    checkName(stream)
    checkOptionNames(options, OPTIONS)
    const data = checkStreamMetadata(metadata) as JsonValue
    const events = { type: METADATA_TYPE, data }
    const answer = await this.#commit([
      { stream, events: [] },
      { stream: metadataStreamOf(stream), events, expectedRevision: options.expectedRevision },
    ])
    return { stream, position: answer.position }
  }

  async delete(stream: string, options: ChangeOptions): Promise<ChangeAck> {
    checkName(stream)
    checkOptionNames(options, OPTIONS)
    const { expectedRevision = 'any' } = options
    // It stands in line behind every append that was called before: what they append is deleted, and nothing behind it.
    const { position } = await this.#commit([{ stream, events: [], expectedRevision }])
    const last = await this.#streams.lastRevisionUpTo(stream, position)
    for (;;) {
      const noted = await this.#streams.lastRevision(metadataStreamOf(stream))
      const retention = await this.#retentionOf(stream)
      if (last === null || retention?.isEmptyAt(last)) return { stream, position }
      const data: StreamMetadata = { ...retention?.metadata, truncateBefore: last + 1 }
      try {
        const answer = await this.#commit([
          // An exact revision says that nothing may have come behind, either.
          { stream, events: [], expectedRevision: typeof expectedRevision === 'number' ? expectedRevision : 'any' },
          {
            stream: metadataStreamOf(stream),
            events: { type: METADATA_TYPE, data: data as JsonValue },
            expectedRevision: noted ?? 'no_stream',
          },
        ])
        return { stream, position: answer.position }
      } catch (error) {
        if (!(error instanceof WrongExpectedRevisionError) || error.stream === stream) throw error
      }
    }
  }

  async tombstone(stream: string, options: ChangeOptions): Promise<ChangeAck> {
    checkName(stream)
    checkOptionNames(options, OPTIONS)
    const answer = await this.#commit([
      { stream, events: [], expectedRevision: options.expectedRevision },
      { stream: metadataStreamOf(stream), events: { type: TOMBSTONE_TYPE, data: {} } },
    ])
    return { stream, position: answer.position }
  }

  async erase(stream: string, revision: number): Promise<ChangeAck> {
    checkName(stream)
    checkWhole('revision', revision, 0)
    await this.#rooms.beforeRead()
    await this.#retentionOf(stream)
    if (!(await this.#streams.holds(stream, revision))) throw new StreamNotFoundError(stream, revision)
    const ack = await new Promise<AppendAck>((resolve, reject) => {
      const event = { type: ERASE_TYPE, data: { stream, revision } }
      this.#rooms.admit(ERASED_STREAM, event, BY_THE_HOUSE, resolve as Resolve, reject)
    })
    return { stream, position: ack.position }
  }

  /** @throws StreamDeletedError when the stream is deleted for good. */
  async #retentionOf(stream: string): Promise<Retention | null> {
    const retention = await this.#rooms.loader.retentionOf(stream)
    if (retention?.isTombstoned) throw new StreamDeletedError(stream)
    return retention
  }

  #commit(streams: readonly StreamCommit[]): Promise<CommitAnswer> {
    return new Promise((resolve, reject) => {
      this.#rooms.admitCommit(streams, BY_THE_HOUSE, resolve as Resolve, reject)
    })
  }
}

/** @throws InvalidArgumentError unless it is the name of a stream that users write to. */
export function checkName(stream: string): void {
  encodeStreamName(stream)
  refuseSystemStream(stream)
}
