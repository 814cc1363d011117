/** FNV-1a over the bytes, its high bits folded into the low ones. A signed 32-bit integer: unsigned ones would be boxed. */
export function hashOf(bytes: Uint8Array, offset: number, size: number): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < size; i++) hash = Math.imul(hash ^ bytes[offset + i]!, 0x01000193)
  return hash ^ (hash >>> 15)
}
