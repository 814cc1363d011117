import type { StreamMetadata } from '../core/stream-metadata.ts'

/** Type of the events that say what is kept of a stream; the last one of its `$$` stream counts. */
export const METADATA_TYPE = '$metadata'
/** Type of the event that ends a stream for good. */
export const TOMBSTONE_TYPE = '$tombstone'
/** Where requests to erase single events stand: `{ stream, revision }`. */
export const ERASED_STREAM = '$erased'
export const ERASE_TYPE = '$erase'

/** What of a stream may be read. */
export class Retention {
  readonly metadata: StreamMetadata
  /** The stream is deleted for good: nothing can be read or appended. */
  readonly isTombstoned: boolean

  constructor(metadata: StreamMetadata, isTombstoned: boolean) {
    this.metadata = metadata
    this.isTombstoned = isTombstoned
  }

  /** As said by the last event of the `$$` stream. */
  static of(type: string, json: string): Retention {
    return new Retention(JSON.parse(json) as StreamMetadata, type === TOMBSTONE_TYPE)
  }

  /** The stream has no event that may be read, whatever their age: it was deleted, or never written. */
  isEmptyAt(lastRevision: number): boolean {
    return this.isTombstoned || (this.metadata.truncateBefore ?? 0) > lastRevision
  }

  /** The first revision that is kept when the last one is `lastRevision`, whatever their age. */
  firstRevision(lastRevision: number): number {
    const { truncateBefore = 0, maxCount = Number.POSITIVE_INFINITY } = this.metadata
    return Math.max(truncateBefore, lastRevision - maxCount + 1, 0)
  }

  /** Events that were created earlier are gone; milliseconds since 1970. */
  oldestCreatedMs(nowMs: number): number {
    const { maxAge } = this.metadata
    return maxAge === undefined ? Number.NEGATIVE_INFINITY : nowMs - maxAge * 1000
  }
}

/** The stream that says what is kept of `stream`. */
export function metadataStreamOf(stream: string): string {
  return `$$${stream}`
}

/** The stream of which `stream` says what is kept; null when it is no such stream. */
export function streamDescribedBy(stream: string): string | null {
  return stream.startsWith('$$') ? stream.slice(2) : null
}
