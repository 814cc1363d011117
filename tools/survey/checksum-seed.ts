import type { ByteWindow } from '#engine/format/byte-window.ts'

/** In front of these stand size and checksum, which the checksum does not cover. */
const COVERED_FROM = 8
const OFFSET_CHECKSUM = 4

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let remainder = byte
  for (let bit = 0; bit < 8; bit++) remainder = remainder & 1 ? (remainder >>> 1) ^ 0xedb88320 : remainder >>> 1
  return remainder
})
/** The table's entries have 256 different highest bytes: each names the entry it came from. */
const INDEX_BY_HIGH_BYTE = new Uint8Array(256)
for (const [index, entry] of TABLE.entries()) INDEX_BY_HIGH_BYTE[entry >>> 24] = index

/**
 * What a record's checksum must have begun with if the record is whole: the CRC run backwards over its bytes. When header,
 * footer and neighbours are all gone, this finds the store's seed without its id; a second record then has to confirm it.
 */
export function solveChecksumSeed(window: ByteWindow, offset: number, size: number): number {
  const { bytes, view } = window
  let register = ~view.getUint32(offset + OFFSET_CHECKSUM, true) >>> 0
  for (let at = offset + size - 1; at >= offset + COVERED_FROM; at--) {
    const index = INDEX_BY_HIGH_BYTE[register >>> 24]!
    register = (((register ^ TABLE[index]!) << 8) | (index ^ bytes[at]!)) >>> 0
  }
  return ~register | 0
}
