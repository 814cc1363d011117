/** Chunks `firstChunk` to `lastChunk`, which an index file covers. */
export interface ChunkRange {
  readonly firstChunk: number
  readonly lastChunk: number
}

/**
 * Ranges of which no two have a chunk in common, the largest first to be kept; in order. Most that are left out are covered by one
 * that was made of them. But a merge that failed may have left its file, and what was merged next may begin within that one.
 */
export function uncovered<R extends ChunkRange>(ranges: readonly R[]): R[] {
  const kept: R[] = []
  for (const range of [...ranges].sort((one, other) => sizeOf(other) - sizeOf(one))) {
    if (!kept.some(larger => larger.firstChunk <= range.lastChunk && range.firstChunk <= larger.lastChunk)) kept.push(range)
  }
  return kept.sort((one, other) => one.firstChunk - other.firstChunk)
}

/**
 * For so many of a file's chunks, those behind it must cover one to be merged with it. Under load each chunk is written as seldom as
 * can be; at rest there are fewer files, for whoever reads.
 */
export const SHARE_UNDER_LOAD = 1
export const SHARE_AT_REST = 4

/**
 * The oldest range that is to become one with all that lie one behind the other behind it, and those: they cover one chunk at
 * least for `share` of its own. Of n chunks at most 1 + log(n) / log(share + 1) ranges are left. Null when there is none.
 */
export function nextMerge<R extends ChunkRange>(ranges: readonly R[], share: number): R[] | null {
  for (let first = 0; first < ranges.length; first++) {
    let last = first
    while (ranges[last + 1]?.firstChunk === ranges[last]!.lastChunk + 1) last++
    const behind = ranges[last]!.lastChunk - ranges[first]!.lastChunk
    if (behind > 0 && behind * share >= sizeOf(ranges[first]!)) return ranges.slice(first, last + 1)
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
