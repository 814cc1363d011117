import { crc32 } from 'node:zlib'
import type { ByteWindow } from './byte-window.ts'

/** CRC-32 with the IEEE polynomial: the checksum algorithm named 1 in every file header. */
export const CHECKSUM_CRC32 = 1

/**
 * Below this many bytes the tables win over the call into zlib, above it zlib wins (measured: 600 bytes 330 against 350 ns,
 * 100 bytes 62 against 215 ns, 1,100 bytes 600 against 420 ns).
 */
const NATIVE_FROM_SIZE = 640

/** Sixteen tables of 256 entries, "slicing by 16" (Kounavis and Berry, 2005): one table look-up per byte, four words a turn. */
const TABLES = buildTables()

function buildTables(): Int32Array {
  const tables = new Int32Array(16 * 256)
  for (let byte = 0; byte < 256; byte++) {
    let remainder = byte
    for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1
    tables[byte] = remainder
  }
  for (let entry = 256; entry < tables.length; entry++) {
    const previous = tables[entry - 256]!
    tables[entry] = (previous >>> 8) ^ tables[previous & 255]!
  }
  return tables
}

/** The checksum of `bytes`, continuing from `seed` (the checksum of what came before). */
export function checksumBytes(bytes: Uint8Array, seed = 0): number {
  return crc32(bytes, seed)
}

/**
 * The checksum of a range of the window, continuing from `seed`, as a signed 32-bit integer: unsigned ones above 2^31 would be
 * boxed. Allocates nothing below the native threshold.
 */
export function checksumRange(window: ByteWindow, start: number, end: number, seed: number): number {
  if (end - start >= NATIVE_FROM_SIZE) return crc32(window.bytes.subarray(start, end), seed >>> 0) | 0
  const { bytes, words } = window
  const t = TABLES
  let c = ~seed
  let at = start
  for (; at & 3 && at < end; at++) c = t[(c ^ bytes[at]!) & 255]! ^ (c >>> 8)
  let word = at >> 2
  const wordsEnd = end >> 2
  // `| 0`: a sum that can't leave the integers is not checked for it.
  for (const fours = wordsEnd - ((wordsEnd - word) & 3); word < fours; word = (word + 4) | 0) {
    const w1 = words[(word + 1) | 0]!
    const w2 = words[(word + 2) | 0]!
    const w3 = words[(word + 3) | 0]!
    // What does not wait for the turn before comes first: the processor works ahead on it.
    const ahead =
      t[2816 + (w1 & 255)]! ^
      t[2560 + ((w1 >>> 8) & 255)]! ^
      t[2304 + ((w1 >>> 16) & 255)]! ^
      t[2048 + (w1 >>> 24)]! ^
      t[1792 + (w2 & 255)]! ^
      t[1536 + ((w2 >>> 8) & 255)]! ^
      t[1280 + ((w2 >>> 16) & 255)]! ^
      t[1024 + (w2 >>> 24)]! ^
      t[768 + (w3 & 255)]! ^
      t[512 + ((w3 >>> 8) & 255)]! ^
      t[256 + ((w3 >>> 16) & 255)]! ^
      t[w3 >>> 24]!
    const w0 = c ^ words[word]!
    c = ahead ^ t[3840 + (w0 & 255)]! ^ t[3584 + ((w0 >>> 8) & 255)]! ^ t[3328 + ((w0 >>> 16) & 255)]! ^ t[3072 + (w0 >>> 24)]!
  }
  for (; word < wordsEnd; word = (word + 1) | 0) {
    const w = c ^ words[word]!
    c = t[768 + (w & 255)]! ^ t[512 + ((w >>> 8) & 255)]! ^ t[256 + ((w >>> 16) & 255)]! ^ t[w >>> 24]!
  }
  // Within one word, the first loop has been to the end.
  for (at = Math.max(at, word << 2); at < end; at++) c = t[(c ^ bytes[at]!) & 255]! ^ (c >>> 8)
  return ~c
}
