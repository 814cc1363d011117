import type { NameTable } from './name-table.ts'
import type { TimeSlices } from './time-slices.ts'

const DIGIT_BITS = 11
const DIGIT_COUNT = 1 << DIGIT_BITS
/** Names moved before the clock is asked. */
const STEP = 8192

/** The slots of a table in the order of `hash >>> 0`, then of their bytes. A radix sort, in slices of time. */
export async function hashOrder(names: NameTable, slices: TimeSlices): Promise<Uint32Array> {
  const { count } = names
  let from = new Uint32Array(count)
  let to = new Uint32Array(count)
  for (let slot = 0; slot < count; slot++) from[slot] = slot
  for (let shift = 0; shift < 32 && count > 1; shift += DIGIT_BITS) {
    const ends = new Uint32Array(DIGIT_COUNT)
    for (let slot = 0; slot < count; slot++) ends[digitOf(names.hashOf(slot), shift)]!++
    for (let digit = 1; digit < DIGIT_COUNT; digit++) ends[digit]! += ends[digit - 1]!
    for (let high = count; high > 0; high -= STEP) {
      for (let i = high - 1, low = Math.max(0, high - STEP); i >= low; i--) {
        const slot = from[i]!
        to[--ends[digitOf(names.hashOf(slot), shift)]!] = slot
      }
      if (slices.isOver) await slices.pause()
    }
    const filled = to
    to = from
    from = filled
  }
  for (let i = 0; i + 1 < count; i++) {
    let end = i + 1
    const hash = names.hashOf(from[i]!)
    while (end < count && names.hashOf(from[end]!) === hash) end++
    if (end > i + 1) {
      from.subarray(i, end).sort((one, other) => compareSlots(names, one, other))
      i = end - 1
    }
    if (i % STEP === 0 && slices.isOver) await slices.pause()
  }
  return from
}

/** Byte by byte, a name before those that it begins. */
export function compareNames(
  one: Uint8Array,
  oneOffset: number,
  oneSize: number,
  other: Uint8Array,
  otherOffset: number,
  otherSize: number,
): number {
  const size = Math.min(oneSize, otherSize)
  for (let i = 0; i < size; i++) {
    const difference = one[oneOffset + i]! - other[otherOffset + i]!
    if (difference !== 0) return difference
  }
  return oneSize - otherSize
}

/** A name and its hash, where a cursor stands. */
export interface HashedName {
  readonly hash: number
  readonly nameBytes: Uint8Array
  readonly nameOffset: number
  readonly nameSize: number
}

/** 0 when both stand at the same name, else which one comes first. */
export function compareHashedNames(one: HashedName, other: HashedName): number {
  const oneHash = one.hash >>> 0
  const otherHash = other.hash >>> 0
  if (oneHash !== otherHash) return oneHash < otherHash ? -1 : 1
  return compareNames(one.nameBytes, one.nameOffset, one.nameSize, other.nameBytes, other.nameOffset, other.nameSize)
}

function digitOf(hash: number, shift: number): number {
  return (hash >>> shift) & (DIGIT_COUNT - 1)
}

function compareSlots(names: NameTable, one: number, other: number): number {
  const { bytes } = names
  return compareNames(bytes, names.offsetOf(one), names.sizeOf(one), bytes, names.offsetOf(other), names.sizeOf(other))
}
