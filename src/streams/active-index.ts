import { CorruptLogError } from '../core/errors.ts'
import type { LogPosition, Revision } from '../core/positions.ts'
import type { ByteWindow } from '../format/byte-window.ts'
import {
  createdMsOf,
  eventTypeOffsetOf,
  eventTypeSizeOf,
  flagsOf,
  PrepareFlag,
  positionOf,
  revisionOf,
  streamOffsetOf,
  streamSizeOf,
  suppliedIdOffsetOf,
} from '../format/log-record.ts'
import { stubEventTypeAt, stubHeadAt } from '../format/stub.ts'
import { ActiveStreamCursor, ActiveTypeCursor, type StreamSlots } from './active-cursors.ts'
import { ActiveRun } from './active-run.ts'
import { GatheredEvents } from './gathered-events.ts'
import type { HeadSearch, SearchAnswer } from './head-search.ts'
import type { EventList, IndexPart, StreamCursor, StreamRun, SuppliedIdList, TypeCursor } from './index-part.ts'
import { grown, grownCapacity, NameTable } from './name-table.ts'
import { hashOf } from './stream-hash.ts'
import { SuppliedIds } from './supplied-ids.ts'
import type { TimeSlices } from './time-slices.ts'

const NO_EVENT = -1
const NO_TYPE = -1
/** The events of a longer stream are kept as they were gathered, for the next who reads it. */
const LONG_STREAM_COUNT = 256

/**
 * The part of the index that is still being filled, in memory: typed arrays that grow, and not one object a stream or event.
 * An event costs 8 bytes, one of a long stream that was read 4 to 8 more, a stream 32 and its name. It answers on, unchanged,
 * while its file is being written.
 */
export class ActiveIndex implements IndexPart, StreamSlots {
  readonly start: LogPosition
  #end: LogPosition
  #lastPosition = 0
  /** Milliseconds since 1970, of the last event; whoever adds events one by one sets it. */
  lastCreatedMs = 0

  readonly #names = new NameTable()
  #streamCount = 0
  #newStreamCount = 0
  #lastRevisions = new Float64Array(0)
  #eventCounts = new Uint32Array(0)
  #lastEvents = new Int32Array(0)

  #eventCount = 0
  /** Relative to `start`. */
  #positions = new Uint32Array(0)
  /** Index of the event before in the same stream. */
  #predecessors = new Int32Array(0)
  /** Of each event, and of each stream's first; null as long as every stream is dense. */
  #revisions: Float64Array | null = null
  #firstRevisions: Float64Array | null = null
  /** Of the long streams that were read, by slot. */
  readonly #gathered = new Map<number, GatheredEvents>()

  readonly #types = new NameTable()
  #lastOfTypes = new Float64Array(0)
  #recentType = NO_TYPE

  readonly #ids: SuppliedIds

  /** @param start where the parts before it end; events lie less than 4 GiB behind. */
  constructor(start: LogPosition) {
    this.start = start
    this.#end = start
    this.#ids = new SuppliedIds(start, this.#names)
  }

  /** Behind the last event, or further, if `coverTo` said so. */
  get end(): LogPosition {
    return this.#end
  }

  /** There is no event below `end` but those that were added. */
  coverTo(end: LogPosition): void {
    if (end > this.#end) this.#end = end
  }

  get isEmpty(): boolean {
    return this.#eventCount === 0
  }

  get eventCount(): number {
    return this.#eventCount
  }

  get streamCount(): number {
    return this.#streamCount
  }

  get newStreamCount(): number {
    return this.#newStreamCount
  }

  get typeCount(): number {
    return this.#types.count
  }

  get suppliedIdCount(): number {
    return this.#ids.count
  }

  get lastPosition(): LogPosition {
    return this.#lastPosition as LogPosition
  }

  /** What the arrays take. */
  get memoryBytes(): number {
    const { length: streamCapacity } = this.#lastRevisions
    let gatheredBytes = 0
    for (const { memoryBytes } of this.#gathered.values()) gatheredBytes += memoryBytes
    return (
      gatheredBytes +
      this.#names.memoryBytes +
      streamCapacity * (this.#firstRevisions === null ? 16 : 24) +
      this.#positions.length * (this.#revisions === null ? 8 : 16) +
      this.#types.memoryBytes +
      this.#lastOfTypes.length * 8 +
      this.#ids.memoryBytes
    )
  }

  /** @returns the stream whose name stands at `offset`; one that is seen for the first time gets a slot. */
  slotOf(bytes: Uint8Array, offset: number, size: number, hash: number): number {
    const found = this.#names.find(bytes, offset, size, hash)
    if (found >= 0) return found
    const slot = this.#names.add(bytes, offset, size, hash)
    if (slot === this.#lastRevisions.length) {
      const { capacity } = this.#names
      this.#lastRevisions = grown(this.#lastRevisions, capacity)
      this.#eventCounts = grown(this.#eventCounts, capacity)
      this.#lastEvents = grown(this.#lastEvents, capacity)
      if (this.#firstRevisions !== null) this.#firstRevisions = grown(this.#firstRevisions, capacity)
    }
    this.#lastEvents[slot] = NO_EVENT
    return slot
  }

  eventCountAt(slot: number): number {
    return this.#eventCounts[slot]!
  }

  /** Only for a stream with events. */
  lastRevisionAt(slot: number): Revision {
    return this.#lastRevisions[slot]! as Revision
  }

  /** @throws CorruptLogError when the stream has that revision, or a later one, already. */
  add(slot: number, revision: number, position: number): void {
    const index = this.#eventCount
    if (index === this.#positions.length) this.#growEvents()
    const count = this.#eventCounts[slot]!
    if (count === 0) {
      this.#streamCount++
      if (revision === 0) this.#newStreamCount++
      if (this.#firstRevisions !== null) this.#firstRevisions[slot] = revision
    } else if (revision !== this.#lastRevisions[slot]! + 1) {
      const last = this.#lastRevisions[slot]!
      if (revision <= last) {
        throw new CorruptLogError('log', position, `stream '${this.#nameOf(slot)}' goes from revision ${last} to ${revision}`)
      }
      if (this.#revisions === null) this.#keepRevisions()
    }
    if (this.#revisions !== null) this.#revisions[index] = revision
    this.#positions[index] = position - this.start
    this.#predecessors[index] = this.#lastEvents[slot]!
    this.#lastEvents[slot] = index
    this.#lastRevisions[slot] = revision
    this.#eventCounts[slot] = count + 1
    this.#eventCount = index + 1
    this.#lastPosition = position
    if (position >= this.#end) this.#end = (position + 1) as LogPosition
  }

  /** @returns the slot of the event type that stands at `offset`; one that is seen for the first time gets one. */
  typeSlotOf(bytes: Uint8Array, offset: number, size: number): number {
    // Events in a row often share their type.
    if (this.#recentType !== NO_TYPE && this.#types.is(this.#recentType, bytes, offset, size)) return this.#recentType
    const hash = hashOf(bytes, offset, size)
    let slot = this.#types.find(bytes, offset, size, hash)
    if (slot < 0) {
      slot = this.#types.add(bytes, offset, size, hash)
      if (slot === this.#lastOfTypes.length) this.#lastOfTypes = grown(this.#lastOfTypes, this.#types.capacity)
    }
    this.#recentType = slot
    return slot
  }

  noteType(typeSlot: number, position: number): void {
    this.#lastOfTypes[typeSlot] = position
  }

  /** The event of `slot` at `position` came with the id of 16 bytes that stands at `offset`. */
  addId(bytes: Uint8Array, offset: number, slot: number, revision: number, position: number): void {
    this.#ids.add(bytes, offset, slot, revision, position)
  }

  /** All of it, for the prepare at `offset` as it stands in the log. */
  addRecord({ bytes, view }: ByteWindow, offset: number): void {
    const nameOffset = streamOffsetOf(view, offset)
    const nameSize = streamSizeOf(view, offset)
    const slot = this.slotOf(bytes, nameOffset, nameSize, hashOf(bytes, nameOffset, nameSize))
    const revision = revisionOf(view, offset)
    const position = positionOf(view, offset)
    this.add(slot, revision, position)
    this.noteType(this.typeSlotOf(bytes, eventTypeOffsetOf(view, offset), eventTypeSizeOf(view, offset)), position)
    if (flagsOf(view, offset) & PrepareFlag.suppliedId) this.addId(bytes, suppliedIdOffsetOf(offset), slot, revision, position)
    this.lastCreatedMs = createdMsOf(view, offset)
  }

  /** What the stub at `offset` remembers of an event that was scavenged: its place in its stream, that its type occurred. */
  addStub(window: ByteWindow, offset: number): void {
    const position = positionOf(window.view, offset)
    const head = stubHeadAt(window, offset)
    if (head !== null) {
      const { stream, revision } = head
      this.add(this.slotOf(stream, 0, stream.length, hashOf(stream, 0, stream.length)), revision, position)
    }
    const eventType = stubEventTypeAt(window, offset)
    if (eventType !== null) this.noteType(this.typeSlotOf(eventType, 0, eventType.length), position)
  }

  find(name: Uint8Array, hash: number): StreamRun | null {
    const slot = this.#names.find(name, 0, name.length, hash)
    return slot < 0 || this.#eventCounts[slot] === 0 ? null : this.runAt(slot)
  }

  searchHead(search: HeadSearch): SearchAnswer {
    const { name, hash } = search
    const slot = this.#names.find(name, 0, name.length, hash)
    if (slot < 0 || this.#eventCounts[slot] === 0) return 'none'
    return search.found(this.#lastRevisions[slot]!, this.lastPositionAt(slot))
  }

  events(run: StreamRun, from: number, count: number): EventList {
    const active = run as ActiveRun
    const positions = new Float64Array(Math.max(0, Math.min(count, run.eventCount - from)))
    const revisions = active.isDense ? null : new Float64Array(positions.length)
    this.copyEvents(active, from, positions.length, positions, revisions)
    return { positions, revisions }
  }

  indexOf(run: StreamRun, revision: number): number {
    if (revision > run.lastRevision) return run.eventCount
    const active = run as ActiveRun
    if (active.isDense) return Math.max(0, revision - run.firstRevision)
    const events = active.eventsFrom(0, this.#predecessors)
    const revisions = this.#revisions!
    let low = 0
    let high = run.eventCount - 1
    while (low < high) {
      const middle = (low + high) >> 1
      if (revisions[events[middle]!]! >= revision) high = middle
      else low = middle + 1
    }
    return low
  }

  lastOfType(type: Uint8Array): LogPosition | null {
    const slot = this.#types.find(type, 0, type.length, hashOf(type, 0, type.length))
    return slot < 0 ? null : (this.#lastOfTypes[slot]! as LogPosition)
  }

  suppliedIds(from: number, count: number): SuppliedIdList {
    return this.#ids.list(from, count)
  }

  /** Whoever copies events from the cursor must see to it that nobody adds to this index meanwhile. */
  streams(slices: TimeSlices): Promise<StreamCursor> {
    return ActiveStreamCursor.begin(this, this.#names, slices)
  }

  types(slices: TimeSlices): Promise<TypeCursor> {
    return ActiveTypeCursor.begin(this.#lastOfTypes, this.#types, slices)
  }

  firstRevisionAt(slot: number): number {
    if (this.#firstRevisions !== null) return this.#firstRevisions[slot]!
    return this.#lastRevisions[slot]! - this.#eventCounts[slot]! + 1
  }

  lastPositionAt(slot: number): number {
    return this.start + this.#positions[this.#lastEvents[slot]!]!
  }

  runAt(slot: number): ActiveRun {
    const lastEvent = this.#lastEvents[slot]!
    const lastPosition = this.start + this.#positions[lastEvent]!
    const eventCount = this.#eventCounts[slot]!
    const gathered = eventCount < LONG_STREAM_COUNT ? null : this.#gatheredOf(slot)
    const firstRevision = this.firstRevisionAt(slot)
    return new ActiveRun(this, firstRevision, this.#lastRevisions[slot]!, eventCount, lastPosition, lastEvent, gathered)
  }

  #gatheredOf(slot: number): GatheredEvents {
    let gathered = this.#gathered.get(slot)
    if (gathered === undefined) {
      gathered = new GatheredEvents()
      this.#gathered.set(slot, gathered)
    }
    return gathered
  }

  copyEvents(run: ActiveRun, from: number, count: number, positions: Float64Array, revisions: Float64Array | null): void {
    if (count === 1 && from === run.eventCount - 1) {
      positions[0] = run.lastPosition
      if (revisions !== null) revisions[0] = run.lastRevision
      return
    }
    const events = run.eventsFrom(from, this.#predecessors)
    for (let i = 0; i < count; i++) positions[i] = this.start + this.#positions[events[from + i]!]!
    if (revisions === null) return
    for (let i = 0; i < count; i++) {
      revisions[i] = this.#revisions === null ? run.firstRevision + from + i : this.#revisions[events[from + i]!]!
    }
  }

  #growEvents(): void {
    const capacity = grownCapacity(this.#eventCount)
    this.#positions = grown(this.#positions, capacity)
    this.#predecessors = grown(this.#predecessors, capacity)
    if (this.#revisions !== null) this.#revisions = grown(this.#revisions, capacity)
  }

  /** The first stream with a hole: from here on every event keeps its revision. */
  #keepRevisions(): void {
    const revisions = new Float64Array(this.#positions.length)
    const firstRevisions = new Float64Array(this.#lastRevisions.length)
    for (let slot = 0; slot < this.#names.count; slot++) {
      let revision = this.#lastRevisions[slot]!
      for (let event = this.#lastEvents[slot]!; event !== NO_EVENT; event = this.#predecessors[event]!) {
        firstRevisions[slot] = revision
        revisions[event] = revision--
      }
    }
    this.#revisions = revisions
    this.#firstRevisions = firstRevisions
  }

  #nameOf(slot: number): string {
    const offset = this.#names.offsetOf(slot)
    return Buffer.from(this.#names.bytes.subarray(offset, offset + this.#names.sizeOf(slot))).toString()
  }
}
