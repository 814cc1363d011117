/** Bytes of a block's entry: offset and distance. */
export const BLOCK_ENTRY_SIZE = 8

/**
 * Where the records of a compact chunk are. For each block, the first record that starts in it or, when none does, behind it:
 * its offset in the file and its distance, which is its position less the chunk's start. Where no record follows, the data size
 * and the end distance. Both columns never fall. Byte table: docs/format.md, "Block directory".
 */
export class BlockDirectory {
  readonly offsets: Uint32Array
  readonly distances: Uint32Array
  /** Behind the last record, as a distance; that of the first possible record when there is none. */
  readonly endDistance: number

  constructor(offsets: Uint32Array, distances: Uint32Array, endDistance: number) {
    this.offsets = offsets
    this.distances = distances
    this.endDistance = endDistance
  }

  static decode(view: DataView, at: number, blockCount: number, endDistance: number): BlockDirectory {
    const offsets = new Uint32Array(blockCount)
    const distances = new Uint32Array(blockCount)
    for (let block = 0; block < blockCount; block++) {
      offsets[block] = view.getUint32(at + block * BLOCK_ENTRY_SIZE, true)
      distances[block] = view.getUint32(at + block * BLOCK_ENTRY_SIZE + 4, true)
    }
    return new BlockDirectory(offsets, distances, endDistance)
  }

  /** Whether it could be that of a chunk with so many bytes of header and records: both columns in order, and within it. */
  fits(dataSize: number): boolean {
    let offset = 0
    let distance = 0
    for (let block = 0; block < this.offsets.length; block++) {
      if (this.offsets[block]! < offset || this.distances[block]! < distance) return false
      offset = this.offsets[block]!
      distance = this.distances[block]!
    }
    return this.offsets.length > 0 && offset <= dataSize && distance <= this.endDistance
  }

  encode(view: DataView, at: number): void {
    for (let block = 0; block < this.offsets.length; block++) {
      view.setUint32(at + block * BLOCK_ENTRY_SIZE, this.offsets[block]!, true)
      view.setUint32(at + block * BLOCK_ENTRY_SIZE + 4, this.distances[block]!, true)
    }
  }

  /** The last entry whose record stands at or before `distance`; the first one when none does. */
  entryAt(distance: number): number {
    let low = 0
    let high = this.distances.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.distances[middle]! <= distance) low = middle
      else high = middle - 1
    }
    return low
  }

  /** The first entry whose record stands behind `distance`; the number of entries when none does. */
  entryBehind(distance: number): number {
    const entry = this.entryAt(distance)
    return this.distances[entry]! > distance ? entry : entry + 1
  }
}
