/**
 * A number from 0 to 2^32 - 1 for a text: the same for ever, on every machine, for it says in which partition a key is.
 * FNV-1a over its UTF-8, with the finaliser of MurmurHash3: short keys that differ in their last byte alone spread, too.
 */
export function stableHash(text: string): number {
  let hash = 0x811c9dc5
  for (const byte of Buffer.from(text, 'utf8')) hash = Math.imul(hash ^ byte, 0x01000193)
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}
