/** Chunks `firstChunk` to `lastChunk`. Index files cover ranges as a binary counter has them: 2^k chunks from a multiple of 2^k on. */
export interface ChunkRange {
  readonly firstChunk: number
  readonly lastChunk: number
}

export function isCounterRange(firstChunk: number, lastChunk: number): boolean {
  const count = lastChunk - firstChunk + 1
  return count > 0 && Number.isInteger(Math.log2(count)) && firstChunk % count === 0
}

/** Ranges that no other one covers, in order. */
export function uncovered<R extends ChunkRange>(ranges: readonly R[]): R[] {
  const sizeOf = ({ firstChunk, lastChunk }: R) => lastChunk - firstChunk
  const kept: R[] = []
  for (const range of [...ranges].sort((one, other) => sizeOf(other) - sizeOf(one))) {
    if (!kept.some(larger => larger.firstChunk <= range.firstChunk && range.lastChunk <= larger.lastChunk)) kept.push(range)
  }
  return kept.sort((one, other) => one.firstChunk - other.firstChunk)
}

/** The largest set of ranges, lying one behind the other, that make one range of the counter; null when there is none. */
export function nextMerge<R extends ChunkRange>(ranges: readonly R[]): R[] | null {
  for (let first = 0; first < ranges.length; first++) {
    let last = first
    while (ranges[last + 1]?.firstChunk === ranges[last]!.lastChunk + 1) last++
    for (; last > first; last--) {
      if (isCounterRange(ranges[first]!.firstChunk, ranges[last]!.lastChunk)) return ranges.slice(first, last + 1)
    }
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
