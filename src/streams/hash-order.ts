import type { NameTable } from './name-table.ts'
import type { TimeSlices } from './time-slices.ts'

const DIGIT_BITS = 11
const DIGIT_COUNT = 1 << DIGIT_BITS
/** Names that are gone through before the clock is asked. */
const STEP = 8192

/** Names in the order of `hash >>> 0`, then of their bytes. */
export interface HashOrder {
  readonly slots: Uint32Array
  /** Beside the slots. */
  readonly hashes: Int32Array
}

/** Sorts the names of a table. A radix sort, in slices of time; hashes move along, so that memory is read in a row. */
export async function hashOrder(names: NameTable, slices: TimeSlices): Promise<HashOrder> {
  const { count } = names
  let from = { slots: new Uint32Array(count), hashes: new Int32Array(count) }
  let to = { slots: new Uint32Array(count), hashes: new Int32Array(count) }
  for (let low = 0; low < count; low += STEP) {
    takeHashes(names, from, low, Math.min(count, low + STEP))
    if (slices.isOver) await slices.pause()
  }
  for (let shift = 0; shift < 32 && count > 1; shift += DIGIT_BITS) {
    const starts = new Uint32Array(DIGIT_COUNT + 1)
    for (let low = 0; low < count; low += STEP) {
      countDigits(from.hashes, starts, shift, low, Math.min(count, low + STEP))
      if (slices.isOver) await slices.pause()
    }
    for (let digit = 1; digit < DIGIT_COUNT; digit++) starts[digit]! += starts[digit - 1]!
    for (let low = 0; low < count; low += STEP) {
      moveByDigit(from, to, starts, shift, low, Math.min(count, low + STEP))
      if (slices.isOver) await slices.pause()
    }
    const filled = to
    to = from
    from = filled
  }
  const { slots, hashes } = from
  for (let i = 0, next = STEP; i + 1 < count; i++) {
    if (hashes[i] === hashes[i + 1]) {
      let end = i + 2
      while (end < count && hashes[end] === hashes[i]) end++
      slots.subarray(i, end).sort((one, other) => compareSlots(names, one, other))
      i = end - 1
    }
    if (i < next) continue
    next = i + STEP
    if (slices.isOver) await slices.pause()
  }
  return from
}

function takeHashes(names: NameTable, { slots, hashes }: HashOrder, low: number, high: number): void {
  for (let slot = low; slot < high; slot++) {
    slots[slot] = slot
    hashes[slot] = names.hashOf(slot)
  }
}

/** Each where the next digit begins. */
function countDigits(hashes: Int32Array, starts: Uint32Array, shift: number, low: number, high: number): void {
  for (let i = low; i < high; i++) starts[digitOf(hashes[i]!, shift) + 1]!++
}

function moveByDigit(from: HashOrder, to: HashOrder, starts: Uint32Array, shift: number, low: number, high: number): void {
  const { slots, hashes } = from
  const { slots: toSlots, hashes: toHashes } = to
  for (let i = low; i < high; i++) {
    const hash = hashes[i]!
    const place = starts[digitOf(hash, shift)]!++
    toSlots[place] = slots[i]!
    toHashes[place] = hash
  }
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
