import type { LogPosition, Revision } from '../core/positions.ts'
import type { HashedName } from './hash-order.ts'
import type { HeadSearch, SearchAnswer } from './head-search.ts'
import type { TimeSlices } from './time-slices.ts'

/** One stream's events within one part, as they were when it was found. Callers hand it back to the part that made it. */
export interface StreamRun {
  readonly part: IndexPart
  readonly firstRevision: Revision
  readonly lastRevision: Revision
  readonly eventCount: number
  readonly lastPosition: LogPosition
}

/** Events of a run, in order. */
export interface EventList {
  readonly positions: Float64Array
  /** Null when the run is dense: event `i` of the run has revision `firstRevision + i`. */
  readonly revisions: Float64Array | null
}

/** Events with supplied ids, in log order; `positions.length` of them. */
export interface SuppliedIdList {
  /** 16 bytes each. */
  readonly ids: Uint8Array
  /** Of the stream names, as `hashOf` makes them. */
  readonly streamHashes: Int32Array
  readonly revisions: Float64Array
  readonly positions: Float64Array
}

/** How many supplied ids a part keeps: the newest ones. */
export const KEPT_ID_COUNT = 262_144

/**
 * Walks the streams of a part in the order of `hash >>> 0`, then of their name bytes. The fields speak of one stream, until
 * the next call of `next`.
 */
export interface StreamCursor extends HashedName {
  /** Goes to the next stream, the first one at first; false when there is none. */
  next(): boolean | Promise<boolean>
  readonly firstRevision: number
  readonly lastRevision: number
  readonly eventCount: number
  readonly lastPosition: number
  /**
   * Writes positions, and revisions too unless `revisions` is null, of `count` events from index `from` of the run into the
   * arrays, from index 0 on.
   */
  copyEvents(from: number, count: number, positions: Float64Array, revisions: Float64Array | null): void | Promise<void>
}

/** Walks the event types of a part in the order of `hash >>> 0`, then of their bytes. */
export interface TypeCursor extends HashedName {
  next(): boolean | Promise<boolean>
  /** Of the last event of this type in the part. */
  readonly lastPosition: number
}

/**
 * What the index knows of a range of positions: the events in it by stream, and some more. Answers are synchronous when what
 * they need is in memory. Revisions of a run go up, mostly by one; scavenging leaves holes.
 */
export interface IndexPart {
  /** Positions covered: from `start` on, below `end`. */
  readonly start: LogPosition
  readonly end: LogPosition
  readonly eventCount: number
  /** Streams with events in this part. */
  readonly streamCount: number
  /** Streams whose revision 0 is in this part. */
  readonly newStreamCount: number
  readonly typeCount: number
  /** Supplied ids that this part still has; at most KEPT_ID_COUNT of a file. */
  readonly suppliedIdCount: number
  /** Of the last event; 0 when there is none. */
  readonly lastPosition: LogPosition
  /** Milliseconds since 1970, of the last event that was not scavenged; 0 when there is none. */
  readonly lastCreatedMs: number

  /** @param name must not change as long as the run is in use. @param hash by `hashOf` of the whole name. */
  find(name: Uint8Array, hash: number): StreamRun | null | Promise<StreamRun | null>
  /** Where a stream ends in this part: told to `search`, which may have to wait for it. */
  searchHead(search: HeadSearch): SearchAnswer
  /** Events of the run from index `from` on (0: the first in this part), at most `count`. */
  events(run: StreamRun, from: number, count: number): EventList | Promise<EventList>
  /** Index in the run of the first event whose revision is at least `revision`; the count of events when there is none. */
  indexOf(run: StreamRun, revision: number): number | Promise<number>
  /** Position of the last event of this type. */
  lastOfType(type: Uint8Array): LogPosition | null | Promise<LogPosition | null>
  /** Supplied ids `from` to `from + count`, 0 being the oldest that this part has. */
  suppliedIds(from: number, count: number): SuppliedIdList | Promise<SuppliedIdList>
  streams(slices: TimeSlices): Promise<StreamCursor>
  types(slices: TimeSlices): Promise<TypeCursor>
}
