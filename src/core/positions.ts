/**
 * Branded numbers for the places of the log. A position is a JS number: exact up to 2^53 bytes (8 PiB of log), and
 * ten to thirty times cheaper than a bigint. All arithmetic between brands happens here or with a cast beside its reason.
 */

declare const brand: unique symbol

/** A byte place in the whole transaction log; names a record. */
export type LogPosition = number & { readonly [brand]: 'LogPosition' }
/** The place of an event in its stream, from 0. */
export type Revision = number & { readonly [brand]: 'Revision' }
/** The place of a chunk in the log, from 0. */
export type ChunkNumber = number & { readonly [brand]: 'ChunkNumber' }

export const LogPosition = {
  /** The position before every record. */
  start: 0 as LogPosition,
  /** @throws RangeError when `value` is not a safe non-negative integer. */
  of(value: number): LogPosition {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a log position: ${value}`)
    return value as LogPosition
  },
  plus(position: LogPosition, bytes: number): LogPosition {
    return (position + bytes) as LogPosition
  },
  /**
   * Bytes from `start` to `position`, both in one chunk or slab: less than 2 GiB, beyond which the answer is wrong. A whole number
   * of 32 bits: to V8 the difference of two positions may be a fraction, and all that is called with it would be compiled anew, for
   * fractions.
   */
  minus(position: number, start: number): number {
    return (position - start) | 0
  },
} as const

export const Revision = {
  /** "Before the first event": the head of a stream that does not exist. Never leaves the engine. */
  none: -1 as Revision,
  of(value: number): Revision {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not a revision: ${value}`)
    return value as Revision
  },
  plus(revision: Revision, count: number): Revision {
    return (revision + count) as Revision
  },
} as const

export const ChunkNumber = {
  of(value: number): ChunkNumber {
    if (!ChunkNumber.is(value)) throw new RangeError(`not a chunk number: ${value}`)
    return value
  },
  is(value: number): value is ChunkNumber {
    return Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff
  },
  next(chunk: ChunkNumber): ChunkNumber {
    return (chunk + 1) as ChunkNumber
  },
} as const
