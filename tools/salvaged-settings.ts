import { type EventStore, StreamDeletedError, StreamNotFoundError } from 'tailrace'
import { checkStreamMetadata, type StreamMetadata } from '#engine/core/stream-metadata.ts'
import { ERASE_TYPE, ERASED_STREAM, METADATA_TYPE, streamDescribedBy, TOMBSTONE_TYPE } from '#engine/streams/retention.ts'
import type { StoredEvent } from '#engine/streams/stored-event.ts'
import type { RevisionLosses } from './revision-losses.ts'

/** Changes that wait for the same flush. */
const AT_ONCE = 256

/**
 * What the log says of its streams: what is kept of them, which are deleted, which events are to be erased. A copy without it would
 * bring back what was deleted.
 */
export class SalvagedSettings {
  /** The last one counts; null: deleted for good. */
  readonly #streams = new Map<string, StreamMetadata | null>()
  readonly #erasures: { readonly stream: string; readonly revision: number }[] = []

  /** @returns whether the event says something of a stream. */
  note({ stream, type, data }: StoredEvent): boolean {
    const described = streamDescribedBy(stream)
    if (described !== null && type === TOMBSTONE_TYPE) this.#streams.set(described, null)
    else if (described !== null && type === METADATA_TYPE) this.#streams.set(described, checkStreamMetadata(data))
    else if (stream === ERASED_STREAM && type === ERASE_TYPE) this.#erasures.push(data as { stream: string; revision: number })
    else return false
    return true
  }

  get streamCount(): number {
    return this.#streams.size
  }

  /** Says the same of the streams of the copy, in which everything has been appended. Revisions are those of the copy. */
  async applyTo(copy: EventStore, losses: RevisionLosses, signal: AbortSignal): Promise<void> {
    // What is deleted can't be asked to be erased any more.
    await eachOf(this.#erasures, signal, async ({ stream, revision }) => {
      if (!losses.isKept(stream, revision)) return
      await copy.erase(stream, losses.countBelow(stream, revision)).catch((error: unknown) => {
        if (!(error instanceof StreamNotFoundError || error instanceof StreamDeletedError)) throw error
      })
    })
    await eachOf([...this.#streams], signal, async ([stream, metadata]) => {
      if (metadata === null) await copy.tombstone(stream)
      else await copy.setMetadata(stream, metadataInCopy(stream, metadata, losses))
    })
  }
}

/** Says the same of the same events. The last ones are counted by revisions: without the gaps, older ones would be among them again. */
function metadataInCopy(stream: string, metadata: StreamMetadata, losses: RevisionLosses): StreamMetadata {
  const { truncateBefore, maxCount = Number.POSITIVE_INFINITY } = metadata
  const hidden = losses.countBelow(stream, Math.max(truncateBefore ?? 0, losses.lastOnes(stream, maxCount)))
  const hiddenByCount = losses.countBelow(stream, Number.POSITIVE_INFINITY) - maxCount
  return truncateBefore === undefined && hidden <= Math.max(0, hiddenByCount) ? metadata : { ...metadata, truncateBefore: hidden }
}

async function eachOf<T>(items: readonly T[], signal: AbortSignal, work: (item: T) => Promise<void>): Promise<void> {
  for (let from = 0; from < items.length; from += AT_ONCE) {
    signal.throwIfAborted()
    await Promise.all(items.slice(from, from + AT_ONCE).map(work))
  }
}
