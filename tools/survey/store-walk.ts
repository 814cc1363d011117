import { systemErrorCode } from '#engine/core/errors.ts'
import type { Disk } from '#engine/disk/disk.ts'
import type { ChunkSurvey, SurveyVisitor } from './chunk-survey.ts'
import { type ChunkPlace, isInUse, openChunk, type StoreSurvey } from './store-survey.ts'

/**
 * How a chunk's records ended: at its footer; at nothing, though the log goes on in the next chunk; or there, where the log
 * ends.
 */
export type ChunkEnding = 'completed' | 'without footer' | 'end of log'

/** Whoever follows a walk through all chunks of a store. */
export interface StoreVisitor extends SurveyVisitor {
  /** @returns whether to walk the chunk's records. */
  beginChunk(place: ChunkPlace, survey: ChunkSurvey, isLast: boolean): Promise<boolean>
  endChunk(place: ChunkPlace, survey: ChunkSurvey, ending: ChunkEnding): Promise<void>
  /** The system could not read the file. */
  unreadable(place: ChunkPlace, error: unknown): void
}

/**
 * Walks the records of all chunks in order, also while a process is writing them.
 * @returns the chunks that hold nothing: one was made ahead, maybe.
 */
export async function walkStore(disk: Disk, store: StoreSurvey, visitor: StoreVisitor): Promise<readonly ChunkPlace[]> {
  for (const [index, place] of store.chunks.entries()) {
    try {
      if (await walkChunk(disk, store, index, place, visitor)) return store.chunks.slice(index + 1)
    } catch (error) {
      if (systemErrorCode(error) === null) throw error
      visitor.unreadable(place, error)
    }
  }
  return []
}

/** @returns true when the log ends in this chunk. */
async function walkChunk(
  disk: Disk,
  store: StoreSurvey,
  index: number,
  place: ChunkPlace,
  visitor: StoreVisitor,
): Promise<boolean> {
  const isLast = index === store.chunks.length - 1
  const survey = await openChunk(disk, store, index, store.bounds)
  if (survey === null) return true
  try {
    if (!(await visitor.beginChunk(place, survey, isLast))) return isLast
    survey.isFollowed = !isLast && (await isInUse(disk, store, index + 1))
    await survey.walk(visitor)
    if (survey.footer === null && !isLast) {
      // It may have been completed while it was walked. Once there are records behind it, it must have been.
      survey.isFollowed = await isInUse(disk, store, index + 1)
      if ((await survey.refresh()) || survey.isFollowed) await survey.walk(visitor)
    }
    const ending = survey.footer !== null ? 'completed' : survey.isFollowed ? 'without footer' : 'end of log'
    await visitor.endChunk(place, survey, ending)
    return ending === 'end of log'
  } finally {
    await survey.close()
  }
}
