/** Chunks `firstChunk` to `lastChunk`, which an index file covers. */
export interface ChunkRange {
  readonly firstChunk: number
  readonly lastChunk: number
}

/** A file joins those behind it once they have one chunk for so many of its own. */
const JOINED_SHARE = 4

/** Ranges that no other one covers, in order. */
export function uncovered<R extends ChunkRange>(ranges: readonly R[]): R[] {
  const kept: R[] = []
  for (const range of [...ranges].sort((one, other) => sizeOf(other) - sizeOf(one))) {
    if (!kept.some(larger => larger.firstChunk <= range.firstChunk && range.lastChunk <= larger.lastChunk)) kept.push(range)
  }
  return kept.sort((one, other) => one.firstChunk - other.firstChunk)
}

/**
 * The oldest range, and all that lie one behind the other behind it, that are to become one: so n chunks have at most 1 + log5(n)
 * files, mostly two, and what is written once for each chunk is written some 4 * log5(n) times at most. Null when there is none.
 */
export function nextMerge<R extends ChunkRange>(ranges: readonly R[]): R[] | null {
  for (let first = 0; first < ranges.length; first++) {
    let last = first
    while (ranges[last + 1]?.firstChunk === ranges[last]!.lastChunk + 1) last++
    const behind = ranges[last]!.lastChunk - ranges[first]!.lastChunk
    if (behind > 0 && behind * JOINED_SHARE >= sizeOf(ranges[first]!)) return ranges.slice(first, last + 1)
  }
  return null
}

/** Tells the chunks that an index file was made from: each time one is rewritten, its generation grows. */
export function fingerprintOf({ firstChunk, lastChunk }: ChunkRange, generationOf: (chunk: number) => number): number {
  let fingerprint = 0
  for (let chunk = firstChunk; chunk <= lastChunk; chunk++) {
    fingerprint = (Math.imul(fingerprint, 31) + generationOf(chunk)) >>> 0
  }
  return fingerprint
}

function sizeOf({ firstChunk, lastChunk }: ChunkRange): number {
  return lastChunk - firstChunk + 1
}
