import { LogPosition, Revision } from '../core/positions.ts'
import type { StreamHead } from '../writer/stream-head.ts'
import type { HeadLookup } from './head-lookup.ts'
import type { Retention } from './retention.ts'
import { hashOf } from './stream-hash.ts'

/** What is known of one stream's end: as written, which is what the next append goes by, and as committed. */
export class CachedHead implements StreamHead {
  readonly name: string
  readonly nameBytes: Uint8Array
  readonly hash: number
  /** Of the last event that was written, committed or not. */
  revision: Revision = Revision.none
  /** As the last append of metadata says, committed or not. */
  retention: Retention | null = null
  committedRevision: Revision = Revision.none
  committedPosition: LogPosition = LogPosition.start
  committedRetention: Retention | null = null
  /** What those appends of metadata say that are written and not committed, the oldest first; null until there is one. */
  uncommittedRetentions: Retention[] | null = null
  /** Appends on their way that hold this head. */
  holderCount = 0
  /** False until the index was asked. */
  isKnown = false
  /** The asking. */
  loading: HeadLookup | null = null
  /** The stream's slot in the active part of the number `slotOwner`: the part itself would be kept as long as a head that rests. */
  slot = 0
  slotOwner = 0
  line: object | null = null
  /** Used since the cache last came by. */
  isUsed = false
  /** Where it stands in the cache. */
  place = 0

  constructor(name: string, nameBytes: Uint8Array) {
    this.name = name
    this.nameBytes = nameBytes
    this.hash = hashOf(nameBytes, 0, nameBytes.length)
  }
}
