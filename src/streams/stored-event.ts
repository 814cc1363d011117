import { inspect } from 'node:util'
import { deriveEventId, EVENT_ID_SIZE, formatEventId } from '../core/event-id.ts'
import type { RecordedEvent } from '../core/events.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import { ByteWindow } from '../format/byte-window.ts'
import {
  createdMsOf,
  dataEndOf,
  dataOffsetOf,
  eventTypeOffsetOf,
  eventTypeSizeOf,
  flagsOf,
  metadataOffsetOf,
  PrepareFlag,
  positionOf,
  RecordType,
  revisionOf,
  sizeOf,
  streamOffsetOf,
  streamSizeOf,
  suppliedIdOffsetOf,
  typeOf,
} from '../format/log-record.ts'
import type { RecordBatch } from '../log/record-batch.ts'
import type { EventSelection } from './event-filter.ts'

const NOT_DECODED = Symbol('not decoded')
/** An event keeps no more than so many times the memory of those that were handed out with it. */
const KEPT_FACTOR = 4

/** An event as it stands in a batch: its fields are decoded when they are first asked for. */
export class StoredEvent implements RecordedEvent {
  #window: ByteWindow
  #offset: number
  readonly #storeId: Uint8Array
  readonly #isShared: boolean
  #stream: string | undefined
  #type: string | undefined
  #data: unknown = NOT_DECODED

  /**
   * @param window never reused: the event keeps it.
   * @param stream its name, if the reader knows it.
   * @param isShared other readers have events in the same window: bytes that are handed out are copied first.
   */
  constructor(window: ByteWindow, offset: number, storeId: Uint8Array, stream?: string, isShared = false) {
    this.#window = window
    this.#offset = offset
    this.#storeId = storeId
    this.#isShared = isShared
    this.#stream = stream
  }

  get stream(): string {
    this.#stream ??= streamNameAt(this.#window, this.#offset)
    return this.#stream
  }

  get revision(): Revision {
    return revisionOf(this.#window.view, this.#offset)
  }

  get position(): LogPosition {
    return positionOf(this.#window.view, this.#offset)
  }

  get id(): string {
    if (!(this.#flags & PrepareFlag.suppliedId)) return deriveEventId(this.#storeId, this.position)
    const start = suppliedIdOffsetOf(this.#offset)
    return formatEventId(this.#window.bytes.subarray(start, start + EVENT_ID_SIZE))
  }

  get type(): string {
    if (this.#type === undefined) {
      const start = eventTypeOffsetOf(this.#window.view, this.#offset)
      this.#type = this.#window.bytes.toString('utf8', start, start + eventTypeSizeOf(this.#window.view, this.#offset))
    }
    return this.#type
  }

  get created(): Date {
    return new Date(createdMsOf(this.#window.view, this.#offset))
  }

  get contentType(): 'json' | 'binary' {
    return this.#flags & PrepareFlag.jsonData ? 'json' : 'binary'
  }

  get data(): unknown {
    if (this.#data === NOT_DECODED) {
      const { bytes, view } = this.#window
      const isJson = this.contentType === 'json'
      this.#data = isJson
        ? JSON.parse(bytes.toString('utf8', dataOffsetOf(view, this.#offset), dataEndOf(view, this.#offset)))
        : this.bytes
    }
    return this.#data
  }

  get bytes(): Uint8Array {
    const { bytes, view } = this.#window
    return this.#asBytes(bytes, dataOffsetOf(view, this.#offset), dataEndOf(view, this.#offset))
  }

  get metadata(): unknown {
    const flags = this.#flags
    if (!(flags & PrepareFlag.hasMetadata)) return undefined
    const { bytes, view } = this.#window
    const start = metadataOffsetOf(view, this.#offset)
    const end = dataOffsetOf(view, this.#offset)
    return flags & PrepareFlag.jsonMetadata ? JSON.parse(bytes.toString('utf8', start, end)) : this.#asBytes(bytes, start, end)
  }

  get #flags(): number {
    return flagsOf(this.#window.view, this.#offset)
  }

  /** Before it is handed out. @returns the offset behind its record, of which there is a copy now. */
  moveTo(window: ByteWindow, offset: number): number {
    const end =
      offset + this.#window.bytes.copy(window.bytes, offset, this.#offset, this.#offset + sizeOf(this.#window.view, this.#offset))
    this.#window = window
    this.#offset = offset
    return end
  }

  isIn(selection: EventSelection): boolean {
    return selection.has(this.#window, this.#offset)
  }

  /** A plain Uint8Array: users get no Buffer, whose methods differ. */
  #asBytes(bytes: Buffer, start: number, end: number): Uint8Array {
    const view = new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start)
    return this.#isShared ? view.slice() : view
  }

  /** All fields, as a plain object. */
  toJSON(): Record<string, unknown> {
    const { stream, revision, position, id, type, created, contentType, data, metadata } = this
    return { stream, revision, position, id, type, created, contentType, data, ...(metadata === undefined ? {} : { metadata }) }
  }

  [inspect.custom](): Record<string, unknown> {
    return this.toJSON()
  }
}

export function streamNameAt(window: ByteWindow, offset: number): string {
  const start = streamOffsetOf(window.view, offset)
  return window.bytes.toString('utf8', start, start + streamSizeOf(window.view, offset))
}

/**
 * The events of a batch that are meant, in its order, at most `maxCount`. Few of many get memory of their own: whoever keeps one would
 * keep all that was left out.
 * @param isShared other readers have the same batch.
 */
export function eventsOf(
  { window, offsets }: RecordBatch,
  storeId: Uint8Array,
  selection: EventSelection,
  maxCount: number,
  isShared: boolean,
): RecordedEvent[] {
  const events: StoredEvent[] = []
  let size = 0
  for (const offset of offsets) {
    if (typeOf(window.view, offset) !== RecordType.prepare || !selection.has(window, offset)) continue
    if (events.length === maxCount) break
    events.push(new StoredEvent(window, offset, storeId, undefined, isShared))
    size += sizeOf(window.view, offset)
  }
  if (size > 0 && size <= window.size / KEPT_FACTOR) {
    const own = ByteWindow.allocate(size)
    let at = 0
    for (const event of events) at = event.moveTo(own, at)
  }
  return events
}
